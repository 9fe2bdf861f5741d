//! What one shard lists: the folders above all units, which cost little, and below them its own units alone.

use super::super::{
    context::{CaptureError, Context},
    files::{capture::Tally, survey::Survey},
};
use crate::appliance::{
    listing::{FORMAT, FORMAT_PLACE},
    quote::quote,
};

/// Folders that are units by themselves although others lie beside them, and all that is in them.
const SPECIAL: &str =
    r"\( -path 'repositories/__*' -o -path repositories/info -o -path 'repositories/info/*' \)";

/// The folders of units, as `find` is told about them; they agree with `unit_of`.
fn units(part: &str) -> &'static str {
    match part {
        "repositories" => {
            r"repositories/[^/]+/(nw/[^/]+/[^/]+/[^/]+/[^/]+/[^/]+|[^/]+/[^/]+/[^/]+/gist/[^/]+|[^/]+\.git)"
        }
        "pages" => "pages/[^/]+/[^/]+/[^/]+/[^/]+/[^/]+",
        _ => "[^/]+/[^/]+/[^/]+",
    }
}

/// Tells `find` to print what stands above the units, and of these only the names; `prune` leaves out more.
pub(in crate::backup) fn above_units(part: &str, prune: &str) -> String {
    let special =
        if part == "repositories" { format!("{SPECIAL} -printf '{FORMAT}' -o") } else { String::new() };
    let units = units(part);
    format!(
        "{prune} {special} -type d -regextype posix-extended -regex '{units}' -prune -printf '{FORMAT_PLACE}' -o -printf '{FORMAT}'"
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
    use super::{super::super::unit::unit_of, above_units};
    use std::{fs, process::Command};

    /// What `find` itself names as the place of a unit, and what it prints in full.
    fn asked(part: &str, paths: &[&str]) -> (Vec<String>, Vec<String>) {
        let folder = tempfile::tempdir().unwrap();
        for path in paths {
            fs::create_dir_all(folder.path().join(path)).unwrap();
        }
        let script = format!("exec find {part} {}", above_units(part, ""));
        let out = Command::new("bash").args(["-c", &script]).current_dir(folder.path()).output().unwrap();
        assert!(out.status.success() && out.stderr.is_empty(), "{out:?}");
        let text = String::from_utf8(out.stdout).unwrap();
        let fields: Vec<&str> = text.split_terminator('\0').collect();
        let (mut places, mut printed) = (Vec::new(), Vec::new());
        for record in fields.chunks(2) {
            let all = if record[0] == "@" { &mut places } else { &mut printed };
            all.push(record[1].to_owned());
        }
        (places, printed)
    }

    #[test]
    fn what_find_is_told_about_units_is_what_the_program_takes_for_them() {
        for (part, closed, special) in [
            (
                "repositories",
                &[
                    "repositories/c/nw/c4/ca/42/1/1.git",
                    "repositories/c/nw/c4/ca/42/1/1.wiki.git",
                    "repositories/0/01/aa/3f/gist/9.git",
                    "repositories/a/b.git",
                    "repositories/_odd/nw/c4/ca/42/1/2.git",
                ][..],
                &[
                    "repositories/__purgatory__/4711.git",
                    "repositories/__purgatory__/nw/c4/ca/42/1/1.git",
                    "repositories/info/odd.git",
                ][..],
            ),
            ("pages", &["pages/1/02/03/04/9"], &[]),
            ("storage", &["storage/e/ed"], &[]),
        ] {
            let deep: Vec<String> =
                closed.iter().chain(special).map(|path| format!("{path}/refs/heads")).collect();
            let (mut places, printed) = asked(part, &deep.iter().map(String::as_str).collect::<Vec<_>>());
            places.sort_unstable();
            let mut wanted = closed.to_vec();
            wanted.sort_unstable();
            assert_eq!(places, wanted);
            for path in &places {
                let unit = unit_of(path.as_bytes(), true);
                assert!(!unit.spine && unit.len == path.len(), "{path}");
            }
            for path in &printed {
                let unit = unit_of(path.as_bytes(), true);
                let first = path.split('/').nth(1).unwrap_or_default();
                let whole = part == "repositories" && (first.starts_with("__") || first == "info");
                assert_eq!(unit.spine, !whole, "{path}");
            }
            for path in &deep[closed.len()..] {
                assert!(printed.contains(path), "a special folder is taken whole: {path}");
            }
        }
    }
}
