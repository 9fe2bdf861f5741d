//! Chores of the workspace: `cargo xtask tidy` checks what the compiler does not.

use std::{path::Path, process::ExitCode};

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    if words == ["tidy"] {
        return tidy();
    }
    eprintln!("usage: cargo xtask tidy");
    ExitCode::from(2)
}

/// Prints every violation; the exit code says whether there is one.
fn tidy() -> ExitCode {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    match xtask::check(&root) {
        Ok(violations) if violations.is_empty() => {
            println!("tidy");
            ExitCode::SUCCESS
        }
        Ok(violations) => {
            for violation in &violations {
                eprintln!("{violation}");
            }
            eprintln!("{} violation(s)", violations.len());
            ExitCode::FAILURE
        }
        Err(error) => {
            eprintln!("the tree cannot be read: {error}");
            ExitCode::FAILURE
        }
    }
}
