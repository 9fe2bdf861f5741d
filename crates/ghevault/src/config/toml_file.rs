//! Reads `ghevault.toml` into a layer; an unknown key is an error that names the key, the line and the nearest known one.

use super::{
    layer::{Layer, Origin},
    option,
};
use crate::error::{CommandError, CommandResult};
use std::{fs, path::Path};
use toml::de::{DeTable, DeValue};

/// Reads the file.
///
/// # Errors
/// The file cannot be read, is not TOML, or has a key or a value that is not known.
pub fn read(path: &Path) -> CommandResult<Layer> {
    let text = fs::read_to_string(path).map_err(|error| {
        CommandError::usage(format!("cannot read the configuration {}", path.display()))
            .because_of(Some(&error))
            .hint("This user must be allowed to read it, and it must be text in UTF-8.")
    })?;
    parse(&text, path)
}

/// Parses the text of the file `path`.
fn parse(text: &str, path: &Path) -> CommandResult<Layer> {
    let table = DeTable::parse(text).map_err(|error| {
        let line = error.span().map_or(1, |span| line_of(text, span.start));
        CommandError::usage(format!("{}:{line}: {}", path.display(), error.message()))
    })?;
    let mut layer = Layer::default();
    collect(text, path, "", table.get_ref(), &mut layer)?;
    Ok(layer)
}

/// Takes the keys of one table; tables below it are sections.
fn collect(text: &str, path: &Path, section: &str, table: &DeTable<'_>, layer: &mut Layer) -> CommandResult {
    for (key, value) in table {
        let line = line_of(text, key.span().start);
        let name = if section.is_empty() {
            key.get_ref().to_string()
        } else {
            format!("{section}.{}", key.get_ref())
        };
        if let DeValue::Table(inner) = value.get_ref()
            && option::all().any(|row| row.key.starts_with(&format!("{name}.")))
        {
            collect(text, path, &name, inner, layer)?;
            continue;
        }
        if option::find(&name).is_none() {
            return Err(unknown_key(path, line, &name));
        }
        let plain = plain_text(value.get_ref()).ok_or_else(|| {
            CommandError::usage(format!(
                "{}:{line}: `{name}` must be a text, a number, true, false or a list of texts",
                path.display()
            ))
        })?;
        layer.set(&name, plain, Origin::File { path: path.to_owned(), line, name: name.clone() });
    }
    Ok(())
}

/// A value as the text that flags and variables would have; lists one item per line.
fn plain_text(value: &DeValue<'_>) -> Option<String> {
    match value {
        DeValue::String(text) => Some(text.to_string()),
        DeValue::Integer(number) => Some(number.to_string()),
        DeValue::Float(number) => Some(number.to_string()),
        DeValue::Boolean(flag) => Some(flag.to_string()),
        DeValue::Array(items) => {
            let texts: Option<Vec<String>> = items.iter().map(|item| plain_text(item.get_ref())).collect();
            texts.map(|texts| texts.join("\n"))
        }
        _ => None,
    }
}

/// The error for a key that nobody knows.
fn unknown_key(path: &Path, line: usize, name: &str) -> CommandError {
    let error = CommandError::usage(format!("{}:{line}: unknown key `{name}`", path.display()));
    match option::nearest(name) {
        Some(known) => error.hint(format!("Did you mean `{known}`?")),
        None => error.hint("docs/configuration.md lists all keys."),
    }
}

/// The line (from 1) of a byte offset.
fn line_of(text: &str, offset: usize) -> usize {
    text.as_bytes().iter().take(offset).filter(|byte| **byte == b'\n').count() + 1
}

#[cfg(test)]
mod tests {
    use super::parse;
    use std::path::Path;

    #[test]
    fn sections_numbers_and_lists_become_texts() {
        let text = "host = \"ghe\"\n[backup]\nskip = [\"pages\", \"elasticsearch\"]\ndrain_s = 30\nallow_replica = true\nload_max = 1.5\n";
        let layer = parse(text, Path::new("g.toml")).expect("valid");
        let get = |key: &str| layer.get(key).map(|value| value.text.clone());
        assert_eq!(get("host").as_deref(), Some("ghe"));
        assert_eq!(get("backup.skip").as_deref(), Some("pages\nelasticsearch"));
        assert_eq!(get("backup.drain_s").as_deref(), Some("30"));
        assert_eq!(get("backup.load_max").as_deref(), Some("1.5"));
        assert_eq!(get("backup.allow_replica").as_deref(), Some("true"));
        let origin = layer.get("backup.drain_s").map(|value| value.origin.to_string());
        assert_eq!(origin.as_deref(), Some("`backup.drain_s` in g.toml:4"));
    }

    #[test]
    fn an_unknown_key_is_named_with_file_line_and_nearest_key() {
        let error = parse("vault = \"/v\"\n\nhots = \"x\"\n", Path::new("g.toml")).expect_err("unknown");
        assert_eq!(error.message, "g.toml:3: unknown key `hots`");
        assert_eq!(error.hints, ["Did you mean `host`?"]);
        let error = parse("[backup]\nskpi = []\n", Path::new("g.toml")).expect_err("unknown");
        assert_eq!(error.message, "g.toml:2: unknown key `backup.skpi`");
        assert_eq!(error.hints, ["Did you mean `backup.skip`?"]);
        let error = parse("[bakcup]\nskip = []\n", Path::new("g.toml")).expect_err("unknown");
        assert!(error.message.contains("`bakcup`"), "{}", error.message);
    }

    #[test]
    fn broken_toml_names_the_line() {
        let error = parse("host = \"a\"\nvault = \n", Path::new("g.toml")).expect_err("broken");
        assert!(error.message.starts_with("g.toml:2: "), "{}", error.message);
    }
}
