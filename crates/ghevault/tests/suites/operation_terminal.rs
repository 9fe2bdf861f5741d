//! The progress of a long backup as a terminal shows it, in tmux. `SHOW=1` prints the screens.

use crate::support;
use ghevault_sim::build::{Recipe, Scale};
use std::{
    process::Command,
    time::{Duration, Instant},
};
use support::{Desk, appliance_of};

/// Columns of the terminal.
const WIDTH: usize = 100;

/// A terminal of its own; gone when this is dropped.
struct Terminal<'d> {
    desk: &'d Desk,
    socket: String,
}

impl<'d> Terminal<'d> {
    /// A terminal in which the program runs with these arguments; it stays open afterwards.
    fn open(desk: &'d Desk, arguments: &[&str]) -> Self {
        let terminal = Self { desk, socket: desk.path("tmux").display().to_string() };
        let program = env!("CARGO_BIN_EXE_ghevault");
        let line = format!("{program} {}; echo ended with $?; sleep 600", arguments.join(" "));
        terminal.tmux(&["new-session", "-d", "-x", &WIDTH.to_string(), "-y", "40", &line]);
        terminal
    }

    fn tmux(&self, words: &[&str]) -> String {
        let mut command = Command::new("tmux");
        command.env_clear().args(["-S", &self.socket, "-f", "/dev/null"]).args(words);
        for (name, value) in self.desk.command(&[]).get_envs() {
            command.env(name, value.unwrap_or_default());
        }
        let output = command.env("LC_ALL", "C.UTF-8").output().expect("tmux runs");
        assert!(output.status.success(), "{output:?}");
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// What the terminal shows as soon as it shows what is wanted.
    fn until(&self, wanted: impl Fn(&str) -> bool) -> String {
        let since = Instant::now();
        loop {
            let shown = self.tmux(&["capture-pane", "-p"]);
            if wanted(&shown) {
                if std::env::var_os("SHOW").is_some() {
                    println!("{shown}");
                }
                return shown.trim_end().to_owned();
            }
            assert!(since.elapsed() < Duration::from_mins(2), "it does not come:\n{shown}");
            std::thread::sleep(Duration::from_millis(100));
        }
    }
}

impl Drop for Terminal<'_> {
    fn drop(&mut self) {
        let _ = Command::new("tmux").args(["-S", &self.socket, "kill-server"]).output();
    }
}

#[test]
fn a_long_backup_shows_bars_with_an_estimate_and_leaves_one_line_for_each_part() {
    let (mut appliance, _folder) = appliance_of(&Recipe { scale: Scale::DEMO, ..Recipe::small(5) });
    let mut desk = Desk::with_vault();
    desk.trust(&mut appliance);
    let terminal = Terminal::open(&desk, &["backup", "--bwlimit", "400KiB"]);
    let bar = |line: &&str| line.contains("[=") && line.contains(" of ") && line.trim_end().ends_with("left");
    let shown = terminal.until(|shown| shown.lines().any(|line| bar(&line) && line.contains("=>")));
    let wide = shown.lines().find(|line| line.chars().count() >= WIDTH);
    assert!(wide.is_none(), "a line is as wide as the terminal: {wide:?}");
    let parts: Vec<&str> =
        shown.lines().filter(bar).filter_map(|line| line.split_whitespace().next()).collect();
    let mut once = parts.clone();
    once.dedup();
    assert_eq!(parts, once, "a part has two bars:\n{shown}");
    let end = terminal.until(|shown| shown.contains("ended with 0"));
    assert!(!end.lines().any(|line| bar(&line)), "a bar is left over:\n{end}");
    for part in ["repositories", "mysql", "settings"] {
        let lines = end.lines().filter(|line| line.starts_with(part) && line.contains(" done"));
        assert_eq!(lines.count(), 1, "{part} ends with one line:\n{end}");
    }
    assert!(end.contains("is complete: read"), "{end}");
}
