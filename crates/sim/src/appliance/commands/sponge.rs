//! `sponge FILE`: soaks up stdin, then writes the file; for machines without moreutils.

use std::fs;

use super::{Call, Ended};
use crate::error::OnFile;

pub(super) fn run(call: &Call) -> Ended {
    let bytes = call.stdin()?;
    match call.args.last() {
        Some(path) => fs::write(path, bytes).on("write", path)?,
        None => call.print(bytes)?,
    }
    Ok(0)
}
