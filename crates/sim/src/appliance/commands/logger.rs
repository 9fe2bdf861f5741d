//! `logger -t TAG [TEXT]`: appends to a log that tests can read (contract §1.9).

use std::{fs, io::Write};

use super::{Call, Ended};
use crate::error::OnFile;

pub(super) fn run(call: &Call) -> Ended {
    let mut tag = "admin";
    let mut text = Vec::new();
    let mut words = call.args.iter();
    while let Some(word) = words.next() {
        match word.as_str() {
            "-t" | "--tag" => tag = words.next().map_or("", String::as_str),
            "-p" | "--priority" => _ = words.next(),
            flag if flag.starts_with('-') => {}
            _ => text.push(word.as_str()),
        }
    }
    let lines = if text.is_empty() { call.stdin_lines()? } else { vec![text.join(" ")] };
    let path = call.place.syslog();
    let mut file = fs::OpenOptions::new().append(true).create(true).open(&path).on("open", &path)?;
    for line in lines {
        file.write_all(format!("{tag}: {line}\n").as_bytes()).on("write", &path)?;
    }
    Ok(0)
}
