//! `ps` of the embedded door: lists the processes of this appliance only, one line of arguments each.
//!
//! The machine may lack `ps`, and other appliances on it must not look like this one's maintenance (contract §3.2).

use std::fs;

use super::{Call, Ended};
use crate::{appliance::place::DIR_VARIABLE, error::OnFile};

pub(super) fn run(call: &Call) -> Ended {
    let wanted = format!("{DIR_VARIABLE}={}", call.place.root().display());
    let mut lines = vec!["COMMAND".to_owned()];
    for entry in fs::read_dir("/proc").on("list", "/proc")?.flatten() {
        let folder = entry.path();
        let Ok(environment) = fs::read(folder.join("environ")) else { continue };
        if !environment.split(|byte| *byte == 0).any(|variable| variable == wanted.as_bytes()) {
            continue;
        }
        let Ok(args) = fs::read(folder.join("cmdline")) else { continue };
        let words: Vec<_> = args.split(|byte| *byte == 0).map(String::from_utf8_lossy).collect();
        lines.push(words.join(" ").trim_end().to_owned());
    }
    call.print(lines.join("\n") + "\n")?;
    Ok(0)
}
