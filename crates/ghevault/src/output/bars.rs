//! Progress as bars with rate and estimate, for terminals.

use super::human;
use ghevault_core::progress::{Event, Progress};
use indicatif::{HumanDuration, MultiProgress, ProgressBar, ProgressState, ProgressStyle};
use std::{
    collections::BTreeMap,
    fmt,
    sync::{Mutex, PoisonError},
    time::Duration,
};

/// Renders events as one bar per running part, and a line for each that has ended.
pub struct Bars {
    screen: &'static MultiProgress,
    parts: Mutex<BTreeMap<String, (ProgressBar, u64)>>,
}

/// A part of which the size is known.
const SIZED: &str = "{prefix:16} [{bar:28}] {binary_bytes:>11} of {binary_total_bytes:11} {binary_bytes_per_sec:>13} {left:>9}";
/// A part of which it is not.
const UNSIZED: &str = "{prefix:16} {spinner} {binary_bytes:>11} {msg:16} {binary_bytes_per_sec:>13}";

impl Bars {
    /// Bars on this screen.
    #[must_use]
    pub fn new(screen: &'static MultiProgress) -> Self {
        Self { screen, parts: Mutex::default() }
    }

    /// Begins a part.
    fn start(&self, part: &str, expected: Option<u64>) -> ProgressBar {
        let bar = match expected {
            Some(bytes) => ProgressBar::new(bytes).with_style(style(SIZED)),
            None => ProgressBar::no_length().with_style(style(UNSIZED)),
        };
        let bar = self.screen.add(bar.with_prefix(part.to_owned()));
        bar.enable_steady_tick(Duration::from_millis(200));
        bar
    }
}

/// The style of a template; one that the library does not understand falls back to its own.
fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template)
        .unwrap_or_else(|_| ProgressStyle::default_bar())
        .with_key("left", left)
        .progress_chars("=> ")
}

/// An estimate, as soon as there is something to estimate from.
fn left(state: &ProgressState, out: &mut dyn fmt::Write) {
    if state.pos() > 0 {
        let _ = write!(out, "{:#} left", HumanDuration(state.eta()));
    }
}

impl Progress for Bars {
    fn event(&self, event: Event<'_>) {
        let mut parts = self.parts.lock().unwrap_or_else(PoisonError::into_inner);
        match event {
            Event::Started { part, bytes_expected } => {
                parts.insert(part.to_owned(), (self.start(part, bytes_expected), 0));
            }
            Event::Expected { part, bytes } => {
                if let Some((bar, _)) = parts.get(part) {
                    if bar.length().is_none() {
                        bar.set_style(style(SIZED));
                    }
                    bar.set_length(bar.length().unwrap_or_default() + bytes);
                }
            }
            Event::Advanced { part, bytes, items } => {
                if let Some((bar, done)) = parts.get_mut(part) {
                    *done += items;
                    bar.inc(bytes);
                    // More than was expected: the estimate was too low, so it grows along.
                    if bar.length().is_some_and(|length| length < bar.position()) {
                        bar.set_length(bar.position());
                    }
                    bar.set_message(format!("{} items", human::count(*done)));
                }
            }
            Event::Ended { part, ok } => {
                if let Some((bar, items)) = parts.remove(part) {
                    let verdict = if ok { "done" } else { "NOT COMPLETE" };
                    let line = format!(
                        "{part:16} {verdict}{} in {}",
                        human::moved(bar.position(), items),
                        human::duration(bar.elapsed())
                    );
                    bar.finish_and_clear();
                    self.screen.remove(&bar);
                    super::complain(&line);
                }
            }
            Event::Warning { text } => super::complain(&format!("warning: {text}")),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{SIZED, UNSIZED};
    use indicatif::ProgressStyle;

    #[test]
    fn the_templates_are_understood() {
        for template in [SIZED, UNSIZED] {
            assert!(ProgressStyle::with_template(template).is_ok(), "{template}");
        }
    }
}
