//! What one shard lists: the folders above all units, which cost little, and below them its own units alone.

use super::super::{
    context::{CaptureError, Context},
    files::{capture::Tally, survey::Survey},
};
use crate::appliance::{
    listing::{FORMAT, FORMAT_PLACE},
    quote::quote,
};

/// The folders of units, as `find` is told about them; they agree with `unit_of`.
fn units(part: &str) -> &'static str {
    match part {
        "repositories" => {
            r"repositories/[^_/][^/]*/(nw/[^/]+/[^/]+/[^/]+/[^/]+/[^/]+|[^/]+/[^/]+/[^/]+/gist/[^/]+|[^/]+\.git)"
        }
        "pages" => "pages/[^/]+/[^/]+/[^/]+/[^/]+/[^/]+",
        _ => "[^/]+/[^/]+/[^/]+",
    }
}

/// Tells `find` to print what stands above the units, and of these only the names; `prune` leaves out more.
pub(in crate::backup) fn above_units(part: &str, prune: &str) -> String {
    let units = units(part);
    format!(
        "{prune} -type d -regextype posix-extended -regex '{units}' -prune -printf '{FORMAT_PLACE}' -o -printf '{FORMAT}'"
    )
}

impl Context<'_> {
    /// Divides paths into those of this shard and those of others; without a shard all are ours.
    pub(in crate::backup) fn shares(
        &self,
        paths: impl IntoIterator<Item = Vec<u8>>,
    ) -> (Vec<Vec<u8>>, Vec<Vec<u8>>) {
        let shard = self.settings.shard.as_ref();
        paths.into_iter().partition(|path| shard.is_none_or(|shard| shard.takes(path)))
    }

    /// The first listing of a dataset that lies on the connected machine: this shard's units with `expression`, and in the first shard what
    /// stands above all units.
    ///
    /// # Errors
    /// As [`Context::list`].
    pub(in crate::backup) fn list_share(
        &self,
        (part, label): (&str, &str),
        prune: &str,
        expression: &str,
        tally: &Tally,
    ) -> Result<Survey, CaptureError> {
        let root = quote(&self.settings.data_root);
        let above = above_units(part, prune);
        let script = format!("cd {root} && sudo find {part} {above} | gzip -1");
        let mut survey = self.list(&format!("{label}: folders above"), &script, &[], tally)?;
        let (own, elsewhere) = self.shares(std::mem::take(&mut survey.places));
        if self.settings.shard.as_ref().is_some_and(|shard| !shard.is_first()) {
            survey = Survey::default();
        }
        let inner = format!("exec find \"$@\" {expression}");
        let script = format!("cd {root} && sudo xargs -0 -r sh -c {} sh | gzip -1", quote(&inner));
        let mut below = self.list(label, &script, &own, tally)?;
        below.units.append(&mut survey.units);
        below.files += survey.files;
        below.bytes = below.bytes.saturating_add(survey.bytes);
        below.entries += survey.entries;
        below.elsewhere = elsewhere;
        Ok(below)
    }
}

#[cfg(test)]
mod tests {
    use super::{super::super::unit::unit_of, units};

    #[test]
    fn what_find_is_told_about_units_is_what_the_program_takes_for_them() {
        for (part, closed, above) in [
            (
                "repositories",
                &[
                    "repositories/c/nw/c4/ca/42/1/1.git",
                    "repositories/0/01/aa/3f/gist/9.git",
                    "repositories/a/b.git",
                ][..],
                &["repositories/c/nw/c4/ca/42/1", "repositories/0/01/aa/3f/gist", "repositories/a"][..],
            ),
            ("pages", &["pages/1/02/03/04/9"], &["pages/1/02/03/04"]),
            ("storage", &["storage/e/ed"], &["storage/e", "storage"]),
        ] {
            let out = |path: &str| {
                let script = "printf '%s\\n' \"$1\" | grep -Exq \"$2\"";
                let mut bash = std::process::Command::new("bash");
                bash.args(["-c", script, "bash", path, units(part)]).status().unwrap().success()
            };
            for path in closed {
                let unit = unit_of(path.as_bytes(), true);
                assert!(out(path) && !unit.spine && unit.len == path.len(), "{path}");
            }
            if part == "repositories" {
                assert!(!out("repositories/__purgatory__/4711.git"), "a special folder is taken whole");
            }
            for path in above {
                assert!(!out(path) && unit_of(path.as_bytes(), true).spine, "{path}");
            }
        }
    }
}
