//! Tells whether two appliances hold the same: every dataset, file by file, and each repository's references and objects.
//!
//! Left out is what no backup carries: caches, half-received packs, the gate, unpacked hook environments, and the traces
//! that clients leave.

mod fleet;
mod repositories;
mod small;
mod tree;

use std::fmt::Write as _;

use serde::Serialize;

use crate::{appliance::Place, error::SimError};

/// What to look at.
#[derive(Clone, Debug, Default)]
pub struct Aspects {
    /// Datasets to leave out, by the name in the report.
    pub skip: Vec<String>,
    /// Compare owners of files by number too.
    pub owners: bool,
    /// Compare modification times of files and folders too (whole seconds).
    pub times: bool,
}

/// One dataset of the report.
#[derive(Clone, Debug, Serialize)]
pub struct Row {
    /// Its name.
    pub dataset: String,
    /// How many items there are on either side.
    pub items: u64,
    /// What is different, one line each.
    pub differences: Vec<String>,
}

/// The comparison of two appliances.
#[derive(Clone, Debug, Serialize)]
pub struct Comparison {
    /// One row per dataset.
    pub datasets: Vec<Row>,
    /// Whether no row has a difference.
    pub equal: bool,
}

impl Comparison {
    /// A table for people.
    #[must_use]
    pub fn table(&self) -> String {
        let mut text = format!("{:<18} {:>8}  result\n", "dataset", "items");
        for row in &self.datasets {
            let result = match row.differences.len() {
                0 => "equal".to_owned(),
                count => format!("{count} different"),
            };
            let _ = writeln!(text, "{:<18} {:>8}  {result}", row.dataset, row.items);
            for difference in row.differences.iter().take(5) {
                let _ = writeln!(text, "{:<18} {:>8}    {difference}", "", "");
            }
        }
        text
    }

    /// All differences as `dataset: what`.
    #[must_use]
    pub fn differences(&self) -> Vec<String> {
        let of = |row: &Row| {
            row.differences.iter().map(|what| format!("{}: {what}", row.dataset)).collect::<Vec<_>>()
        };
        self.datasets.iter().flat_map(of).collect()
    }
}

/// Collects one row.
#[derive(Debug, Default)]
pub(crate) struct Finding {
    pub(crate) items: u64,
    pub(crate) differences: Vec<String>,
}

impl Finding {
    pub(crate) fn differs(&mut self, what: impl Into<String>) {
        self.differences.push(what.into());
    }
}

/// One way of comparing one dataset.
type Compare = fn(&Place, &Place, &Aspects) -> Result<Finding, SimError>;

/// The datasets in the order of the report.
const DATASETS: [(&str, Compare); 23] = [
    ("networks", tree::networks),
    ("gists", tree::gists),
    ("layout", tree::layout),
    ("special", tree::special),
    ("references", repositories::references),
    ("objects", repositories::objects),
    ("pages", tree::pages),
    ("storage", tree::storage),
    ("git-hooks", tree::git_hooks),
    ("elasticsearch", tree::elasticsearch),
    ("audit-log", small::audit_log),
    ("mysql", small::mysql),
    ("redis", small::redis),
    ("mssql", small::mssql),
    ("actions", tree::actions),
    ("minio", tree::minio),
    ("settings", small::settings),
    ("secrets", small::secrets),
    ("license", small::license),
    ("saml-keys", small::saml_keys),
    ("ca-certificates", small::ca_certificates),
    ("identity", small::identity),
    ("registered", small::registered),
];

/// Compares what two folders hold: appliances, or fleets (of a pair the primary, of a cluster the union of its machines).
///
/// # Errors
/// As [`compare`].
pub fn compare_folders(
    a: &std::path::Path,
    b: &std::path::Path,
    aspects: &Aspects,
) -> Result<Comparison, SimError> {
    let (a, b) = (fleet::Side::open(a)?, fleet::Side::open(b)?);
    let mut comparison = compare(&a.place, &b.place, aspects)?;
    let differences: Vec<String> = a.torn.into_iter().chain(b.torn).collect();
    if !differences.is_empty() {
        comparison.equal = false;
        let items = differences.len() as u64;
        comparison.datasets.push(Row { dataset: "machines".to_owned(), items, differences });
    }
    Ok(comparison)
}

/// Compares two appliances.
///
/// # Errors
/// A file cannot be read, or `git` fails.
pub fn compare(a: &Place, b: &Place, aspects: &Aspects) -> Result<Comparison, SimError> {
    let mut datasets = Vec::new();
    for (dataset, compare) in DATASETS {
        if !aspects.skip.iter().any(|skipped| skipped == dataset) {
            let Finding { items, differences } = compare(a, b, aspects)?;
            datasets.push(Row { dataset: dataset.to_owned(), items, differences });
        }
    }
    let equal = datasets.iter().all(|row| row.differences.is_empty());
    Ok(Comparison { datasets, equal })
}
