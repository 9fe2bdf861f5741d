//! Gists: small repositories named by 32 hexadecimal digits, or by a number if old.

use std::path::Path;

use super::{
    git::{self, Format},
    history::History,
    layout,
};
use crate::{appliance::Place, error::SimError, seed::Seed};

pub(super) fn write(place: &Place, seed: &Seed, count: u64) -> Result<(), SimError> {
    let seed = seed.part("gists");
    for number in 0..count {
        let mut seed = seed.part(&number.to_string());
        let name = if number == 0 { "1234".to_owned() } else { seed.hex(32) };
        create(place, &mut seed, &name)?;
    }
    Ok(())
}

/// Makes one gist and returns its route.
///
/// # Errors
/// A file cannot be written, or `git` fails.
pub fn create(place: &Place, seed: &mut Seed, name: &str) -> Result<String, SimError> {
    create_at(&place.repositories().join(layout::gist(name)), seed, name)
}

/// Makes one gist in a folder of any name, and returns the route that it should have.
///
/// # Errors
/// As [`create`].
pub fn create_at(repository: &Path, seed: &mut Seed, name: &str) -> Result<String, SimError> {
    let route = layout::gist(name);
    git::skeleton(repository, &format!("gist/{name}"), Format::Sha1)?;
    let mut history = History::new(seed.part("history"));
    let commits = seed.between(1, 4);
    history.commits("refs/heads/main", None, commits);
    git::import(repository, &history.finish(), false)?;
    Ok(route)
}
