//! From evidence and a baseline to findings. Pure.

use super::{
    evidence::{DatasetSizes, Evidence, Measures},
    finding::{Finding, FindingKind, Severity},
};

/// Fewer are never a mass.
const MASS_MIN: u64 = 3;
/// A mass is at least one in so many repositories.
const MASS_SHARE: u64 = 20;
/// Of default branches that were asked, at least one in so many is rewritten in a mass rewind.
const REWOUND_SHARE: u64 = 4;
/// A mass is more than so many times what was ever measured.
const MASS_TIMES: u64 = 4;
/// Share of changed repositories that is as an earlier snapshot shows it, from which on the appliance counts as restored.
const RESTORED_SHARE: f64 = 0.8;
/// Share of new bytes from which on deduplication counts as collapsed.
const NEW_SHARE: f64 = 0.5;
/// It is also at least so many times the median.
const NEW_TIMES: f64 = 10.0;
/// Comparisons that make a baseline for new bytes.
const BASELINE_MIN: usize = 3;
/// A dataset that was smaller says nothing when it shrinks, in bytes.
const DATASET_MIN: u64 = 64 << 10;
/// Datasets that shrink without anybody's doing: rebuilt, rotated or dumped in parts.
const SHRINKS: [&str; 5] = ["elasticsearch", "redis", "mssql", "actions", "minio"];

/// Judges a snapshot; the baseline is what earlier comparisons of this vault measured.
#[must_use]
pub fn judge(seen: &Evidence, baseline: &[Measures]) -> Vec<Finding> {
    let mut findings = Vec::new();
    masses(seen, baseline, &mut findings);
    datasets(seen, &mut findings);
    objects(seen, baseline, &mut findings);
    access(seen, &mut findings);
    if seen.other_uuid {
        let what = "the appliance has another UUID than before".to_owned();
        findings.push(Finding::new(FindingKind::OtherAppliance, Severity::Low, what, &[]));
    }
    findings.sort_by(|a, b| (b.severity, a.kind, &a.what).cmp(&(a.severity, b.kind, &b.what)));
    findings
}

fn most(baseline: &[Measures], of: fn(&Measures) -> u64) -> u64 {
    baseline.iter().map(of).max().unwrap_or_default()
}

fn masses(seen: &Evidence, baseline: &[Measures], findings: &mut Vec<Finding>) {
    let restored = seen.as_before.is_some_and(|share| share >= RESTORED_SHARE);
    let severity = if restored { Severity::Low } else { Severity::High };
    let many = |number: u64, of: u64, share: u64, ever: u64| {
        number >= MASS_MIN && number * share >= of && number > MASS_TIMES * ever
    };
    let mut is_mass = false;
    let vanished = seen.vanished.len() as u64;
    if many(vanished, seen.repositories, MASS_SHARE, most(baseline, |one| one.vanished)) {
        is_mass = true;
        let what = format!("{vanished} of {} repositories are gone", seen.repositories);
        findings.push(Finding::new(FindingKind::RepositoriesVanished, severity, what, &seen.vanished));
    }
    // what was not looked at is taken to be like what was
    let scale = |number: u64| (number * seen.changed).checked_div(seen.looked).unwrap_or_default();
    let emptied = seen.emptied.len() as u64;
    if many(scale(emptied), seen.repositories, MASS_SHARE, most(baseline, |one| one.emptied)) {
        is_mass = true;
        let what = format!(
            "{emptied} of {} repositories lost their default branch or most of their branches",
            seen.looked
        );
        findings.push(Finding::new(FindingKind::MassDeletion, severity, what, &seen.emptied));
    }
    let rewound = seen.rewound.len() as u64;
    let what =
        format!("{rewound} of {} default branches that were asked of the commits were rewritten", seen.asked);
    if many(rewound, seen.asked, REWOUND_SHARE, most(baseline, |one| one.rewound)) {
        is_mass = true;
        findings.push(Finding::new(FindingKind::MassRewind, severity, what, &seen.rewound));
    } else if rewound > 0 {
        findings.push(Finding::new(FindingKind::MassRewind, Severity::Low, what, &seen.rewound));
    }
    if restored && is_mass {
        let what = "what changed is as an earlier snapshot shows it: the appliance was restored".to_owned();
        findings.push(Finding::new(FindingKind::ApplianceRestored, Severity::Low, what, &[]));
    }
}

fn datasets(seen: &Evidence, findings: &mut Vec<Finding>) {
    for (name, sizes) in &seen.datasets {
        let DatasetSizes { before: Some((items, bytes)), after } = sizes else { continue };
        let (what, collapsed) = match after {
            None => (format!("{name} is no longer part of the backup"), None),
            Some((0, _)) if *items > 0 => (format!("{name} is empty; it had {items} items"), Some(true)),
            Some((_, after)) if *bytes >= DATASET_MIN && after * 10 < *bytes => {
                (format!("{name} has {after} bytes; it had {bytes}"), Some(true))
            }
            Some(_) => continue,
        };
        let severe = collapsed.is_some() && !SHRINKS.contains(&name.as_str());
        let severity = if severe { Severity::High } else { Severity::Low };
        findings.push(Finding::new(FindingKind::DatasetCollapsed, severity, what, &[]));
    }
}

fn objects(seen: &Evidence, baseline: &[Measures], findings: &mut Vec<Finding>) {
    let unreadable = seen.unreadable.len();
    if unreadable > 0 {
        let what = format!(
            "{unreadable} of {} new Git files that were looked into are not what their names say",
            seen.files_looked
        );
        findings.push(Finding::new(FindingKind::ObjectsUnreadable, Severity::High, what, &seen.unreadable));
    }
    let mut shares: Vec<f64> = baseline.iter().filter_map(|one| one.new_share).collect();
    shares.sort_by(f64::total_cmp);
    let median = shares.get(shares.len() / 2).copied().filter(|_| shares.len() >= BASELINE_MIN);
    let (Some(share), Some(median)) = (seen.new_share(), median) else { return };
    if share >= NEW_SHARE && share >= NEW_TIMES * median {
        // a repack or a rebuilt index is new, too; what tells them from encryption is whether Git files still are some
        let severity = if unreadable > 0 { Severity::High } else { Severity::Low };
        let what = format!(
            "{:.0} % of the snapshot's bytes are new; usually it is {:.2} %",
            share * 100.0,
            median * 100.0
        );
        findings.push(Finding::new(FindingKind::DedupCollapsed, severity, what, &[]));
    }
}

fn access(seen: &Evidence, findings: &mut Vec<Finding>) {
    let mut add = |kind, severity, list: &[String], what: &str| {
        if !list.is_empty() {
            findings.push(Finding::new(kind, severity, format!("{} {what}", list.len()), list));
        }
    };
    add(FindingKind::KeyAdded, Severity::High, &seen.keys_added, "key(s) more may enter the admin shell");
    add(FindingKind::KeyRemoved, Severity::Low, &seen.keys_removed, "key(s) less may enter the admin shell");
    add(FindingKind::AdminAdded, Severity::High, &seen.admins.made, "user(s) became site administrator(s)");
    add(
        FindingKind::AdminRemoved,
        Severity::Low,
        &seen.admins.unmade,
        "user(s) no longer are site administrators",
    );
    // an upgrade brings its own environment
    let hooks = if seen.upgraded { Severity::Low } else { Severity::High };
    add(FindingKind::HookChanged, hooks, &seen.hooks_changed, "file(s) of hooks are new or other ones");
    add(FindingKind::HookRemoved, Severity::Low, &seen.hooks_removed, "file(s) of hooks are gone");
}

#[cfg(test)]
#[path = "judge_tests.rs"]
mod tests;
