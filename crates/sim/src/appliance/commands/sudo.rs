//! `sudo`, `nice`, `ionice` of the embedded door: they run the command as it is, for there is one user and no hurry.

use std::{os::unix::process::CommandExt, process::Command};

use super::{Call, Ended};
use crate::error::SimError;

pub(super) fn run(call: &Call) -> Ended {
    let mut words = call.args.iter().map(String::as_str).peekable();
    let mut variables = Vec::new();
    while let Some(word) = words.peek().copied() {
        match word {
            "--" => {
                words.next();
                break;
            }
            "-u" | "-g" | "-c" | "-p" if call.name != "nice" => _ = (words.next(), words.next()),
            "-n" if call.name != "sudo" => _ = (words.next(), words.next()),
            flag if flag.starts_with('-') => _ = words.next(),
            pair if call.name == "sudo" && pair.contains('=') && !pair.starts_with('/') => {
                variables.extend(pair.split_once('='));
                words.next();
            }
            _ => break,
        }
    }
    let Some(program) = words.next() else { return Ok(0) };
    let error = Command::new(program).args(words).envs(variables).exec();
    if error.kind() == std::io::ErrorKind::NotFound {
        eprintln!("{}: {program}: command not found", call.name);
        return Ok(127);
    }
    Err(SimError::Refused(format!("cannot run {program}: {error}")))
}
