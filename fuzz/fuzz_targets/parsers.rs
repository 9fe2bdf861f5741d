//! Feeds the parser that `FUZZ_PARSER` names; `scripts/test fuzz` runs all of them.

#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;

#[path = "../../crates/ghevault/src/config/backup_config.rs"]
#[allow(dead_code)]
mod backup_config;

static PARSER: LazyLock<String> = LazyLock::new(|| std::env::var("FUZZ_PARSER").unwrap_or_default());

fuzz_target!(|bytes: &[u8]| {
    if *PARSER == "backup-config" {
        let _ = backup_config::parse(&String::from_utf8_lossy(bytes), |name| (name == "HOME").then(|| "/root".into()));
    } else {
        assert!(ghevault_core::fuzzing::run(&PARSER, bytes), "there is no parser `{}`", *PARSER);
    }
});
