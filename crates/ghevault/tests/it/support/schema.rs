//! What `--json` prints, beside its published schema: every run of the program in a test is looked at.

use super::Done;
use boon::{Compiler, Schemas};
use serde_json::Value;
use std::{fs, path::Path};

/// Verbs whose output is their text, also with `--json`.
pub const TEXTS: [&str; 4] = ["completions", "daemon", "schema", "help"];

/// The folder of the published schemas.
pub fn folder() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/schemas")
}

/// The schema of a verb by its words, the longest name first: `key list`, then `key`.
pub fn name_of(words: &[&str]) -> Option<String> {
    let mut names = (1..=words.len().min(2)).rev().map(|count| words[..count].join("-"));
    names.find(|name| folder().join(format!("{name}.json")).exists())
}

/// Asserts that the last line of a run with `--json` is as its schema says. Nothing more may stand there than the schema names: what is
/// printed and not published would be missed.
#[track_caller]
pub fn check(arguments: &[&str], done: &Done) {
    let asks = |word: &str| arguments.contains(&word);
    if !asks("--json") || asks("--help") || arguments.iter().any(|word| TEXTS.contains(word)) {
        return;
    }
    let Some(line) = done.stdout.lines().last() else {
        panic!("`{}` prints nothing: {done:?}", arguments.join(" "));
    };
    let value: Value = serde_json::from_str(line).unwrap_or_else(|error| {
        panic!("`{}` does not end with JSON: {error}: {done:?}", arguments.join(" "))
    });
    let is_error = value.get("error").is_some() && value.get("exit_code").is_some();
    let name = if is_error {
        assert_eq!(value["exit_code"], done.code, "{done:?}");
        "error".to_owned()
    } else {
        (0..arguments.len())
            .find_map(|at| name_of(&arguments[at..]))
            .unwrap_or_else(|| panic!("`{}` has no schema in docs/schemas", arguments.join(" ")))
    };
    let faults = faults(&name, &value);
    assert!(
        faults.is_empty(),
        "`{}` is not as docs/schemas/{name}.json says: {faults}\n{value:#}",
        arguments.join(" ")
    );
}

/// What is wrong with a value; nothing for none.
pub fn faults(name: &str, value: &Value) -> String {
    let text = fs::read_to_string(folder().join(format!("{name}.json"))).expect("a schema");
    let mut schema: Value = serde_json::from_str(&text).expect("JSON");
    close(&mut schema);
    let (mut schemas, mut compiler) = (Schemas::new(), Compiler::new());
    compiler.enable_format_assertions();
    let place = format!("http://ghevault.invalid/{name}.json");
    compiler.add_resource(&place, schema).expect("a resource");
    let index = compiler.compile(&place, &mut schemas).unwrap_or_else(|error| panic!("{name}: {error}"));
    schemas.validate(value, index).map_or_else(|error| format!("{error:#}"), |()| String::new())
}

/// Forbids what an object's schema does not name.
fn close(schema: &mut Value) {
    match schema {
        Value::Object(fields) => {
            if fields.get("properties").is_some_and(Value::is_object) && fields.contains_key("type") {
                fields.entry("additionalProperties").or_insert(false.into());
            }
            fields.values_mut().for_each(close);
        }
        Value::Array(items) => items.iter_mut().for_each(close),
        _ => {}
    }
}
