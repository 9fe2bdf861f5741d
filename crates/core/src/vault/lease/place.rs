//! The files of all leases of a vault: numbered, made once, the newest ones count.

use super::{LeaseFile, ProcessMark, Shared, later};
use crate::vault::{
    error::{VaultError, VaultResult},
    own::{OwnFile, OwnStore},
};
use jiff::Timestamp;
use std::{collections::BTreeMap, sync::Arc, time::Duration};

/// Folder of the lease files.
pub(super) const FOLDER: &str = "leases";
/// Lease files that are listed to the end; of more only the last are looked for.
const FEW: usize = 1000;

/// One file of a lease by its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Number {
    pub(super) token: u64,
    pub(super) renewal: u64,
}

impl Number {
    fn of_name(name: &str) -> Option<Self> {
        let (token, renewal) = name.strip_suffix(".json")?.split_once('-')?;
        Some(Self { token: token.parse().ok()?, renewal: renewal.parse().ok()? })
    }

    pub(super) fn name(self) -> String {
        format!("{:010}-{:06}.json", self.token, self.renewal)
    }
}

/// Lease files in their order; what has another name is left out.
fn numbered(files: Vec<OwnFile>) -> Vec<(Number, Timestamp)> {
    let mut numbers: Vec<_> =
        files.into_iter().filter_map(|file| Some((Number::of_name(&file.name)?, file.modified))).collect();
    numbers.sort_unstable();
    numbers
}

pub(super) struct Place {
    pub(super) own: Arc<dyn OwnStore>,
}

impl Place {
    pub(super) fn location(&self) -> String {
        self.own.place()
    }

    /// Files of all leases from `token` on, in their order, with the times at which they were written.
    pub(super) fn numbers(&self, token: u64) -> VaultResult<Vec<(Number, Timestamp)>> {
        let after = if token == 0 { String::new() } else { format!("{token:010}") };
        self.own.list_own(FOLDER, &after).map(numbered)
    }

    /// Files of the newest leases: of all where they are few. The writer of a bucket cannot clear away old ones, so they may be
    /// very many, and then the last token is found by halving.
    pub(super) fn newest(&self) -> VaultResult<Vec<(Number, Timestamp)>> {
        let page = self.own.first_own(FOLDER, "", FEW)?;
        if page.len() < FEW {
            return Ok(numbered(page));
        }
        let first_from = |token: u64| -> VaultResult<Option<u64>> {
            let files = self.own.first_own(FOLDER, &format!("{token:010}"), 1)?;
            Ok(files.first().and_then(|file| Number::of_name(&file.name)).map(|number| number.token))
        };
        // there is a lease with a token of `low` or more, and none with `high` or more
        let mut low = 1;
        let mut step = 1;
        let mut high = loop {
            match first_from(low + step)? {
                Some(token) => (low, step) = (token, step * 2),
                None => break low + step,
            }
        };
        while high - low > 1 {
            let middle = low + (high - low) / 2;
            match first_from(middle)? {
                Some(token) => low = token,
                None => high = middle,
            }
        }
        self.numbers(low)
    }

    /// A file of a lease; one that does not parse counts as held until it is older than `ttl`.
    pub(super) fn read(
        &self,
        (number, written): (Number, Timestamp),
        ttl: Duration,
    ) -> VaultResult<Option<LeaseFile>> {
        let Some(text) = self.own.read_own(FOLDER, &number.name())? else { return Ok(None) };
        if let Ok(lease) = serde_json::from_slice(&text) {
            return Ok(Some(lease));
        }
        let process = ProcessMark {
            host: "an unknown host".into(),
            boot: String::new(),
            namespace: String::new(),
            pid: 0,
            started: String::new(),
        };
        let until = later(written, ttl);
        Ok(Some(LeaseFile {
            holder: "somebody".into(),
            process,
            taken: written,
            until,
            released: false,
            shared: None,
        }))
    }

    /// Writes a file of a lease if it does not exist yet. Returns whether it was written.
    pub(super) fn write(&self, number: Number, lease: &LeaseFile) -> VaultResult<bool> {
        let json = serde_json::to_vec_pretty(lease)
            .map_err(|_| VaultError::Internal("a lease does not serialise"))?;
        self.own.create_own(FOLDER, &number.name(), &json)
    }

    /// Removes files that count no more. A leftover is no harm, and a bucket's writer may have no right to do it.
    pub(super) fn clear_away(&self, old: impl IntoIterator<Item = Number>) {
        for number in old {
            if self.own.remove_own(FOLDER, &number.name()).is_err() {
                return;
            }
        }
    }

    /// The last token, and what is held now: one exclusive lease, or those of a group.
    pub(super) fn live(&self, ttl: Duration) -> VaultResult<(u64, Vec<LeaseFile>)> {
        let Some(last) = self.newest()?.last().copied() else { return Ok((0, Vec::new())) };
        let Some(newest) = self.read_again(last, ttl)? else { return Ok((last.0.token, Vec::new())) };
        // Before an exclusive lease, and before the time of a group, nothing was held.
        let files = match &newest.shared {
            None => vec![newest],
            Some(shared) => {
                let mut newest_of = BTreeMap::new();
                newest_of.extend(self.numbers(shared.first)?.into_iter().map(|file| (file.0.token, file)));
                let of_time = newest_of.into_values().filter(|file| file.0.token <= last.0.token);
                let read = of_time.map(|file| self.read_again(file, ttl)).collect::<VaultResult<Vec<_>>>()?;
                read.into_iter().flatten().collect()
            }
        };
        let (now, me) = (Timestamp::now(), ProcessMark::own());
        Ok((last.0.token, files.into_iter().filter(|file| file.is_live(now, &me)).collect()))
    }

    /// A file of a lease, or the one that it was renewed by meanwhile.
    fn read_again(&self, file: (Number, Timestamp), ttl: Duration) -> VaultResult<Option<LeaseFile>> {
        if let Some(found) = self.read(file, ttl)? {
            return Ok(Some(found));
        }
        let newer = self.numbers(file.0.token)?.into_iter().rfind(|(number, _)| number.token == file.0.token);
        newer.map_or(Ok(None), |newer| self.read(newer, ttl))
    }

    /// Fails when somebody took a later lease, of another group or after another time.
    pub(super) fn is_current(&self, token: u64, shared: Option<&Shared>) -> VaultResult<()> {
        let numbers = self.numbers(token)?;
        let later = |by: u64| Err(self.lost(format!("lease {by} was taken after ours ({token})")));
        match (numbers.last().copied(), shared) {
            (None, _) => Err(self.lost(format!("the file of lease {token} is gone"))),
            (Some((last, _)), _) if last.token == token => Ok(()),
            (Some((last, _)), None) => later(last.token),
            (Some(last), Some(shared)) => {
                let newest = self.read_again(last, Duration::ZERO)?;
                let beside = newest.is_some_and(|newest| newest.shared.as_ref() == Some(shared));
                let ours = numbers.iter().any(|(number, _)| number.token == token);
                if beside && ours { Ok(()) } else { later(last.0.token) }
            }
        }
    }

    pub(super) fn lost(&self, why: String) -> VaultError {
        VaultError::LeaseLost { location: self.location(), why }
    }
}
