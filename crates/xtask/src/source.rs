//! How a source file looks: opening, length, no printing in the core, no tests that do not run.

use crate::{Violation, violation};

/// Most lines of a source file, its inline tests aside.
const LINES_MAX: usize = 400;

/// Files that may be longer: path, lines, reason. None at present.
const LONGER: &[(&str, usize, &str)] = &[];

/// What the core must not do, and what to do instead.
const FORBIDDEN_IN_CORE: &[(&str, &str)] = &[
    ("println!", "the core prints nothing; report through `Progress` or `tracing`"),
    ("print!", "the core prints nothing; report through `Progress` or `tracing`"),
    ("eprintln!", "the core prints nothing; report through `Progress` or `tracing`"),
    ("eprint!", "the core prints nothing; report through `Progress` or `tracing`"),
    ("dbg!", "the core prints nothing; report through `Progress` or `tracing`"),
    ("process::exit", "the core ends no process; return an error"),
    ("std::env", "the core reads no environment; take a setting"),
    ("env::var", "the core reads no environment; take a setting"),
    ("env::temp_dir", "the core reads no environment; take a folder"),
    ("todo!", "unfinished"),
    ("unimplemented!", "unfinished"),
];

/// Lines that are code, with their numbers: no comments, nothing after `#[cfg(test)]` at the left margin.
pub fn code_lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
    text.lines()
        .enumerate()
        .take_while(|(_, line)| *line != "#[cfg(test)]")
        .map(|(index, line)| (index + 1, line))
        .filter(|(_, line)| !line.trim_start().starts_with("//"))
}

/// Whether `word` stands in `code` with nothing of a name before it.
fn has_word(code: &str, word: &str) -> bool {
    code.match_indices(word).any(|(index, _)| {
        !code[..index].chars().next_back().is_some_and(|before| before.is_alphanumeric() || before == '_')
    })
}

/// Checks one source file.
#[must_use]
pub fn check(path: &str, text: &str) -> Vec<Violation> {
    let mut violations = Vec::new();
    if !text.starts_with("//! ") {
        violations.push(violation(path, 1, "a file opens with `//!`: what it is and why it exists"));
    }
    let lines = text.lines().take_while(|line| *line != "#[cfg(test)]").count();
    let most = LONGER.iter().find(|(name, ..)| *name == path).map_or(LINES_MAX, |(_, most, _)| *most);
    if lines > most {
        violations.push(violation(path, lines, format!("{lines} lines; cut the file, {most} are the limit")));
    }
    for (index, line) in text.lines().enumerate() {
        if line.trim_start().starts_with("#[ignore") {
            violations.push(violation(path, index + 1, "a test that does not run is no test"));
        }
    }
    // Files that hold only tests of a module stand beside it.
    if path.starts_with("crates/core/src/") && !path.ends_with("_tests.rs") && !path.ends_with("/tests.rs") {
        for (line, code) in code_lines(text) {
            for (word, reason) in FORBIDDEN_IN_CORE {
                if has_word(code, word) {
                    violations.push(violation(path, line, format!("`{word}`: {reason}")));
                }
            }
        }
    }
    violations
}

#[cfg(test)]
mod tests {
    use super::{LINES_MAX, check};

    #[test]
    fn a_file_must_say_why_it_exists() {
        assert_eq!(check("crates/sim/src/a.rs", "fn a() {}\n").len(), 1);
        assert!(check("crates/sim/src/a.rs", "//! Why.\nfn a() {}\n").is_empty());
    }

    #[test]
    fn long_files_are_cut() {
        let text = format!("//! Why.\n{}", "\n".repeat(LINES_MAX));
        assert_eq!(check("crates/sim/src/a.rs", &text).len(), 1);
    }

    #[test]
    fn the_core_neither_prints_nor_reads_the_environment() {
        let path = "crates/core/src/a.rs";
        for code in
            ["println!(\"x\")", "eprintln!()", "std::process::exit(1)", "std::env::var(\"X\")", "dbg!(1)"]
        {
            assert!(!check(path, &format!("//! Why.\n{code}\n")).is_empty(), "{code}");
            assert!(check("crates/sim/src/a.rs", &format!("//! Why.\n{code}\n")).is_empty(), "{code}");
        }
        assert!(check(path, "//! Why.\n// println! is forbidden\n").is_empty());
        assert!(check(path, "//! Why.\n#[cfg(test)]\nmod tests { fn a() { println!(); } }\n").is_empty());
    }

    #[test]
    fn tests_must_run() {
        let text = concat!("//! Why.\n    #[", "ignore = \"slow\"]\n");
        assert_eq!(check("crates/sim/src/a.rs", text).len(), 1);
    }
}
