//! What stands below the help of each verb: commands to begin with. A test parses them all, and misses none.

use super::Cli;
use clap::{Command, CommandFactory};
use std::fmt::Write as _;

/// The words of a verb and its examples; what follows two spaces and `#` is a remark.
const EXAMPLES: &[(&str, &[&str])] = &[
    (
        "trust",
        &[
            "ghevault trust  # shows the host key, and asks",
            "ghevault trust --accept SHA256:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU  # from another source",
        ],
    ),
    (
        "init",
        &[
            "ghevault init",
            "ghevault init --kms-key alias/ghevault --parts 3 --threshold 2",
            "ghevault init --vault s3://ghe-backup-b/vault --like s3://ghe-backup-a/vault  # for copies without loss",
        ],
    ),
    (
        "key create",
        &[
            "ghevault key create --kms-key alias/ghevault > key.txt  # what KMS alone decrypts, and the public half",
        ],
    ),
    ("key encrypt", &["ghevault key encrypt --kms-key alias/ghevault < id_ed25519"]),
    ("key seal", &["ghevault key seal --kms-key alias/ghevault"]),
    ("key public", &["ghevault key public  # the line for the appliance's authorized keys"]),
    (
        "key rotate",
        &[
            "ghevault key rotate --kms-key alias/ghevault --ssh-key-anew",
            "ghevault key rotate --kms-key alias/ghevault-2 --vault-key runner",
        ],
    ),
    ("key list", &["ghevault key list"]),
    ("key add", &["ghevault key add auditor --password-from file:auditor-password"]),
    ("key remove", &["ghevault key remove auditor"]),
    ("key recovery", &["ghevault key recovery --parts 5 --threshold 3 > kit.txt"]),
    ("key join", &["ghevault key join part-1.txt part-3.txt"]),
    ("doctor", &["ghevault doctor"]),
    (
        "backup",
        &[
            "ghevault backup",
            "ghevault backup --dataset mysql --dataset redis",
            "ghevault backup --full  # trusts nothing of the last snapshot",
        ],
    ),
    ("snapshots", &["ghevault snapshots", "ghevault snapshots --json"]),
    ("refs", &["ghevault refs octo/hello main", "ghevault refs octo/hello --since 3f1c2a9b"]),
    ("diff", &["ghevault diff 3f1c2a9b latest"]),
    ("findings", &["ghevault findings", "ghevault findings 3f1c2a9b"]),
    ("ack", &["ghevault ack 3f1c2a9b --reason 'repositories of the old team, CHG-1234'"]),
    (
        "hold",
        &[
            "ghevault hold 3f1c2a9b --reason 'incident 42' --until 2027-06-30",
            "ghevault hold 3f1c2a9b --release",
        ],
    ),
    (
        "forget",
        &[
            "ghevault forget --keep-hourly 48 --keep-daily 30 --keep-monthly 12 --dry-run",
            "ghevault forget 3f1c2a9b",
        ],
    ),
    ("prune", &["ghevault prune --dry-run", "ghevault prune"]),
    (
        "copy",
        &["ghevault copy --all --to s3://ghe-backup-b/vault --to-password file:/etc/ghevault/password-b"],
    ),
    (
        "repair",
        &["ghevault repair --from s3://ghe-backup-b/vault --from-password file:/etc/ghevault/password-b"],
    ),
    ("verify", &["ghevault verify", "ghevault verify --depth 2 3f1c2a9b  # reads every byte"]),
    ("drill", &["ghevault drill --depth full --html drill.html", "ghevault drill --list"]),
    ("witness publish", &["ghevault witness publish --board s3://ghe-board/notes"]),
    (
        "witness cosign",
        &[
            "ghevault witness cosign --board s3://ghe-board/notes --key 11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo==backup-b",
        ],
    ),
    (
        "witness verify",
        &[
            "ghevault witness verify --board read:s3://ghe-board/notes --key 11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo==backup-a",
        ],
    ),
    ("witness pulse", &["ghevault witness pulse"]),
    (
        "witness run",
        &["ghevault witness run  # publishes, cosigns and checks, with the boards and keys of the settings"],
    ),
    ("witness check", &["ghevault witness check --board s3://ghe-board/notes"]),
    (
        "compare",
        &[
            "ghevault compare  # with what other vaults have published",
            "ghevault compare --with s3://ghe-backup-b/vault --with-password file:/etc/ghevault/password-b",
        ],
    ),
    (
        "restore",
        &[
            "ghevault restore latest --to ghe-spare.example.com",
            "ghevault restore 3f1c2a9b --to ./out",
            "ghevault restore latest --to ./out --include /settings.json",
        ],
    ),
    (
        "restore repo",
        &[
            "ghevault restore repo octo/hello --to ./hello.git",
            "ghevault restore repo octo/hello --at 3f1c2a9b --to ./hello.bundle",
        ],
    ),
    ("export", &["ghevault export latest ./data  # as backup-utils wrote it"]),
    ("import", &["ghevault import /srv/backup-utils/data --dry-run"]),
    ("gate status", &["ghevault gate status"]),
    ("gate release", &["ghevault gate release --force  # whoever set it is dead"]),
    ("advise", &["ghevault advise", "ghevault advise ghe-replica.example.com --suspect-tampering"]),
    ("failover promote", &["ghevault failover promote ghe-replica.example.com --dry-run"]),
    ("vault check", &["ghevault vault check"]),
    ("vault extend-locks", &["ghevault vault extend-locks --for 90d"]),
    ("vault policy", &["ghevault vault policy runner"]),
    ("schedule", &["ghevault schedule"]),
    (
        "status",
        &[
            "ghevault status --check  # exits with 1 unless the vault is inside its objective",
            "ghevault status --html /var/www/backups.html",
            "ghevault status --metrics",
        ],
    ),
    ("daemon", &["ghevault daemon"]),
    ("notify test", &["ghevault notify test"]),
    ("support-bundle", &["ghevault support-bundle --to bundle.json"]),
    ("completions", &["ghevault completions bash > /etc/bash_completion.d/ghevault"]),
    ("manual", &["ghevault manual --to /usr/local/share/man/man1"]),
    ("schema", &["ghevault schema status"]),
];

/// The command line, with all that its help shows.
#[must_use]
pub fn command() -> Command {
    let mut command = Cli::command();
    for (path, lines) in EXAMPLES {
        let words: Vec<&str> = path.split(' ').collect();
        command = below(command, &words, lines);
    }
    command
}

fn below(command: Command, path: &[&str], lines: &[&str]) -> Command {
    let Some((first, rest)) = path.split_first() else { return command.after_help(text(lines)) };
    command.mut_subcommand(first, |verb| below(verb, rest, lines))
}

fn text(lines: &[&str]) -> String {
    let mut text = "Examples:".to_owned();
    for line in lines {
        let _ = write!(text, "\n  {line}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::{EXAMPLES, command};
    use clap::Command;

    /// The words of a shell's command line, up to a remark or a redirection.
    fn words(line: &str) -> Vec<String> {
        let (mut words, mut word, mut quoted) = (Vec::new(), String::new(), false);
        for letter in line.split("  # ").next().unwrap_or_default().chars().chain([' ']) {
            match letter {
                '\'' => quoted = !quoted,
                ' ' if !quoted => words.push(std::mem::take(&mut word)),
                other => word.push(other),
            }
        }
        words.into_iter().take_while(|word| !["<", ">", "|"].contains(&word.as_str())).collect()
    }

    fn leaves(verb: &Command, path: &str, found: &mut Vec<String>) {
        let verbs: Vec<_> = verb.get_subcommands().filter(|verb| verb.get_name() != "help").collect();
        if verbs.is_empty() {
            found.push(path.trim().to_owned());
        }
        for verb in verbs {
            leaves(verb, &format!("{path} {}", verb.get_name()), found);
        }
    }

    #[test]
    fn every_verb_has_an_example() {
        let mut missing = Vec::new();
        leaves(&command(), "", &mut missing);
        missing.retain(|path| !EXAMPLES.iter().any(|(known, _)| known == path));
        assert!(missing.is_empty(), "{missing:?}");
    }

    #[test]
    fn every_example_is_understood_and_is_one_of_its_verb() {
        let command = command();
        let wrong: Vec<String> = EXAMPLES
            .iter()
            .flat_map(|(path, lines)| lines.iter().map(move |line| (path, line)))
            .filter_map(|(path, line)| {
                let words = words(line);
                assert!(words[1..].join(" ").starts_with(path), "{line}");
                Some(format!("{line}: {}", command.clone().try_get_matches_from(&words).err()?))
            })
            .collect();
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    }
}
