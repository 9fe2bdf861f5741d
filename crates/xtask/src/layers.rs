//! Who may import whom inside the core, and what only one module may touch.

use crate::{Violation, violation};

/// Modules of the core and the modules that each may use. Errors, progress and ids are for all.
const ALLOWED: &[(&str, &[&str])] = &[
    ("appliance", &["keys"]),
    ("aws", &[]),
    ("keys", &["aws"]),
    ("vault", &["aws", "keys"]),
    ("state", &["appliance", "keys", "seal"]),
    ("seal", &["keys"]),
    ("progress", &[]),
    ("backup", &["appliance", "keys", "retention", "seal", "state", "vault"]),
    ("import", &["appliance", "backup", "keys", "restore", "retention", "seal", "state", "vault"]),
    ("verify", &["appliance", "keys", "restore", "seal", "state", "vault"]),
    ("restore", &["appliance", "backup", "keys", "seal", "state", "vault"]),
    ("retention", &["backup", "quarantine", "seal", "vault"]),
    ("quarantine", &["backup", "history", "restore", "retention", "seal", "vault"]),
    ("compare", &["backup", "history", "restore", "retention", "seal", "vault", "witness"]),
    ("history", &["appliance", "backup", "restore", "seal", "vault"]),
    ("drill", &["appliance", "backup", "restore", "seal", "vault"]),
    ("pulse", &["appliance", "backup", "compare", "history", "restore", "seal", "witness"]),
    ("witness", &["retention", "seal", "state", "vault"]),
    ("failover", &["appliance", "state"]),
    ("schedule", &["state"]),
    (
        "fuzzing",
        &[
            "appliance",
            "backup",
            "compare",
            "drill",
            "failover",
            "history",
            "import",
            "keys",
            "quarantine",
            "restore",
            "retention",
            "seal",
            "vault",
            "witness",
        ],
    ),
    ("status", &["schedule", "state"]),
    ("notify", &["state", "status"]),
];

/// Modules that every other module may use.
const FOR_ALL: &[&str] = &["causes", "progress", "clock", "ids", "settings", "cancel"];

/// The module of the core that a file belongs to.
fn module_of(path: &str) -> Option<&str> {
    let below = path.strip_prefix("crates/core/src/")?;
    let first = below.split('/').next()?;
    Some(first.strip_suffix(".rs").unwrap_or(first)).filter(|module| *module != "lib")
}

/// Checks one source file.
#[must_use]
pub fn check(path: &str, text: &str) -> Vec<Violation> {
    let mut violations = Vec::new();
    let Some(module) = module_of(path) else { return violations };
    let allowed = ALLOWED.iter().find(|(name, _)| *name == module).map(|(_, allowed)| *allowed);
    if allowed.is_none() && !FOR_ALL.contains(&module) {
        violations.push(violation(
            path,
            0,
            format!("module `{module}` is not in the table of layers (xtask/src/layers.rs)"),
        ));
    }
    for (line, code) in crate::source::code_lines(text) {
        if code.contains("rustic_") && module != "vault" {
            violations.push(violation(path, line, "only `vault` knows the format library; ask it instead"));
        }
        if code.contains("ghevault_sim") {
            violations.push(violation(
                path,
                line,
                "the product never knows the simulator; use it from tests/",
            ));
        }
    }
    for (line, code) in statements(text) {
        for used in used_modules(&code) {
            let known = ALLOWED.iter().any(|(name, _)| *name == used) || FOR_ALL.contains(&used);
            if !known || used == module || FOR_ALL.contains(&used) {
                continue;
            }
            if !allowed.unwrap_or_default().contains(&used) {
                violations.push(violation(path, line, format!("`{module}` may not use `{used}`")));
            }
        }
    }
    violations
}

/// Lines of code with their numbers; a group in braces after `crate::` stands in one with all of its lines.
fn statements(text: &str) -> Vec<(usize, String)> {
    let mut all: Vec<(usize, String)> = Vec::new();
    let mut open = false;
    for (line, code) in crate::source::code_lines(text) {
        match all.last_mut().filter(|_| open) {
            Some((_, group)) => group.push_str(code),
            None => all.push((line, code.to_owned())),
        }
        let (_, group) = &all[all.len() - 1];
        open = group
            .rsplit_once("crate::{")
            .is_some_and(|(_, rest)| rest.matches('}').count() <= rest.matches('{').count());
    }
    all
}

/// Names right after `crate::` in a statement, groups in braces included.
fn used_modules(code: &str) -> Vec<&str> {
    let mut used = Vec::new();
    for (index, _) in code.match_indices("crate::") {
        let rest = &code[index + "crate::".len()..];
        if let Some(group) = rest.strip_prefix('{') {
            let mut depth = 0_usize;
            for part in group.split(',') {
                if depth == 0 {
                    used.extend(first_name(part.trim()));
                }
                depth = (depth + part.matches('{').count()).saturating_sub(part.matches('}').count());
            }
        } else {
            used.extend(first_name(rest));
        }
    }
    used
}

/// The name that a path begins with.
fn first_name(path: &str) -> Option<&str> {
    let end = path.find(|c: char| !(c.is_alphanumeric() || c == '_')).unwrap_or(path.len());
    (end > 0).then(|| &path[..end])
}

#[cfg(test)]
mod tests {
    use super::{check, used_modules};

    fn texts(path: &str, text: &str) -> Vec<String> {
        check(path, text).into_iter().map(|violation| violation.text).collect()
    }

    #[test]
    fn appliance_and_vault_do_not_know_each_other() {
        let path = "crates/core/src/appliance/gate.rs";
        assert_eq!(texts(path, "use crate::vault::Vault;"), ["`appliance` may not use `vault`"]);
        assert_eq!(texts("crates/core/src/vault/mod.rs", "use crate::{progress::X, appliance::Y};").len(), 1);
        assert!(texts("crates/core/src/backup/run.rs", "use crate::{appliance::X, vault::Y};").is_empty());
        let group = "use crate::{\n    progress::{X, Y},\n    vault::Z,\n};\nuse crate::keys::K;\n";
        assert_eq!(texts(path, group), ["`appliance` may not use `vault`"]);
    }

    #[test]
    fn only_the_vault_imports_the_format_library() {
        assert_eq!(texts("crates/core/src/backup/run.rs", "use rustic_core::Id;").len(), 1);
        assert!(texts("crates/core/src/vault/open.rs", "use rustic_core::Id;").is_empty());
        assert!(texts("crates/core/src/backup/run.rs", "// rustic_core does this").is_empty());
    }

    #[test]
    fn the_core_does_not_know_the_simulator() {
        assert_eq!(texts("crates/core/src/backup/run.rs", "use ghevault_sim::X;").len(), 1);
        assert!(texts("crates/core/tests/backup.rs", "use ghevault_sim::X;").is_empty());
    }

    #[test]
    fn a_new_module_must_be_put_into_the_table() {
        assert_eq!(texts("crates/core/src/gossip.rs", "").len(), 1);
    }

    #[test]
    fn groups_are_taken_apart() {
        assert_eq!(used_modules("use crate::{a::{b, c}, d};"), ["a", "d"]);
        assert_eq!(used_modules("crate::a::b(crate::c::d)"), ["a", "c"]);
    }
}
