//! What a drill found, signed, as data and as a page for people.

use std::fmt::Write as _;

use serde::{Deserialize, Serialize};

use crate::seal::{SealError, SealKey, SignedText};

/// How much is proven.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DrillDepth {
    /// A sample of repositories and storage objects, another one for each snapshot; everything else.
    Sample,
    /// Everything.
    Full,
}

impl DrillDepth {
    /// As a word.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Sample => "sample",
            Self::Full => "full",
        }
    }
}

/// What became of one proof.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ProofState {
    /// It holds.
    Proven,
    /// It could not be made on this host.
    NotProven,
    /// It does not hold.
    Failed,
    /// The snapshot has nothing of the kind, and needs nothing.
    Absent,
}

/// One proof.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Proof {
    /// What was looked at.
    pub part: String,
    /// What became of it.
    pub state: ProofState,
    /// How many things were looked at.
    pub items: u64,
    /// How many there are.
    pub of: u64,
    /// What was done or found, in words.
    pub detail: String,
    /// What is wrong, the first ones.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub problems: Vec<String>,
    /// Seconds it took.
    pub seconds: f64,
}

/// Problems that one proof names.
pub(super) const PROBLEMS_MAX: usize = 20;

impl Proof {
    pub(super) fn new(part: &str, state: ProofState, detail: impl Into<String>) -> Self {
        Self {
            part: part.into(),
            state,
            items: 0,
            of: 0,
            detail: detail.into(),
            problems: Vec::new(),
            seconds: 0.0,
        }
    }

    /// Proven if there are no problems.
    pub(super) fn judged(
        part: &str,
        items: u64,
        of: u64,
        detail: impl Into<String>,
        problems: Vec<String>,
    ) -> Self {
        let state = if problems.is_empty() { ProofState::Proven } else { ProofState::Failed };
        let mut proof = Self { items, of, problems, ..Self::new(part, state, detail) };
        let more = proof.problems.len().saturating_sub(PROBLEMS_MAX);
        if more > 0 {
            proof.problems.truncate(PROBLEMS_MAX);
            proof.problems.push(format!("and {more} more"));
        }
        proof
    }
}

/// What a drill is worth.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DrillVerdict {
    /// All that was looked at holds.
    Proven,
    /// Nothing failed, but something could not be proven on this host.
    Incomplete,
    /// Something does not hold: the snapshot cannot be restored as it should.
    Failed,
}

impl DrillVerdict {
    /// As a word.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Proven => "proven",
            Self::Incomplete => "incomplete",
            Self::Failed => "failed",
        }
    }
}

/// The report of a drill.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DrillReport {
    /// Version of this form.
    pub format: u32,
    /// What it is worth.
    pub verdict: DrillVerdict,
    /// The snapshot's id.
    pub snapshot: String,
    /// The moment that it shows, RFC 3339.
    pub snapshot_time: String,
    /// Start of the drill, RFC 3339.
    pub started: String,
    /// Seconds it took.
    pub seconds: f64,
    /// How much was proven.
    pub depth: DrillDepth,
    /// Release of the appliance.
    pub release: String,
    /// Bytes read from the snapshot's files for it.
    pub bytes: u64,
    /// The proofs.
    pub proofs: Vec<Proof>,
    /// The program that made it.
    pub program: String,
}

/// The form that this release writes.
pub const FORMAT: u32 = 1;

impl DrillReport {
    /// The verdict over some proofs.
    #[must_use]
    pub fn verdict_of(proofs: &[Proof]) -> DrillVerdict {
        if proofs.iter().any(|proof| proof.state == ProofState::Failed) {
            DrillVerdict::Failed
        } else if proofs.iter().any(|proof| proof.state == ProofState::NotProven) {
            DrillVerdict::Incomplete
        } else {
            DrillVerdict::Proven
        }
    }

    /// The report as text with a signature.
    ///
    /// # Errors
    /// It cannot be written as text, or the key does not sign.
    pub fn signed(&self, key: &SealKey) -> Result<SignedReport, SealError> {
        let text = serde_json::to_string(self).map_err(|e| SealError::Unreadable(e.to_string()))?;
        Ok(SignedReport(key.sign(text)?))
    }

    /// A page for people: one file, no script.
    #[must_use]
    pub fn html(&self) -> String {
        let mut rows = String::new();
        for proof in &self.proofs {
            let (class, word) = match proof.state {
                ProofState::Proven => ("good", "proven"),
                ProofState::NotProven => ("open", "not proven"),
                ProofState::Failed => ("bad", "FAILED"),
                ProofState::Absent => ("none", "absent"),
            };
            let _ = write!(
                rows,
                "<tr class=\"{class}\"><th scope=\"row\">{}</th><td>{word}</td><td>{} of {}</td><td>{:.1} s</td><td>{}",
                escaped(&proof.part),
                proof.items,
                proof.of,
                proof.seconds,
                escaped(&proof.detail)
            );
            for problem in &proof.problems {
                let _ = write!(rows, "<br><strong>{}</strong>", escaped(problem));
            }
            rows.push_str("</td></tr>\n");
        }
        let verdict = match self.verdict {
            DrillVerdict::Proven => "proven",
            DrillVerdict::Incomplete => "incomplete: not everything could be proven on this host",
            DrillVerdict::Failed => "FAILED",
        };
        format!(
            "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>Drill of {id}</title>\n<style>\n\
             :root {{ color-scheme: light dark; }} body {{ font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }}\n\
             table {{ border-collapse: collapse; width: 100%; }} th, td {{ text-align: left; padding: .3rem .6rem; border-bottom: 1px solid #8888; vertical-align: top; }}\n\
             .bad td:nth-child(2) {{ font-weight: bold; }} .bad {{ background: #d0202033; }} .open {{ background: #d0a02033; }}\n</style></head><body>\n\
             <h1>Drill of snapshot {id}: {verdict}</h1>\n\
             <p>Snapshot of {time}, release {release}. Drill started {started}, took {seconds:.1} s ({depth}), read {bytes} bytes. Made by {program}.</p>\n\
             <table><thead><tr><th scope=\"col\">Part</th><th scope=\"col\">Result</th><th scope=\"col\">Looked at</th><th scope=\"col\">Time</th><th scope=\"col\">Found</th></tr></thead>\n\
             <tbody>\n{rows}</tbody></table>\n</body></html>\n",
            id = escaped(&self.snapshot.chars().take(8).collect::<String>()),
            time = escaped(&self.snapshot_time),
            release = escaped(&self.release),
            started = escaped(&self.started),
            seconds = self.seconds,
            depth = self.depth.name(),
            bytes = self.bytes,
            program = escaped(&self.program),
        )
    }
}

/// A report as it was signed.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SignedReport(SignedText);

impl SignedReport {
    /// The report, if the signature fits its text; and the public key that signed it.
    ///
    /// # Errors
    /// It is not what was signed.
    pub fn read(&self) -> Result<(DrillReport, String), SealError> {
        let text = self.0.verified()?;
        let report = serde_json::from_str(text).map_err(|e| SealError::Unreadable(e.to_string()))?;
        Ok((report, self.0.key().to_owned()))
    }
}

/// Text for HTML.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(states: &[ProofState]) -> DrillReport {
        let proofs: Vec<Proof> = states.iter().map(|state| Proof::new("part <1>", *state, "d & e")).collect();
        DrillReport {
            format: FORMAT,
            verdict: DrillReport::verdict_of(&proofs),
            snapshot: "0123456789".into(),
            snapshot_time: "2026-01-01T00:00:00Z".into(),
            started: "2026-01-01T01:00:00Z".into(),
            seconds: 2.0,
            depth: DrillDepth::Sample,
            release: "3.11.0".into(),
            bytes: 7,
            proofs,
            program: "ghevault".into(),
        }
    }

    #[test]
    fn what_could_not_be_proven_is_never_passed() {
        use ProofState::{Absent, Failed, NotProven, Proven};
        assert_eq!(report(&[Proven, Absent]).verdict, DrillVerdict::Proven);
        assert_eq!(report(&[Proven, NotProven]).verdict, DrillVerdict::Incomplete);
        assert_eq!(report(&[NotProven, Failed, Proven]).verdict, DrillVerdict::Failed);
    }

    #[test]
    fn a_signed_report_opens_with_what_was_signed_and_a_changed_one_does_not() {
        let report = report(&[ProofState::Failed]);
        let key = SealKey::generate();
        let signed = report.signed(&key).unwrap();
        assert_eq!(signed.read().unwrap(), (report, key.public()));
        let text = serde_json::to_string(&signed).unwrap().replace("failed", "proven");
        let forged: SignedReport = serde_json::from_str(&text).unwrap();
        assert_eq!(forged.read().unwrap_err(), SealError::BadSignature);
    }

    #[test]
    fn the_page_escapes_what_it_shows() {
        let page = report(&[ProofState::Proven]).html();
        assert!(page.contains("part &lt;1&gt;") && page.contains("d &amp; e") && !page.contains("<script"));
    }
}
