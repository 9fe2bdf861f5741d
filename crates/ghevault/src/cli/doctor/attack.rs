//! `doctor --attack`: the table of what the runner's credentials could do.

use crate::{
    cli::{Invocation, vault},
    error::{CommandError, CommandResult, Kind},
    output::{
        self,
        table::{self, Align},
    },
};
use ghevault_core::{
    keys::Ciphertext,
    vault::{AttackOutcome, AttackTargets, VaultLocation},
};
use std::fmt::Write as _;

/// Tries, and shows what came of it.
///
/// # Errors
/// Something succeeded (exit code 14), or it could not be seen that it would not.
pub fn run(other: Option<&str>, ciphertext: Option<&str>, invocation: &Invocation) -> CommandResult {
    let location = vault::location(invocation)?;
    let other = other
        .map(|text| {
            let other = VaultLocation::parse(text)
                .map_err(|error| CommandError::from_error(Kind::Usage, &error))?
                .with_s3(invocation.settings.s3.clone());
            Ok::<_, CommandError>(other.bucket()?.clone())
        })
        .transpose()?;
    let ciphertext = ciphertext.map(decoded).transpose()?;
    let report = location.bucket()?.attack(&AttackTargets { other, ciphertext })?;
    let (succeeded, unproven) = (report.any_succeeded(), report.any_unproven());
    let value =
        serde_json::json!({ "ok": !succeeded && !unproven, "tries": report.tries, "left": report.left });
    invocation.screen.result(&value, || {
        let rows: Vec<_> = report
            .tries
            .iter()
            .map(|one| {
                let outcome = match one.outcome {
                    AttackOutcome::Refused => "refused",
                    AttackOutcome::Succeeded => "SUCCEEDED",
                    AttackOutcome::Unproven => "UNPROVEN",
                    AttackOutcome::Untried => "not tried",
                };
                [one.what.to_owned(), outcome.to_owned(), one.answer.clone()]
            })
            .collect();
        let columns = [("TRIED", Align::Left), ("OUTCOME", Align::Left), ("ANSWER", Align::Left)];
        let mut text = table::render(columns, &rows);
        if !report.left.is_empty() {
            let left = report.left.join(", ");
            let _ = writeln!(text, "left behind, since it cannot be removed either: {left}");
        }
        text
    });
    if succeeded {
        output::complain(
            "these credentials can do harm: compare `ghevault vault policy runner` and `ghevault vault check`",
        );
        return Err(CommandError::already_reported(Kind::Refused));
    }
    if unproven {
        output::complain(
            "some tries were neither refused nor successful: run it again, or look at their answers",
        );
        return Err(CommandError::already_reported(Kind::Failure));
    }
    Ok(())
}

/// A ciphertext in base64, with or without `aws:kms:` before it.
fn decoded(text: &str) -> CommandResult<Vec<u8>> {
    let text = Ciphertext::after_prefix(text).unwrap_or(text);
    let ciphertext = Ciphertext::from_base64(text);
    ciphertext.map(|ciphertext| ciphertext.bytes().to_vec()).ok_or_else(|| {
        CommandError::usage("the other account's ciphertext is no base64")
            .hint("Give it as `ghevault key encrypt` prints it there.")
    })
}
