//! One top-level text out of a YAML file, by a real parser.

use saphyr_parser::{Event, Parser};
use std::collections::HashMap;

/// Why there is no such text; the content is never quoted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum YamlError {
    /// Not YAML.
    #[error("it is not YAML (line {line})")]
    NotYaml {
        /// Where it stops to be YAML, from 1.
        line: usize,
    },
    /// The file is no mapping.
    #[error("it has no keys at its top level")]
    NoMapping,
    /// The key has a list or a mapping.
    #[error("`{key}` is not a text")]
    NotAText {
        /// The key.
        key: String,
    },
    /// The key stands there more than once.
    #[error("`{key}` stands there more than once")]
    Twice {
        /// The key.
        key: String,
    },
}

/// The text under `name` at the top level of the first document; `None` if there is no such key.
///
/// # Errors
/// See [`YamlError`].
pub fn top_level_text(yaml: &str, name: &str) -> Result<Option<String>, YamlError> {
    let mut found = None;
    let mut anchored: HashMap<usize, String> = HashMap::new();
    let (mut depth, mut key, mut at_value) = (0_usize, None::<String>, false);
    for event in Parser::new_from_str(yaml) {
        let (event, _) = event.map_err(|error| YamlError::NotYaml { line: error.marker().line() })?;
        // the text of a node that ended at the top level; `None` inside for a node that is no text
        let node: Option<Option<String>> = match event {
            Event::MappingStart(..) | Event::SequenceStart(..) => {
                if depth == 0 && matches!(event, Event::SequenceStart(..)) {
                    return Err(YamlError::NoMapping);
                }
                depth += 1;
                None
            }
            Event::MappingEnd | Event::SequenceEnd => {
                depth = depth.saturating_sub(1);
                (depth == 1).then_some(None)
            }
            Event::Scalar(text, _, anchor, _) => {
                if depth == 0 {
                    return Err(YamlError::NoMapping);
                }
                if anchor != 0 {
                    anchored.insert(anchor, text.to_string());
                }
                (depth == 1).then(|| Some(text.into_owned()))
            }
            Event::Alias(anchor) => (depth == 1).then(|| anchored.get(&anchor).cloned()),
            Event::DocumentEnd => break,
            _ => None,
        };
        let Some(text) = node else { continue };
        if at_value && key.as_deref() == Some(name) {
            let text = text.ok_or_else(|| YamlError::NotAText { key: name.to_owned() })?;
            if found.replace(text).is_some() {
                return Err(YamlError::Twice { key: name.to_owned() });
            }
        } else if !at_value {
            key = text;
        }
        at_value = !at_value;
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_of_every_style_are_found_at_the_top_level_only() {
        let yaml = "#taupage-ami-config\nmounts:\n  /data: {partition: x}\n  wanted: inner\nlist: [wanted, other]\n\
                    wanted: >-\n  aws:kms:AAAA\n  BBBB\nlater: 1\n";
        assert_eq!(top_level_text(yaml, "wanted").unwrap().as_deref(), Some("aws:kms:AAAA BBBB"));
        assert_eq!(top_level_text(yaml, "later").unwrap().as_deref(), Some("1"));
        assert_eq!(top_level_text(yaml, "absent").unwrap(), None);
        assert_eq!(top_level_text("wanted: \"a\\\n  b\"", "wanted").unwrap().as_deref(), Some("ab"));
        assert_eq!(top_level_text("wanted: |\n  a\n  b\n", "wanted").unwrap().as_deref(), Some("a\nb\n"));
        assert_eq!(top_level_text("x: &k v\nwanted: *k\n", "wanted").unwrap().as_deref(), Some("v"));
        assert_eq!(top_level_text("", "wanted").unwrap(), None);
    }

    #[test]
    fn what_is_no_text_is_refused() {
        let refused = |yaml: &str| top_level_text(yaml, "wanted").unwrap_err();
        assert!(matches!(refused("wanted: [a]\n"), YamlError::NotAText { .. }));
        assert!(matches!(refused("wanted: {a: b}\n"), YamlError::NotAText { .. }));
        assert!(matches!(refused("wanted: a\nwanted: b\n"), YamlError::Twice { .. }));
        assert_eq!(refused("- wanted\n"), YamlError::NoMapping);
        assert_eq!(refused("wanted"), YamlError::NoMapping);
        let YamlError::NotYaml { line } = refused("a: b\nhunter2: 'open\n") else { panic!("not YAML") };
        assert!(line >= 2);
    }
}
