//! Texts that have no place in the tree: paths of one machine, and unfinished business.

use crate::{Violation, violation};

/// What is searched, in two parts so that this file does not find itself, and why it is forbidden.
const FORBIDDEN: &[(&str, &str, &str)] = &[
    ("/wo", "rk/", "a path of one machine"),
    ("/fa", "rm/", "a path of one machine"),
    ("/ro", "ot/.", "a path of one machine"),
    ("FIX", "ME", "unfinished business belongs on an issue"),
    ("XX", "X:", "unfinished business belongs on an issue"),
    ("TO", "DO:", "unfinished business belongs on an issue"),
];

/// Checks one file.
#[must_use]
pub fn check(path: &str, text: &str) -> Vec<Violation> {
    let mut violations = Vec::new();
    for (index, line) in text.lines().enumerate() {
        for (first, second, reason) in FORBIDDEN {
            let word = format!("{first}{second}");
            if standing_alone(line, &word) {
                violations.push(violation(path, index + 1, format!("`{word}`: {reason}")));
            }
        }
    }
    violations
}

/// Whether `word` begins somewhere in `line` without a letter or a path right before it.
fn standing_alone(line: &str, word: &str) -> bool {
    line.match_indices(word).any(|(index, _)| {
        !line[..index]
            .chars()
            .next_back()
            .is_some_and(|before| before.is_alphanumeric() || "._-}$*".contains(before))
    })
}

#[cfg(test)]
mod tests {
    use super::check;

    #[test]
    fn paths_of_one_machine_are_found() {
        assert_eq!(check("a.rs", concat!("let p = \"/wo", "rk/x\";")).len(), 1);
        assert!(check("a.rs", "let p = \"repository.wiki/work/x\";").is_empty());
        assert!(check("a.rs", "frame/work/x").is_empty());
    }
}
