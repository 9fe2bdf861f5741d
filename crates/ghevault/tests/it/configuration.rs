//! Configuration as a user meets it: every mistake is named with its place, and costs nothing.

use crate::support;
use support::Desk;

#[test]
fn an_unknown_key_is_named_with_file_line_and_the_nearest_key() {
    let desk = Desk::new();
    let path = desk.write("g.toml", "vault = \"/v\"\n\n[backup]\nskpi = [\"pages\"]\n");
    let path = path.display().to_string();
    let done = desk.run(&["--config", &path, "init", "--json"]).exits(2);
    let done = done
        .complains(&format!("{path}:4: unknown key `backup.skpi`"))
        .complains("Did you mean `backup.skip`?");
    assert_eq!(done.json()["exit_code"], 2);
    assert!(!desk.path("vault").exists());
}

#[test]
fn flags_win_over_the_environment() {
    let desk = Desk::with_vault();
    desk.run(&["snapshots"]).exits(0);
    desk.run(&["snapshots", "--vault", "/nonexistent/vault"]).exits(10).complains("/nonexistent/vault");
}

#[test]
fn the_users_file_is_found_and_the_environment_wins_over_it() {
    let mut desk = Desk::new();
    desk.write(".config/ghevault/ghevault.toml", "vault = \"/nonexistent/from-file\"\n");
    desk.unset("GHEVAULT_VAULT");
    desk.run(&["snapshots"]).exits(10).complains("/nonexistent/from-file");
    desk.set("GHEVAULT_VAULT", "/nonexistent/from-environment");
    desk.run(&["snapshots"]).exits(10).complains("/nonexistent/from-environment");
}

#[test]
fn an_existing_backup_config_is_read_and_never_executed() {
    let mut desk = Desk::new();
    desk.unset("GHEVAULT_VAULT");
    let mark = desk.path("executed");
    desk.write(".github-backup-utils/backup.config", "GHE_HOSTNAME=ghe\nGHE_DATA_DIR=\"$HOME/data\"\n");
    desk.run(&["snapshots"]).exits(10).complains("/data/vault");
    let script = format!("GHE_HOSTNAME=$(touch {})\nGHE_DATA_DIR=data\n", mark.display());
    desk.write(".github-backup-utils/backup.config", &script);
    desk.run(&["snapshots"]).exits(2).complains("backup.config:1").complains("command substitution");
    assert!(!mark.exists());
    desk.set("GHE_BACKUP_CONFIG", "none");
    desk.run(&["snapshots"]).exits(2).complains("GHEVAULT_VAULT");
}

#[test]
fn a_command_line_that_is_not_understood_is_told_as_json_too() {
    let desk = Desk::new();
    let done = desk.run(&["bakcup", "--json"]).exits(2).complains("backup");
    assert_eq!(done.json()["exit_code"], 2);
    desk.run(&["--help"]).exits(0);
    desk.run(&["--version"]).exits(0);
}

#[test]
fn without_a_state_folder_the_users_own_is_taken() {
    let mut desk = Desk::new();
    desk.unset("GHEVAULT_STATE");
    desk.set("XDG_STATE_HOME", &desk.path("xdg").display().to_string());
    desk.set("GHEVAULT_HOST", "127.0.0.1:1");
    desk.set("GHEVAULT_SSH_KEY", "file:/nonexistent");
    desk.run(&["gate", "status"]).exits(2).complains("/nonexistent");
}

#[test]
fn the_process_runs_in_utc_whatever_the_environment_says() {
    let mut desk = Desk::new();
    desk.set("TZ", "America/New_York");
    let log = desk.path("log").display().to_string();
    let path = desk.write("g.toml", &format!("log_file = \"{log}\"\n"));
    desk.set("RUST_LOG", "trace");
    desk.run(&["--config", &path.display().to_string(), "snapshots"]).exits(10);
    assert!(desk.path("log").exists(), "the log goes to the file");
}

#[test]
fn each_line_of_the_log_says_of_which_run_it_is() {
    let mut desk = Desk::new();
    let log = desk.path("log");
    for format in ["json", "text"] {
        let _ = std::fs::remove_file(&log);
        desk.configure(&format!("log_file = \"{}\"\nlog_format = \"{format}\"\n", log.display()));
        desk.run(&["verify"]).exits(10);
        let text = std::fs::read_to_string(&log).expect("a log");
        let history = desk.run(&["status", "--json"]).exits(0).json();
        let run = history["runs"][0]["run"].as_str().expect("an id");
        let last = text.lines().last().expect("a line");
        if format == "json" {
            let line: serde_json::Value = serde_json::from_str(last).expect("JSON");
            assert_eq!((&line["task"], &line["run"]), (&"verify".into(), &run.into()), "{text}");
            assert_eq!(
                (&line["fields"]["message"], &line["fields"]["code"]),
                (&"the run has ended".into(), &10.into())
            );
        } else {
            assert!(last.ends_with(&format!(" task=verify run={run}")), "{text}");
        }
        assert!(text.lines().count() >= 2, "{text}");
    }
}

#[test]
fn an_empty_variable_for_the_configuration_counts_as_unset() {
    let mut desk = Desk::new();
    desk.set("GHEVAULT_CONFIG", "");
    desk.run(&["snapshots"]).exits(10);
}
