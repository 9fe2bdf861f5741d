//! The documentation names only what exists: every verb and flag that stands in a command is known to `--help`, every
//! variable of backup-utils has its line in the migration page, every link leads somewhere, every configuration file is accepted.

use crate::support;
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};
use support::Desk;

/// Folder of the whole source.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().expect("the source")
}

/// README and all pages of `docs/`, with their text.
fn pages() -> BTreeMap<PathBuf, String> {
    let mut found = vec![root().join("README.md"), root().join("CONTRIBUTING.md")];
    let mut folders = vec![root().join("docs")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|ending| ending == "md") {
                found.push(path);
            }
        }
    }
    let read = |path: PathBuf| {
        let text = fs::read_to_string(&path).expect("readable");
        (path, text)
    };
    found.into_iter().map(read).collect()
}

/// Every piece of a page in which a command may stand: lines of blocks, and what is between backticks elsewhere.
fn commands(text: &str) -> Vec<(usize, String)> {
    let mut commands = Vec::new();
    let mut fenced = None;
    for (number, line) in text.lines().enumerate() {
        let at = number + 1;
        if let Some(kind) = line.strip_prefix("```") {
            fenced = if fenced.is_some() { None } else { Some(kind.to_owned()) };
        } else if let Some(kind) = &fenced {
            // What a command prints is no command.
            let typed = || line.strip_prefix("$ ").or_else(|| line.strip_prefix("> ")).unwrap_or_default();
            let line = if kind.starts_with("console") { typed() } else { line };
            commands.push((at, line.to_owned()));
        } else if let Some(line) = line.strip_prefix("    ") {
            commands.push((at, line.to_owned()));
        } else {
            commands.extend(line.split('`').skip(1).step_by(2).map(|piece| (at, piece.to_owned())));
        }
    }
    commands
}

/// The words of each call of the program in a piece: from `ghevault` to the end of that command.
fn calls(piece: &str) -> Vec<Vec<String>> {
    let piece = piece.split("  #").next().unwrap_or_default().replace("\\|", "|");
    let words: Vec<&str> = piece.split_whitespace().collect();
    let mut calls = Vec::new();
    for (at, word) in words.iter().enumerate() {
        let name = word.trim_start_matches(['(', '"', '$', '!']);
        if !matches!(name, "ghevault" | "/ghevault" | "/usr/bin/ghevault" | "/usr/local/bin/ghevault") {
            continue;
        }
        // `docker run --name ghevault`: a name, not a call.
        if at > 0 && words[at - 1] != "--" && words[at - 1].starts_with('-') {
            continue;
        }
        let ends = |word: &&&str| {
            ["|", "||", "&&", ";", "&", ">", "<", "2>&1", "#"].contains(*word) || word.starts_with(['>', '<'])
        };
        let own = words[at + 1..].iter().take_while(|word| !ends(word));
        let clean = |word: &&str| word.trim_end_matches([';', ')', '"', ',', '.', ':']).to_owned();
        calls.push(own.map(clean).collect());
    }
    calls
}

/// The help of a verb, asked for once.
struct Help {
    desk: Desk,
    known: BTreeMap<String, Option<String>>,
}

impl Help {
    /// `None` when there is no such verb.
    fn of(&mut self, verbs: &[&str]) -> Option<&str> {
        let key = verbs.join(" ");
        if !self.known.contains_key(&key) {
            let done = self.desk.run(&[verbs, &["--help"]].concat());
            self.known.insert(key.clone(), (done.code == 0).then_some(done.stdout));
        }
        self.known[&key].as_deref()
    }

    /// Verbs that stand below this one.
    fn below(&mut self, verbs: &[&str]) -> BTreeSet<String> {
        let help = self.of(verbs).unwrap_or_default();
        let section = help.split("Commands:\n").nth(1).unwrap_or_default();
        let lines = section.lines().take_while(|line| line.starts_with("  "));
        let names =
            lines.filter(|line| !line.starts_with("   ")).filter_map(|line| line.split_whitespace().next());
        names.map(str::to_owned).collect()
    }
}

/// What is wrong with one call; `None` when nothing is.
fn fault(words: &[String], help: &mut Help) -> Option<String> {
    let mut verbs: Vec<&str> = Vec::new();
    let mut flags = Vec::new();
    let mut values = false;
    for word in words {
        if let Some(flag) = word.strip_prefix("--").and_then(|rest| rest.split(['=', '[']).next()) {
            if !flag.is_empty() {
                flags.push(format!("--{flag}"));
            }
            values = verbs.is_empty();
        } else if word.starts_with('-') {
            values = false;
        } else if values {
            // The value of a flag that stands before the verb.
            values = false;
        } else if help.below(&verbs).contains(word.as_str()) {
            verbs.push(word);
        } else if verbs.is_empty() {
            let plain = word.chars().all(|c| c.is_ascii_lowercase() || c == '-');
            return (plain && !word.is_empty()).then(|| format!("there is no verb `{word}`"));
        }
    }
    let text = help.of(&verbs).unwrap_or_default().to_owned();
    let unknown = flags
        .into_iter()
        .find(|flag| flag != "--version" && !text.split([' ', ',', '\n']).any(|word| word == flag))?;
    Some(format!("`{}` has no flag `{unknown}`", verbs.join(" ")))
}

#[test]
fn every_verb_and_flag_of_a_command_in_the_documentation_exists() {
    let mut help = Help { desk: Desk::new(), known: BTreeMap::new() };
    let (mut faults, mut seen) = (Vec::new(), 0);
    for (path, text) in pages() {
        for (line, piece) in commands(&text) {
            for words in calls(&piece) {
                seen += 1;
                faults.extend(
                    fault(&words, &mut help)
                        .map(|fault| format!("{}:{line}: {fault}: {piece}", path.display())),
                );
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    assert!(seen > 100, "only {seen} commands were found: the pages are read wrongly");
}

/// The blocks of a page that are configuration files.
fn configurations(text: &str) -> Vec<String> {
    text.split("```toml\n").skip(1).filter_map(|rest| Some(rest.split_once("\n```")?.0.to_owned())).collect()
}

#[test]
fn every_configuration_of_the_documentation_is_accepted() {
    let mut count = 0;
    for (page, text) in pages() {
        for block in configurations(&text) {
            count += 1;
            let mut desk = Desk::new();
            desk.configure(&block);
            let done = desk.run(&["status", "--json"]);
            assert_eq!(done.code, 0, "{}: {block}\n{done:?}", page.display());
        }
    }
    assert!(count >= 6, "{count}");
}

#[test]
fn a_verb_or_flag_that_does_not_exist_is_found() {
    let mut help = Help { desk: Desk::new(), known: BTreeMap::new() };
    let mut judge = |text: &str| calls(text).iter().find_map(|words| fault(words, &mut help));
    for good in [
        "ghevault --as-of T snapshots",
        "x=$(ghevault key public) && ls --nonsense",
        "docker run --name ghevault --restart no",
        "ghevault witness check --board dir:/b",
    ] {
        assert_eq!(judge(good), None);
    }
    for bad in [
        "ghevault bakcup",
        "ghevault backup --fulll",
        "a && ghevault witness check --parts 3",
        "ghevault --version-x",
    ] {
        assert!(judge(bad).is_some(), "{bad}");
    }
}

#[test]
fn every_variable_of_backup_utils_has_its_line_in_the_migration_page() {
    let all = pages();
    let page = |name: &str| &all[&root().join("docs").join(name)];
    let rows =
        page("configuration.md").lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next());
    let variables: Vec<&str> =
        rows.filter(|name| name.chars().all(|c| c.is_ascii_uppercase() || c == '_')).collect();
    assert!(variables.len() > 40, "{variables:?}");
    let missing: Vec<&&str> =
        variables.iter().filter(|name| !page("migration.md").contains(&format!("`{name}`"))).collect();
    assert!(missing.is_empty(), "docs/migration.md says nothing of {missing:?}");
}

/// The anchor that a heading gets.
fn anchor(heading: &str) -> String {
    let kept = heading.to_lowercase().replace(' ', "-");
    kept.chars().filter(|c| c.is_alphanumeric() || *c == '-' || *c == '_').collect()
}

#[test]
fn every_link_between_pages_leads_somewhere() {
    let mut faults = Vec::new();
    for (path, text) in pages() {
        for target in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            if target.contains("://") || target.contains(' ') {
                continue;
            }
            let (file, heading) = target.split_once('#').unwrap_or((target, ""));
            let there =
                if file.is_empty() { path.clone() } else { path.parent().expect("a folder").join(file) };
            let found = if heading.is_empty() {
                there.exists()
            } else {
                let text = fs::read_to_string(&there).unwrap_or_default();
                text.lines()
                    .filter_map(|line| line.strip_prefix('#'))
                    .any(|line| anchor(line.trim_start_matches('#').trim()) == heading)
            };
            if !found {
                faults.push(format!("{}: {target}", path.display()));
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}
