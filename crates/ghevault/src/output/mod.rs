//! What people and scripts see: results on stdout, everything else on stderr.

pub mod bars;
pub mod human;
pub mod lines;
pub mod table;

use ghevault_core::{
    progress::{Progress, Silent},
    restore::RestoreReport,
};
use indicatif::MultiProgress;
use serde::Serialize;
use std::{
    io::{self, IsTerminal, Write},
    sync::OnceLock,
};

/// All bars of the process, so that other lines can be written between them.
fn all_bars() -> &'static MultiProgress {
    static BARS: OnceLock<MultiProgress> = OnceLock::new();
    BARS.get_or_init(MultiProgress::new)
}

/// Runs `write` while no bar is on the screen.
pub fn beside_bars<T>(write: impl FnOnce() -> T) -> T {
    all_bars().suspend(write)
}

/// Whether stderr is a terminal.
#[must_use]
pub fn stderr_is_terminal() -> bool {
    io::stderr().is_terminal()
}

/// Writes a line to stderr. A reader that has gone away is no reason to fail.
pub fn complain(text: &str) {
    beside_bars(|| {
        let _ = writeln!(io::stderr(), "{text}");
    });
}

/// Writes a value as one line of JSON to stdout.
pub fn json_line(value: &impl Serialize) {
    if let Ok(text) = serde_json::to_string(value) {
        print_line(&text);
    }
}

/// Writes a line to stdout. A reader that has gone away is no reason to fail.
pub fn print_line(text: &str) {
    beside_bars(|| {
        let mut out = io::stdout().lock();
        let _ = writeln!(out, "{text}").and_then(|()| out.flush());
    });
}

/// How this invocation talks.
#[derive(Clone, Copy, Debug)]
pub struct Screen {
    /// Results as JSON.
    pub json: bool,
    /// No progress.
    pub quiet: bool,
}

impl Screen {
    /// How the flags ask for it.
    #[must_use]
    pub const fn new(json: bool, quiet: bool) -> Self {
        Self { json, quiet }
    }

    /// A line for people; nothing with `--json`.
    pub fn say(self, text: &str) {
        if !self.json {
            print_line(text);
        }
    }

    /// The result of a verb: `value` with `--json`, otherwise the text.
    pub fn result(self, value: &impl Serialize, text: impl FnOnce() -> String) {
        if self.json {
            json_line(value);
        } else {
            print_line(text().trim_end());
        }
    }

    /// Renders the progress of a stage: bars on a terminal, a few lines elsewhere, nothing with `--quiet`.
    #[must_use]
    pub fn progress(self) -> Box<dyn Progress> {
        if self.quiet {
            Box::new(Silent)
        } else if stderr_is_terminal() {
            Box::new(bars::Bars::new(all_bars()))
        } else {
            Box::new(lines::Lines::new(complain))
        }
    }
}

/// Shows on stderr what a restore could not give back.
pub fn problems(report: &RestoreReport) {
    const SHOWN: usize = 20;
    for problem in report.problems.iter().take(SHOWN) {
        complain(&format!("not restored: {}: {}", problem.path, problem.what));
    }
    let shown = report.problems.len().min(SHOWN) as u64;
    if report.problem_count > shown {
        complain(&format!("… and {} more", human::count(report.problem_count - shown)));
    }
}
