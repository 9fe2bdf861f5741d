//! `ghe-export-ssl-ca-certificates` and its import: one tar, kept as it came.

use super::{Call, Ended};

/// Name of the store.
pub const STORE: &str = "ssl-ca-certificates.tar";

pub(super) fn export(call: &Call) -> Ended {
    let store = call.place.store(STORE);
    if store.exists() {
        call.print_file(&store)?;
    }
    Ok(0)
}

pub(super) fn import(call: &Call) -> Ended {
    call.keep_stdin(&call.place.store(STORE))?;
    call.say(" --> Importing CA certificates...")?;
    Ok(0)
}
