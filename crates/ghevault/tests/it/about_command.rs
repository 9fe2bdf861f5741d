//! What tells of the program itself: completions, manual, schemas; and the bundle for those who help.

use crate::support;
use std::{fs, path::Path, process::Command};
use support::{Desk, Done, appliance, schema};

/// All verbs that the help lists.
fn verbs(desk: &Desk) -> Vec<String> {
    let help = desk.run(&["--help"]).exits(0).stdout;
    let list =
        help.split("Commands:").nth(1).expect("commands").split("Global options:").next().expect("an end");
    let first = |line: &str| {
        line.strip_prefix("  ")
            .filter(|rest| rest.starts_with(|c: char| c.is_ascii_lowercase()))
            .map(str::to_owned)
    };
    list.lines()
        .filter_map(first)
        .filter_map(|line| line.split_whitespace().next().map(str::to_owned))
        .collect()
}

#[test]
fn completions_and_manual_work_with_any_configuration_and_name_every_verb() {
    let mut desk = Desk::new();
    desk.set("GHEVAULT_CONFIG", "/nowhere/ghevault.toml");
    let verbs = verbs(&desk);
    assert!(verbs.len() > 25, "{verbs:?}");
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let text = desk.run(&["completions", shell]).exits(0).stdout;
        for verb in &verbs {
            assert!(text.contains(verb.as_str()), "{shell} does not know {verb}");
        }
    }
    let script = desk.write("completions", &desk.run(&["completions", "bash"]).exits(0).stdout);
    let asked = "COMP_WORDS=(ghevault sched); COMP_CWORD=1; _ghevault ghevault sched ghevault; echo \"${COMPREPLY[@]}\"";
    let bash = Command::new("bash").args(["-c", &format!("source '{}'; {asked}", script.display())]).output();
    assert_eq!(String::from_utf8_lossy(&bash.expect("bash runs").stdout).trim(), "schedule");
    let folder = desk.path("man");
    desk.run(&["manual", "--to", &folder.display().to_string()]).exits(0);
    for verb in verbs.iter().filter(|verb| *verb != "help") {
        let page = fs::read_to_string(folder.join(format!("ghevault-{verb}.1"))).expect("a page");
        assert!(page.contains(".SH NAME") && page.contains(".SH SYNOPSIS"), "{page}");
    }
    assert!(folder.join("ghevault-vault-extend-locks.1").exists());
}

#[test]
fn every_published_schema_is_printed_and_the_error_line_fits_its_own() {
    let desk = Desk::new();
    let names = desk.run(&["schema"]).exits(0).stdout;
    let files: Vec<String> = fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/schemas"))
        .expect("schemas")
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.strip_suffix(".json").map(str::to_owned))
        .collect();
    let mut listed: Vec<&str> = names.lines().collect();
    listed.sort_unstable();
    let mut wanted: Vec<&str> = files.iter().map(String::as_str).collect();
    wanted.sort_unstable();
    assert_eq!(listed, wanted);
    for name in listed {
        let schema: serde_json::Value =
            serde_json::from_str(&desk.run(&["schema", name]).exits(0).stdout).expect("JSON");
        assert_eq!(schema["$schema"], "https://json-schema.org/draft/2020-12/schema", "{name}");
        assert!(schema["title"].is_string(), "{name}");
    }
    desk.run(&["schema", "bakcup"]).exits(2).complains("there is no schema");
}

/// Every verb as it is typed, those below others included.
fn typed(desk: &Desk, words: &[&str], all: &mut Vec<String>) {
    let help = desk.run(&[words, &["--help"]].concat()).exits(0).stdout;
    let section = help.split("Commands:\n").nth(1).unwrap_or_default();
    let lines = section.lines().take_while(|line| line.starts_with("  "));
    // What is further in is the rest of a description.
    let rows = lines.filter_map(|line| line.strip_prefix("  ").filter(|rest| !rest.starts_with(' ')));
    let names = rows.filter_map(|line| line.split_whitespace().next());
    let below: Vec<&str> = names.filter(|name| *name != "help").collect();
    if below.is_empty() && !words.is_empty() {
        all.push(words.join(" "));
    }
    for name in below {
        typed(desk, &[words, &[name]].concat(), all);
    }
}

#[test]
fn every_verb_has_a_published_schema_and_no_schema_is_of_a_verb_that_is_gone() {
    let mut all = Vec::new();
    typed(&Desk::new(), &[], &mut all);
    // Such a verb has results of its own beside those below it.
    all.push("restore".to_owned());
    assert!(all.len() > 40, "{all:?}");
    let mut used = vec!["error".to_owned()];
    for verb in all.iter().filter(|verb| !schema::TEXTS.contains(&verb.as_str())) {
        let words: Vec<&str> = verb.split(' ').collect();
        used.push(schema::name_of(&words).unwrap_or_else(|| panic!("`{verb}` has no schema")));
    }
    let published = Desk::new().run(&["schema"]).exits(0).stdout;
    let left: Vec<&str> = published.lines().filter(|name| !used.iter().any(|one| one == name)).collect();
    assert!(left.is_empty(), "no verb prints {left:?}");
}

#[test]
fn what_a_schema_does_not_name_and_what_it_misses_is_found() {
    let good = serde_json::json!({ "file": "bundle.json", "bytes": 12 });
    assert_eq!(schema::faults("support-bundle", &good), "");
    for wrong in [
        serde_json::json!({ "file": "bundle.json" }),
        serde_json::json!({ "file": "bundle.json", "bytes": -1 }),
        serde_json::json!({ "file": "bundle.json", "bytes": 12, "more": true }),
    ] {
        assert!(!schema::faults("support-bundle", &wrong).is_empty(), "{wrong}");
    }
}

#[test]
fn a_support_bundle_has_what_helps_and_no_secret() {
    let (mut appliance, _folder) = appliance(1);
    let mut desk = Desk::with_vault();
    desk.trust(&mut appliance);
    desk.write("hook", "https://hooks.example.com/services/T00/s3cretpath\n");
    desk.write("mail", "smtps://me:s3cretmail@mail.example.com\n");
    desk.set("HOOKKEY", "s3cretkey42");
    let log = desk.path("log");
    desk.configure(&format!(
            "log_file = \"{}\"\n[notify]\nslack = \"file:hook\"\nmail = \"file:mail\"\nmail_from = \"a@example.com\"\n\
             mail_to = [\"b@example.com\"]\nwebhook_key = \"env:HOOKKEY\"\n[schedule]\nbackup = \"hourly\"\n",
            log.display()
        ));
    desk.run(&["backup"]).exits(0);
    // Whatever stands in the log by somebody's mistake is taken out, too.
    let mistake = "sent to https://me:s3cretmail@mail.example.com with s3cretkey42 and correct horse\n";
    fs::write(&log, format!("{}{mistake}", fs::read_to_string(&log).unwrap_or_default())).expect("written");
    let bundle = desk.path("bundle.json");
    desk.run(&["support-bundle", "--to", &bundle.display().to_string()]).exits(0);
    let text = fs::read_to_string(&bundle).expect("a bundle");
    let key = fs::read_to_string(appliance.client_key()).expect("a key");
    let seal = fs::read_to_string(desk.path("state/seal.key")).unwrap_or_default();
    let lines = key.lines().chain(seal.lines()).filter(|line| line.len() > 20 && !line.starts_with("-----"));
    for secret in ["s3cret", "correct horse"].into_iter().chain(lines) {
        assert!(!text.contains(secret), "`{secret}` is in {text}");
    }
    let value: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!(value["history"][0]["result"], "complete", "{text}");
    assert!(text.contains("sent to https://(secret)@mail.example.com"), "{text}");
    let setting = |key: &str| {
        value["settings"]
            .as_array()
            .expect("rows")
            .iter()
            .find(|row| row["key"] == key)
            .cloned()
            .expect("set")
    };
    assert_eq!(setting("notify.webhook_key")["value"], "env:HOOKKEY");
    assert!(setting("schedule.backup")["origin"].as_str().is_some_and(|origin| origin.contains("g.toml:")));
    assert!(
        value["state"].as_array().is_some_and(|files| files.iter().any(|file| file["name"] == "seal.key"))
    );
}

/// Where /proc is hidden, the program does not find its own file.
#[test]
fn without_proc_it_says_that_utc_must_be_set_and_with_utc_it_works() {
    let desk = Desk::new();
    let hidden = |zone: &str| {
        let script = format!("mount -t tmpfs none /proc && {zone} && exec \"$@\"");
        let program = env!("CARGO_BIN_EXE_ghevault");
        let words = ["--user", "--map-root-user", "--mount", "sh", "-c", &script, "sh", program, "init"];
        let like = desk.command(&[]);
        let variables = like.get_envs().filter_map(|(name, value)| Some((name, value?)));
        let mut unshare = Command::new("unshare");
        unshare.args(words).env_clear().envs(variables).current_dir(desk.path(""));
        Done::of(&unshare.output().expect("unshare (util-linux) must be installed"))
    };
    hidden("unset TZ").exits(1).complains("/proc is hidden or not mounted").complains("Set TZ=UTC");
    hidden("export TZ=UTC").exits(0);
    desk.run(&["snapshots"]).exits(0);
}
