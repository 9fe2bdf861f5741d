//! After a backup: does the new snapshot look like an attack, and the boards are told of it.

use super::{Invocation, findings, witness};
use crate::{
    error::{CommandError, CommandResult, Kind},
    output,
};
use ghevault_core::{backup::BackupReport, quarantine::Assessment, vault::Vault};
use std::fmt::Write as _;

/// What came of it.
#[derive(Debug, Default)]
pub struct After {
    /// What was compared.
    assessments: Vec<Assessment>,
    /// Files that were hung on boards.
    published: Vec<String>,
    /// Findings of the witness.
    witness: Vec<ghevault_core::witness::Finding>,
    /// What could not be done; the snapshot stands all the same.
    trouble: Vec<String>,
}

/// Compares the new snapshot with the last good one, and publishes a checkpoint if boards are configured.
pub fn look(opened: &Vault, invocation: &Invocation) -> After {
    let mut after = After::default();
    match findings::assess(opened, invocation) {
        Ok(assessments) => after.assessments = assessments,
        Err(error) => {
            after
                .trouble
                .push(format!("the snapshot was not compared with earlier ones: {}", error.one_line()));
        }
    }
    if !invocation.settings.witness_boards.is_empty() {
        match witness::publish_configured(opened, invocation) {
            Ok((published, found, away)) => {
                (after.published, after.witness) = (published, found);
                after.trouble.extend(away);
            }
            Err(error) => after.trouble.push(format!("the boards were not told: {}", error.one_line())),
        }
    }
    after
}

impl After {
    /// The report with what came after it.
    pub fn beside(&self, report: &BackupReport) -> serde_json::Value {
        let mut value = serde_json::to_value(report).unwrap_or_default();
        if let Some(fields) = value.as_object_mut() {
            let of = |one: &Assessment| one.snapshot.to_string() == report.snapshot;
            if let Some(one) = self.assessments.iter().find(|one| of(one)) {
                fields.insert("findings".into(), serde_json::json!(one.findings));
                fields.insert("quarantined".into(), findings::is_bad(one).into());
            }
            if !self.published.is_empty() {
                fields.insert("published".into(), serde_json::json!(self.published));
            }
            if !self.witness.is_empty() {
                fields.insert("witness_findings".into(), serde_json::json!(self.witness));
            }
            if let Some(warnings) = fields.get_mut("warnings").and_then(serde_json::Value::as_array_mut) {
                warnings.extend(self.trouble.iter().map(|text| text.as_str().into()));
            }
        }
        value
    }

    /// For people.
    pub fn text(&self) -> String {
        let mut text: String = self.assessments.iter().map(findings::about).collect();
        for one in &self.witness {
            let _ = writeln!(text, "{}: {}: {}", one.kind.word(), one.on, one.what);
        }
        for trouble in &self.trouble {
            let _ = writeln!(text, "warning: {trouble}");
        }
        text
    }

    /// Exit code 13 when the snapshot looks like an attack, or boards and vault do not fit.
    ///
    /// # Errors
    /// See above.
    pub fn verdict(&self) -> CommandResult {
        let bad = self.assessments.iter().filter(|one| findings::is_bad(one)).count();
        let message = match (bad, self.witness.len()) {
            (0, 0) => return Ok(()),
            (0, found) => format!("{found} finding(s): what was published and what is shown do not fit"),
            (bad, _) => format!("{bad} snapshot(s) look like an attack and are in quarantine"),
        };
        let error = CommandError::new(Kind::Damage, message)
            .hint("Look at `ghevault findings` and `ghevault witness check`. If it was no attack: `ghevault ack SNAPSHOT --reason TEXT`.");
        output::complain(&error.to_string());
        Err(CommandError::already_reported(Kind::Damage))
    }
}
