//! Programs of this host that prove things: found, run with nobody's configuration, bounded in time.

use std::{
    ffi::OsStr,
    io::Write,
    os::unix::ffi::OsStrExt,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

/// Where servers live that are not on everybody's path.
const MORE: [&str; 3] = ["/usr/sbin", "/usr/local/sbin", "/usr/libexec"];

/// The first of these programs that this host has; `path` are folders with colons between, as the face found them.
pub(super) fn find(names: &[&str], path: Option<&OsStr>) -> Option<PathBuf> {
    let bytes = path.map(OsStr::as_bytes).unwrap_or_default();
    let folders: Vec<&Path> = bytes
        .split(|b| *b == b':')
        .filter(|folder| !folder.is_empty())
        .map(|folder| Path::new(OsStr::from_bytes(folder)))
        .collect();
    let all = || folders.iter().copied().chain(MORE.iter().map(Path::new));
    names.iter().find_map(|name| all().map(|folder| folder.join(name)).find(|path| path.is_file()))
}

/// Runs a program with an input; its output, or why there is none.
pub(super) fn fed(command: &mut Command, input: &[u8]) -> Result<Output, String> {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).env("LC_ALL", "C");
    let program = command.get_program().to_string_lossy().into_owned();
    let mut child = command.spawn().map_err(|e| format!("cannot start {program}: {e}"))?;
    let stdin = child.stdin.take();
    std::thread::scope(|scope| {
        // what it does not read it does not need; its exit status tells
        scope.spawn(move || stdin.map(|mut stdin| stdin.write_all(input)));
        child.wait_with_output()
    })
    .map_err(|e| format!("cannot run {program}: {e}"))
}

/// The last lines of what a program said.
pub(super) fn said(output: &Output) -> String {
    let text = [&output.stdout[..], &output.stderr].concat();
    let text = String::from_utf8_lossy(&text);
    let lines: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let last = lines[lines.len().saturating_sub(3)..].join(" / ");
    if last.is_empty() { format!("{}", output.status) } else { last }
}
