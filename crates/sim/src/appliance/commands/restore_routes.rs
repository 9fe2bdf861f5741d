//! Where restored items go, and their registration afterwards (contract §5.6).

use super::{Call, Ended};
use crate::appliance::{State, state::StoredObject};

fn server_kind(name: &str) -> &'static str {
    match name.split('-').next() {
        Some("dpages") => "pages-server",
        Some("storage") => "storage-server",
        _ => "git-server",
    }
}

/// Everything goes to this appliance's own server.
pub(super) fn routes(call: &Call, name: &str) -> Ended {
    let server = State::server(&call.place, server_kind(name));
    let mut text = String::new();
    for line in call.stdin_lines()? {
        let item = line.split(' ').next().unwrap_or_default();
        text.extend([item, " ", &server, "\n"]);
    }
    call.print(text)?;
    Ok(0)
}

/// Registers items; one warning on stderr for each that cannot be.
pub(super) fn finalize(call: &Call, name: &str) -> Ended {
    let lines = call.stdin_lines()?;
    let place = call.place.clone();
    State::update(&place, |state| {
        for line in &lines {
            let mut words = line.split(' ');
            let (first, second) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
            let route = second
                .trim_start_matches("/data/repositories/")
                .trim_start_matches("/data/user/repositories/");
            match name.split('-').next() {
                Some("gist") if place.repositories().join(route).is_dir() => {
                    _ = state.gists.insert(route.to_owned());
                }
                Some("dgit") if place.repositories().join(route).is_dir() => {
                    crate::appliance::commands::config_apply::register_network(&place, state, route)?;
                }
                Some("dpages") => _ = state.pages.insert(first.to_owned()),
                Some("storage") => {
                    let path = super::super::state::storage_path(&place, first);
                    if let Ok(meta) = std::fs::metadata(path) {
                        state.storage.insert(StoredObject { sha256: first.to_owned(), bytes: meta.len() });
                    }
                }
                _ => eprintln!("{first}: {second}"),
            }
        }
        Ok(())
    })?;
    Ok(0)
}
