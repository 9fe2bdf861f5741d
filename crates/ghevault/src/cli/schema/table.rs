//! The published schemas: one file each below `docs/schemas/`.

/// Takes them along.
macro_rules! published {
    ($($name:literal),* $(,)?) => {
        &[$(($name, include_str!(concat!("../../../../../docs/schemas/", $name, ".json")))),*]
    };
}

/// By name.
pub const SCHEMAS: &[(&str, &str)] = published![
    "ack",
    "advise",
    "backup",
    "compare",
    "copy",
    "diff",
    "doctor",
    "drill",
    "error",
    "export",
    "failover-promote",
    "findings",
    "forget",
    "gate",
    "hold",
    "import",
    "init",
    "key-add",
    "key-create",
    "key-encrypt",
    "key-join",
    "key-list",
    "key-public",
    "key-recovery",
    "key-remove",
    "key-rotate",
    "key-seal",
    "manual",
    "notify-test",
    "prune",
    "refs",
    "repair",
    "restore",
    "restore-repo",
    "schedule",
    "snapshots",
    "status",
    "support-bundle",
    "trust",
    "vault-check",
    "vault-extend-locks",
    "vault-policy",
    "verify",
    "witness",
    "witness-pulse",
];
