//! The audit log: indices that the target lacks, and those of this month and the last (contract §5.5).

use std::io::{BufWriter, Write};

use flate2::{Compression, write::GzEncoder};

use super::super::{content::AuditIndex, error::StepError, report::Done, run::Scene};
use crate::{appliance::quote::quote, restore::report::Problem};

/// Loads the wanted indices into a configured appliance, or leaves them for the first configuration of a fresh one.
pub fn restore(scene: &Scene<'_>) -> Result<Done, StepError> {
    let mut done = Done::default();
    let folder = scene.data("elasticsearch-restore");
    let upload = format!("{folder}/audit-log");
    let owner = quote("elasticsearch:elasticsearch");
    let (quoted, quoted_upload) = (quote(&folder), quote(&upload));
    let script = format!("sudo mkdir -p {quoted_upload} && sudo chown {owner} {quoted} {quoted_upload}");
    scene.remote.ask("make the upload folder", &script)?;
    let months = months(scene.target.clock_s);
    for index in &scene.content.audit {
        if !is_plain(&index.index) {
            let what = "is no name of an index".to_owned();
            done.problems.push(Problem { path: format!("audit-log/{}", index.file), what });
        } else if is_recent(&index.index, &months) || !stands(scene, &index.index)? {
            one(scene, index, &upload)?;
            done.items += 1;
            done.bytes += index.bytes;
        } else {
            done.unchanged += 1;
        }
    }
    let script = if scene.is_running() {
        format!("sudo rm -rf {quoted_upload}")
    } else {
        format!(
            "sudo sh -c {} && sudo rm -rf {quoted_upload}",
            quote(&format!(
                "for f in {quoted_upload}/*; do [ ! -e \"$f\" ] || mv \"$f\" {quoted}/ || exit 1; done"
            ))
        )
    };
    scene.remote.ask("clear the upload folder", &script)?;
    Ok(done)
}

fn one(scene: &Scene<'_>, index: &AuditIndex, upload: &str) -> Result<(), StepError> {
    let file = format!("{upload}/{}.gz", index.index);
    let from = format!("audit-log/{}", index.file);
    let compressed = index.compressed;
    scene.remote.upload(scene.view, &from, &file, |dump, feed| {
        if compressed {
            return dump(feed);
        }
        let mut packed = GzEncoder::new(BufWriter::new(feed), Compression::fast());
        dump(&mut packed)?;
        let stream = |source| StepError::Stream { label: format!("upload {from}"), source };
        packed.finish().and_then(|mut out| out.flush()).map_err(stream)
    })?;
    let script = format!("sudo chown elasticsearch:elasticsearch {}", quote(&file));
    scene.remote.ask("hand the upload over", &script)?;
    if scene.is_running() {
        let script = format!(
            "set -o pipefail; PATH=$PATH:/usr/local/share/enterprise; sudo gzip -dc {} | ghe-es-load-json {}",
            quote(&file),
            quote(&format!("http://localhost:9201/{}", index.index))
        );
        scene.remote.work(&format!("load {}", index.index), &script, &[])?;
    }
    Ok(())
}

/// Whether the target has the index.
fn stands(scene: &Scene<'_>, index: &str) -> Result<bool, StepError> {
    let url = quote(&format!("http://localhost:9201/{index}"));
    scene.remote.test("look for an audit-log index", &format!("curl -f -s -XGET {url} >/dev/null"))
}

/// This month and the one before on the appliance's clock, as they stand in index names.
fn months(clock_s: i64) -> [String; 2] {
    let now = jiff::Timestamp::from_second(clock_s).unwrap_or_else(|_| jiff::Timestamp::now());
    let today = now.to_zoned(jiff::tz::TimeZone::UTC);
    let (year, month) = (i32::from(today.year()), i32::from(today.month()));
    let (last_year, last_month) = if month == 1 { (year - 1, 12) } else { (year, month - 1) };
    [format!("{year:04}-{month:02}"), format!("{last_year:04}-{last_month:02}")]
}

/// `audit_log(-N)?-YYYY-MM(-N)?` with one of the months.
fn is_recent(index: &str, months: &[String; 2]) -> bool {
    let Some(rest) = index.strip_prefix("audit_log-") else { return false };
    months.iter().any(|month| {
        rest.starts_with(month.as_str())
            || rest.split_once('-').is_some_and(|(number, rest)| {
                number.bytes().all(|b| b.is_ascii_digit()) && rest.starts_with(month.as_str())
            })
    })
}

/// A name that is safe in a path and a URL.
fn is_plain(index: &str) -> bool {
    !index.is_empty()
        && !index.starts_with(['.', '-'])
        && index.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.'))
}

#[cfg(test)]
mod tests {
    use super::{is_plain, is_recent, months};

    #[test]
    fn this_month_and_the_last_are_recent() {
        let january = months(1_768_000_000);
        assert_eq!(january, ["2026-01", "2025-12"]);
        assert!(is_recent("audit_log-1-2026-01-1", &january));
        assert!(is_recent("audit_log-2025-12", &january));
        assert!(!is_recent("audit_log-1-2025-11-1", &january));
        assert!(!is_recent("other-2026-01", &january));
    }

    #[test]
    fn odd_names_are_refused() {
        assert!(is_plain("audit_log-1-2026-01-1"));
        for odd in ["", "../x", "a/b", "a b", "a?b", ".x"] {
            assert!(!is_plain(odd), "{odd}");
        }
    }
}
