//! Pages sites: one folder per build, with names that only a lenient reader survives.

use std::{ffi::OsStr, fs, os::unix::ffi::OsStrExt};

use super::layout;
use crate::{
    appliance::Place,
    error::{OnFile, SimError},
    seed::Seed,
};

pub(super) fn write(place: &Place, seed: &Seed, count: u64) -> Result<(), SimError> {
    let seed = seed.part("pages");
    for number in 0..count {
        let site = create(place, &mut seed.part(&number.to_string()), 1 + number * 7)?;
        if number == 0 {
            let folder = place.disk("/data/user/pages").join(site).join("legacy");
            fs::create_dir_all(folder.join("empty")).on("create", &folder)?;
            for name in [&b"caf\xe9 menu.html"[..], b"two\nlines.html", b"quote'\"$x.html", b"-rf", b" "] {
                let path = folder.join(OsStr::from_bytes(name));
                fs::write(&path, name).on("write", path)?;
            }
        }
    }
    Ok(())
}

/// Makes or rebuilds one site and returns its route.
///
/// # Errors
/// A file cannot be written.
pub fn create(place: &Place, seed: &mut Seed, id: u64) -> Result<String, SimError> {
    let route = layout::page(id);
    let build = place.disk("/data/user/pages").join(&route).join(seed.hex(40));
    fs::create_dir_all(build.join("assets")).on("create", &build)?;
    for (name, len) in [("index.html", 2000), ("assets/site.css", 900), ("assets/logo.png", 4000)] {
        let bytes = if name.ends_with("png") { seed.bytes(len) } else { seed.text(len) };
        let path = build.join(name);
        fs::write(&path, bytes).on("write", path)?;
    }
    Ok(route)
}
