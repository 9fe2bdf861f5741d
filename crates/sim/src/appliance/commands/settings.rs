//! `ghe-export-settings` and `ghe-import-settings`: the appliance's configuration as git-config text (contract §2.4).

use std::io::Cursor;

use super::{Call, Ended, call::keep, config};

pub(super) fn export(call: &Call) -> Ended {
    call.print_file(&config::file_of(&call.place, "app.settings"))?;
    Ok(0)
}

/// Importing settings does not configure an appliance (contract §10.2).
pub(super) fn import(call: &Call) -> Ended {
    let mut text = call.stdin()?;
    while text.last() == Some(&b'\n') {
        text.pop();
    }
    text.push(b'\n');
    keep(&config::file_of(&call.place, "app.settings"), &mut Cursor::new(text))?;
    call.say(" --> Importing settings...")?;
    Ok(0)
}
