//! Errors that verbs and the configuration make up themselves, out of their source: the text of each that stands there as one, with the
//! hint that follows it.

use super::Kind;
use std::{
    fs,
    path::{Path, PathBuf},
};

/// An error as it stands in the source; what is named at the time stands in capitals.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Written {
    pub message: String,
    pub code: u8,
    pub hint: String,
}

/// The ways to make one, with the kind that they stand for.
const WAYS: [(&str, Option<Kind>); 3] = [
    ("CommandError::usage(", Some(Kind::Usage)),
    ("CommandError::failure(", Some(Kind::Failure)),
    ("CommandError::new(", None),
];

/// All of them, sorted, each once.
pub fn all() -> Vec<Written> {
    let mut found = Vec::new();
    for path in sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src")) {
        let source = fs::read_to_string(&path).expect("readable");
        // Tests stand at the end of a file.
        found.extend(of_source(source.split("#[cfg(test)]\nmod ").next().unwrap_or_default()));
    }
    found.sort();
    found.dedup();
    found
}

/// Source files, but those of the page itself.
fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() && !path.ends_with("catalogue") {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|ending| ending == "rs") && !path.ends_with("error.rs") {
            found.push(path);
        }
    }
    found
}

/// The errors of one source.
fn of_source(source: &str) -> Vec<Written> {
    let mut found = Vec::new();
    for (way, kind) in WAYS {
        for (at, _) in source.match_indices(way) {
            let inside = &source[at + way.len()..];
            let end = closing(inside);
            let Some(message) = literal(&inside[..end]) else { continue };
            let kind = kind.or_else(|| {
                let name = inside.split_once("Kind::")?.1;
                Kind::ALL.into_iter().find(|kind| name.starts_with(&format!("{kind:?},")))
            });
            let Some(kind) = kind else { continue };
            // A text that is all placeholders is another type's.
            if message.chars().any(char::is_lowercase) {
                found.push(Written { message, code: kind.exit_code(), hint: hint(&inside[end..]) });
            }
        }
    }
    found
}

/// The hint in the calls that follow: `.because_of(…)`, `.hint(…)`.
fn hint(mut rest: &str) -> String {
    loop {
        let Some(call) = rest.trim_start_matches([')', ' ', '\n']).strip_prefix('.') else {
            return String::new();
        };
        let Some((name, inside)) = call.split_once('(') else { return String::new() };
        let end = closing(inside);
        match name {
            "hint" => return literal(&inside[..end]).unwrap_or_default(),
            "because_of" => rest = &inside[end..],
            _ => return String::new(),
        }
    }
}

/// Where the parenthesis that was opened before is closed.
fn closing(text: &str) -> usize {
    let (mut depth, mut in_text, mut escaped) = (1, false, false);
    for (at, c) in text.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' if in_text => escaped = true,
            '"' => in_text = !in_text,
            '(' if !in_text => depth += 1,
            ')' if !in_text => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return at;
        }
    }
    text.len()
}

/// The first text in a piece of source, for people.
fn literal(source: &str) -> Option<String> {
    let (_, rest) = source.split_once('"')?;
    let (mut text, mut chars) = (String::new(), rest.chars().peekable());
    while let Some(c) = chars.next() {
        match c {
            '"' => return Some(text),
            '\\' => match chars.next()? {
                '\n' => while chars.next_if(|c| c.is_whitespace()).is_some() {},
                'n' => text.push(' '),
                other => text.push(other),
            },
            '{' if chars.peek() == Some(&'{') => text.extend(chars.next()),
            '}' if chars.peek() == Some(&'}') => text.extend(chars.next()),
            '{' => text.push_str(&placeholder(&chars.by_ref().take_while(|c| *c != '}').collect::<String>())),
            other => text.push(other),
        }
    }
    None
}

/// What stands for a value.
fn placeholder(name: &str) -> String {
    let name: String = name.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
    if name.is_empty() { "…".to_owned() } else { name.to_uppercase() }
}

#[test]
fn errors_are_read_from_source_with_their_hints() {
    let source = r#"
        CommandError::usage(format!("`{key}` is {}, \"no\" (for {{x}}) \
             number", text)).because_of(Some(&e)).hint("Write (one)."),
        CommandError::new(Kind::Damage, message).hint("never"),
        CommandError::new(Kind::Damage, "it is broken"),
        CommandError::failure(error.to_string()),
    "#;
    let written =
        |message: &str, code, hint: &str| Written { message: message.into(), code, hint: hint.into() };
    assert_eq!(
        of_source(source),
        [written("`KEY` is …, \"no\" (for {x}) number", 2, "Write (one)."), written("it is broken", 13, ""),]
    );
}
