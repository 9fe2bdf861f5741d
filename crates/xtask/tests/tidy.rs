//! The tree itself obeys the rules.

use std::path::Path;

#[test]
fn the_tree_is_tidy() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let violations = xtask::check(&root).expect("the tree can be read");
    let texts: Vec<String> = violations.iter().map(ToString::to_string).collect();
    assert!(texts.is_empty(), "{} violation(s):\n{}", texts.len(), texts.join("\n"));
}
