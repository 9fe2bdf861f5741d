//! `docs/errors.md`: every error of the core that a verb can end with, its exit code and its hint, out of the code itself.
//!
//! A sample of each error is made, translated as for a user, and written down. That none is missing is seen in the source of the core:
//! every variant that is declared there, but those that only pass another error on, needs a sample.
//! `UPDATE_DOCS=1 cargo nextest run -E 'test(page_of_errors)'` writes the page.

mod appliance;
mod keys;
mod restore;
mod vault;
mod verbs;

use super::{CommandError, Kind};
use std::{
    collections::BTreeSet,
    fmt::{Debug, Write as _},
    fs,
    path::Path,
};

/// What the page says before its tables.
const HEAD: &str = "\
# Errors

Every error of ghevault's core that ends a command, its exit code ([exit codes](exit-codes.md)) and its hint, as `--json` prints them in `error`,
`exit_code` and `hint`. Words in capitals stand for what is named at the time; further causes follow after a colon. What verbs and
the configuration say of their own stands at the end. A test writes this page from the code, and fails when an error is missing.
";

/// The page's last part, before its table.
const OF_VERBS: &str = "
## Of verbs and the configuration

What a verb finds wrong with its command line, the configuration or what it finds: as it stands in the source, with `…` for a value without a name.
Unknown flags and settings (code 2) say themselves what is expected.

| Error | Code | What to do |
| --- | --- | --- |
";

/// Errors of one kind, as the page shows them.
struct Section {
    /// Heading of the page.
    title: &'static str,
    /// The enum, and the file below the core's `src` that declares it; none where samples differ by a field.
    of: Option<(&'static str, &'static str)>,
    rows: Vec<Row>,
}

/// One error.
struct Row {
    /// The variant.
    variant: String,
    error: CommandError,
}

/// A section out of samples of one enum.
fn section<E: Debug + Into<CommandError>>(
    title: &'static str,
    of: (&'static str, &'static str),
    samples: Vec<E>,
) -> Section {
    section_by(title, Some(of), samples, Into::into)
}

/// The same with a translation of its own.
fn section_by<E: Debug>(
    title: &'static str,
    of: Option<(&'static str, &'static str)>,
    samples: Vec<E>,
    translate: impl Fn(E) -> CommandError,
) -> Section {
    let row = |sample: E| Row { variant: first_word(&format!("{sample:?}")), error: translate(sample) };
    Section { title, of, rows: samples.into_iter().map(row).collect() }
}

/// The name of a variant out of its debug text.
fn first_word(text: &str) -> String {
    text.chars().take_while(|c| c.is_alphanumeric()).collect()
}

/// What stands for a cause outside of ghevault.
fn io() -> std::io::Error {
    std::io::Error::other("REASON")
}

/// A moment.
fn moment() -> jiff::Timestamp {
    jiff::Timestamp::from_second(1_780_000_000).expect("a time")
}

/// A snapshot.
fn snapshot() -> ghevault_core::vault::SnapshotId {
    "5a".repeat(32).parse().expect("an id")
}

fn text(text: &str) -> String {
    text.to_owned()
}

/// All sections, in the order of the page.
fn sections() -> Vec<Section> {
    [appliance::sections(), vault::sections(), keys::sections(), restore::sections()]
        .into_iter()
        .flatten()
        .collect()
}

/// The page.
fn page() -> String {
    let mut page = HEAD.to_owned();
    let cell = |text: &str| text.replace('|', "\\|").replace('\n', " ").trim().to_owned();
    for section in sections() {
        let _ =
            write!(page, "\n## {}\n\n| Error | Code | What to do |\n| --- | --- | --- |\n", section.title);
        for Row { error, .. } in &section.rows {
            let (line, hint) = (cell(&error.one_line()), cell(&error.hints.join(" ")));
            let _ = writeln!(page, "| {line} | {} | {hint} |", error.kind.exit_code());
        }
    }
    page.push_str(OF_VERBS);
    for verbs::Written { message, code, hint } in verbs::all() {
        let _ = writeln!(page, "| {} | {code} | {} |", cell(&message), cell(&hint));
    }
    page
}

/// The source of the core.
fn core(file: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../core/src").join(file);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The variants that an enum declares with a text of their own.
fn declared(name: &str, file: &str) -> BTreeSet<String> {
    let source = core(file);
    let body =
        source.split(&format!("enum {name} {{\n")).nth(1).unwrap_or_else(|| panic!("no {name} in {file}"));
    let mut variants = BTreeSet::new();
    let mut attribute = String::new();
    for line in body.lines().take_while(|line| *line != "}") {
        // Variants stand one step in; what is deeper are fields, or the rest of an attribute.
        let Some(item) = line.strip_prefix("    ") else { continue };
        if item.starts_with("#[error(") {
            attribute = item.to_owned();
        } else if item.starts_with(char::is_uppercase) {
            if !attribute.starts_with("#[error(transparent)]") {
                variants.insert(first_word(item));
            }
            attribute.clear();
        }
    }
    variants
}

#[test]
fn every_error_of_the_core_that_a_verb_ends_with_is_on_the_page_of_errors() {
    for section in sections() {
        let Some((name, file)) = section.of else { continue };
        let sampled: BTreeSet<String> = section.rows.iter().map(|row| row.variant.clone()).collect();
        assert_eq!(
            sampled,
            declared(name, file),
            "{name} in {file}: the page of errors needs a sample of each"
        );
        assert_eq!(sampled.len(), section.rows.len(), "{name}: two samples of one variant");
    }
}

#[test]
fn every_type_of_errors_that_is_translated_has_its_section_on_the_page_of_errors() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/error");
    let mut translated = Vec::new();
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.extension().is_none_or(|ending| ending != "rs") {
            continue;
        }
        let source = fs::read_to_string(&path).expect("readable");
        let names = source.lines().filter_map(|line| line.strip_prefix("impl From<")?.split('>').next());
        translated.extend(names.map(str::to_owned));
    }
    assert!(translated.len() > 25, "{translated:?}");
    // They pass on what other types say, and have no words of their own.
    let passes_on = ["WitnessError", "ApplianceRestoreError"];
    // One type with a field for its kind: a row for each kind.
    let by_field = ["AwsFailure", "KmsError"];
    let known: BTreeSet<&str> = sections().iter().filter_map(|section| Some(section.of?.0)).collect();
    for name in &translated {
        let listed = known.contains(name.as_str())
            || passes_on.contains(&name.as_str())
            || by_field.contains(&name.as_str());
        assert!(listed, "{name} is translated for users but has no section on the page of errors");
    }
    for (name, file) in
        [("WitnessError", "witness/publish.rs"), ("ApplianceRestoreError", "restore/appliance/error.rs")]
    {
        assert_eq!(declared(name, file), BTreeSet::new(), "{name} has words of its own now");
    }
}

#[test]
fn the_page_of_errors_is_what_the_code_says() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/errors.md");
    let page = page();
    if std::env::var_os("UPDATE_DOCS").is_some() {
        fs::write(&path, &page).expect("written");
    }
    let written = fs::read_to_string(&path).unwrap_or_default();
    let differs = page.lines().zip(written.lines()).find(|(now, then)| now != then);
    assert!(
        page == written,
        "docs/errors.md is not what the code says; UPDATE_DOCS=1 writes it anew. First difference: {differs:?}"
    );
}

#[test]
fn what_verbs_say_of_their_own_is_on_the_page_of_errors() {
    let all = verbs::all();
    assert!(all.len() > 50, "{}", all.len());
    for verbs::Written { message, hint, .. } in &all {
        assert!(!message.ends_with('.'), "{message}");
        assert!(hint.is_empty() || hint.ends_with(['.', '?', ':', '…']), "{message}: {hint}");
    }
}

#[test]
fn no_error_of_the_page_of_errors_is_a_sentence_and_every_hint_is_one() {
    for section in sections() {
        for Row { variant, error } in &section.rows {
            let message = &error.message;
            assert!(!message.is_empty() && !message.ends_with('.'), "{variant}: {message}");
            for hint in &error.hints {
                assert!(hint.ends_with(['.', '?', ':']), "{variant}: {hint}");
            }
        }
    }
}
