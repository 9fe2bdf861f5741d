//! Dependencies between the crates: the simulator never reaches the product.

use crate::{Violation, violation};

/// Crates that are shipped.
const PRODUCT: &[&str] = &["crates/core/Cargo.toml", "crates/ghevault/Cargo.toml"];

/// Checks one manifest.
#[must_use]
pub fn check(path: &str, text: &str) -> Vec<Violation> {
    let mut violations = Vec::new();
    let mut section = "";
    let mut comment_above = false;
    for (index, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.starts_with('[') {
            section = line;
        }
        if PRODUCT.contains(&path) && line.starts_with("ghevault-sim") && section != "[dev-dependencies]" {
            violations.push(violation(
                path,
                index + 1,
                "the simulator is a dev-dependency of product crates only",
            ));
        }
        let names_dependency =
            section == "[workspace.dependencies]" && line.contains('=') && !line.contains("path =");
        if path == "Cargo.toml" && names_dependency && !line.starts_with('#') && !comment_above {
            violations.push(violation(path, index + 1, "a dependency has its reason in the line above"));
        }
        // A reason may stand above a few dependencies that share it; an empty line ends its reach.
        comment_above =
            line.starts_with('#') || (comment_above && !line.is_empty() && !line.starts_with('['));
    }
    violations
}

#[cfg(test)]
mod tests {
    use super::check;

    #[test]
    fn the_simulator_stays_out_of_the_product() {
        let text = "[dependencies]\nghevault-sim.workspace = true\n";
        assert_eq!(check("crates/core/Cargo.toml", text).len(), 1);
        assert!(check("crates/core/Cargo.toml", &text.replace("[dep", "[dev-dep")).is_empty());
    }

    #[test]
    fn dependencies_have_reasons() {
        assert_eq!(check("Cargo.toml", "[workspace.dependencies]\nserde = \"1\"\n").len(), 1);
        assert!(
            check("Cargo.toml", "[workspace.dependencies]\n# Records.\nserde = \"1\"\nserde_json = \"1\"\n")
                .is_empty()
        );
    }
}
