//! Checks of the source tree that are rules of this project: layers, sizes, openings, words.
//!
//! Every rule is a pure function from a file's text to violations; [`check`] reads the tree and applies them all.

pub mod layers;
pub mod manifest;
pub mod source;
pub mod words;

use std::{
    fmt, fs, io,
    path::{Path, PathBuf},
};

/// Something that a rule forbids.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// The file, from the root of the tree.
    pub path: String,
    /// The line, from 1; 0 for the file as a whole.
    pub line: usize,
    /// The rule and its reason.
    pub text: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.path, self.line, self.text)
    }
}

/// Shortens the making of violations.
pub(crate) fn violation(path: &str, line: usize, text: impl Into<String>) -> Violation {
    Violation { path: path.to_owned(), line, text: text.into() }
}

/// Checks the tree below `root`.
///
/// # Errors
/// A file or folder cannot be read.
pub fn check(root: &Path) -> io::Result<Vec<Violation>> {
    let mut violations = Vec::new();
    let mut files = Vec::new();
    collect(root, root, &mut files)?;
    files.sort();
    for path in files {
        let Ok(text) = fs::read_to_string(root.join(&path)) else { continue };
        let name = path.display().to_string();
        violations.extend(words::check(&name, &text));
        if path.extension().is_some_and(|extension| extension == "rs") {
            violations.extend(source::check(&name, &text));
            violations.extend(layers::check(&name, &text));
        }
        if name.ends_with("Cargo.toml") {
            violations.extend(manifest::check(&name, &text));
        }
    }
    Ok(violations)
}

/// Lists the files that belong to the project, relative to the root.
fn collect(root: &Path, folder: &Path, files: &mut Vec<PathBuf>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name();
        let kind = entry.file_type()?;
        if kind.is_dir() {
            if name != "target" && name != ".git" {
                collect(root, &entry.path(), files)?;
            }
        } else if kind.is_file()
            && name != "Cargo.lock"
            && let Ok(path) = entry.path().strip_prefix(root)
        {
            files.push(path.to_owned());
        }
    }
    Ok(())
}
