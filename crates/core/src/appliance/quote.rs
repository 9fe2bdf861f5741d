//! The one function that quotes an argument for the appliance's shell.

/// Quotes `argument` so that a POSIX shell reads it as exactly one word.
///
/// Words of harmless characters stay as they are; anything else goes between single quotes.
#[must_use]
pub fn quote(argument: &str) -> String {
    let harmless = |c: char| c.is_ascii_alphanumeric() || "_-./:=@%+,".contains(c);
    if !argument.is_empty() && argument.chars().all(harmless) {
        return argument.to_owned();
    }
    format!("'{}'", argument.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::quote;

    #[test]
    fn harmless_words_stay_as_they_are() {
        assert_eq!(quote("/data/user/common/uuid"), "/data/user/common/uuid");
    }

    #[test]
    fn everything_else_becomes_one_quoted_word() {
        assert_eq!(quote(""), "''");
        assert_eq!(quote("a b"), "'a b'");
        assert_eq!(quote("it's $(x)"), r"'it'\''s $(x)'");
        assert_eq!(quote("line\nbreak"), "'line\nbreak'");
    }
}
