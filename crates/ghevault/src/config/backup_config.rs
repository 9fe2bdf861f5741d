//! Reads a backup-utils `backup.config` without ever executing it (contract §8.1).
//!
//! The file is a shell script by nature. Understood are comments and assignments `NAME=value` with single and double
//! quotes, backslashes and references to variables that the file set before. Everything else (command substitution,
//! conditions, functions, …) is reported with its line and the reason, and has no effect.

use std::collections::BTreeMap;

/// One assignment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Assignment {
    /// The variable.
    pub name: String,
    /// Its value after quotes and references were resolved.
    pub value: String,
    /// The line where it begins, from 1.
    pub line: usize,
}

/// A line that was not understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unreadable {
    /// The line, from 1.
    pub line: usize,
    /// Why it was not understood.
    pub reason: String,
}

/// What a file says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Script {
    /// Assignments in order; a later one of the same name wins.
    pub assignments: Vec<Assignment>,
    /// What was skipped.
    pub unreadable: Vec<Unreadable>,
}

/// Parses the text of a file. `outer` answers for variables that the file itself did not set (such as `HOME`).
#[must_use]
pub fn parse(text: &str, outer: impl Fn(&str) -> Option<String>) -> Script {
    let mut reader = Reader { rest: text, line: 1, known: BTreeMap::new(), outer: &outer };
    let mut script = Script::default();
    while !reader.rest.is_empty() {
        let line = reader.line;
        match reader.statement() {
            Ok(Some((name, value))) => {
                reader.known.insert(name.clone(), value.clone());
                script.assignments.push(Assignment { name, value, line });
            }
            Ok(None) => {}
            Err(reason) => {
                script.unreadable.push(Unreadable { line, reason });
                reader.skip_line();
            }
        }
    }
    script
}

/// The text that is left, and what is known so far.
struct Reader<'a> {
    rest: &'a str,
    line: usize,
    known: BTreeMap<String, String>,
    outer: &'a dyn Fn(&str) -> Option<String>,
}

impl Reader<'_> {
    /// Takes the next character.
    fn next(&mut self) -> Option<char> {
        let mut characters = self.rest.chars();
        let character = characters.next()?;
        self.rest = characters.as_str();
        if character == '\n' {
            self.line += 1;
        }
        Some(character)
    }

    /// Looks at the next character.
    fn peek(&self) -> Option<char> {
        self.rest.chars().next()
    }

    /// Drops the rest of the current line.
    fn skip_line(&mut self) {
        while self.next().is_some_and(|character| character != '\n') {}
    }

    /// Drops blanks, not line ends.
    fn skip_blanks(&mut self) {
        while self.peek().is_some_and(|character| character == ' ' || character == '\t' || character == '\r')
        {
            self.next();
        }
    }

    /// Takes a name of letters, digits and underscores.
    fn name(&mut self) -> String {
        let end =
            self.rest.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).unwrap_or(self.rest.len());
        let (name, rest) = self.rest.split_at(end);
        self.rest = rest;
        name.to_owned()
    }

    /// Reads one line: nothing, a comment or an assignment.
    fn statement(&mut self) -> Result<Option<(String, String)>, String> {
        self.skip_blanks();
        match self.peek() {
            None => return Ok(None),
            Some('\n') => {
                self.next();
                return Ok(None);
            }
            Some('#') => {
                self.skip_line();
                return Ok(None);
            }
            Some(_) => {}
        }
        if let Some(rest) = self.rest.strip_prefix("export ") {
            self.rest = rest;
            self.skip_blanks();
        }
        let name = self.name();
        if name.is_empty() || name.starts_with(|c: char| c.is_ascii_digit()) || self.peek() != Some('=') {
            return Err("is not an assignment; commands are never executed".to_owned());
        }
        self.next();
        let value = self.word().map_err(|reason| format!("`{name}` {reason}"))?;
        self.skip_blanks();
        match self.peek() {
            None => Ok(Some((name, value))),
            Some('\n') => {
                self.next();
                Ok(Some((name, value)))
            }
            Some('#') => {
                self.skip_line();
                Ok(Some((name, value)))
            }
            Some(_) => {
                Err(format!("`{name}` is followed by more than a comment; commands are never executed"))
            }
        }
    }

    /// Reads one word with its quotes and references.
    fn word(&mut self) -> Result<String, String> {
        let mut value = String::new();
        loop {
            match self.peek() {
                None | Some(' ' | '\t' | '\r' | '\n') => return Ok(value),
                Some('\'') => {
                    self.next();
                    self.single_quoted(&mut value)?;
                }
                Some('"') => {
                    self.next();
                    self.double_quoted(&mut value)?;
                }
                Some('\\') => {
                    self.next();
                    match self.next() {
                        Some('\n') | None => {}
                        Some(character) => value.push(character),
                    }
                }
                Some('$') => {
                    self.next();
                    self.reference(&mut value)?;
                }
                Some('`') => return Err("uses command substitution, which is never executed".to_owned()),
                Some('(') => return Err("is an array or a function".to_owned()),
                Some(';' | '&' | '|' | '<' | '>' | ')') => {
                    return Err("is followed by shell syntax, which is never executed".to_owned());
                }
                Some('~') if value.is_empty() => return Err("uses `~`; write the folder in full".to_owned()),
                Some(character) => {
                    self.next();
                    value.push(character);
                }
            }
        }
    }

    /// Reads up to the closing single quote.
    fn single_quoted(&mut self, value: &mut String) -> Result<(), String> {
        loop {
            match self.next() {
                None => return Err("has no closing quote".to_owned()),
                Some('\'') => return Ok(()),
                Some(character) => value.push(character),
            }
        }
    }

    /// Reads up to the closing double quote.
    fn double_quoted(&mut self, value: &mut String) -> Result<(), String> {
        loop {
            match self.next() {
                None => return Err("has no closing quote".to_owned()),
                Some('"') => return Ok(()),
                Some('`') => return Err("uses command substitution, which is never executed".to_owned()),
                Some('$') => self.reference(value)?,
                Some('\\') => match self.next() {
                    Some('\n') | None => {}
                    Some(character @ ('"' | '\\' | '$' | '`')) => value.push(character),
                    Some(character) => {
                        value.push('\\');
                        value.push(character);
                    }
                },
                Some(character) => value.push(character),
            }
        }
    }

    /// Reads what follows a `$`.
    fn reference(&mut self, value: &mut String) -> Result<(), String> {
        let name = match self.peek() {
            Some('(') => return Err("uses command substitution, which is never executed".to_owned()),
            Some('{') => {
                self.next();
                let name = self.name();
                if self.next() != Some('}') {
                    return Err(format!("uses more than a plain reference to `{name}`"));
                }
                name
            }
            _ => self.name(),
        };
        if name.is_empty() {
            return Err("uses `$` without a name".to_owned());
        }
        match self.known.get(&name).cloned().or_else(|| (self.outer)(&name)) {
            Some(text) => {
                value.push_str(&text);
                Ok(())
            }
            None => Err(format!("refers to `{name}`, which the file has not set before")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::parse;

    fn values(text: &str) -> Vec<(String, String, usize)> {
        let script = parse(text, |_| None);
        assert_eq!(script.unreadable, []);
        script.assignments.into_iter().map(|a| (a.name, a.value, a.line)).collect()
    }

    fn reasons(text: &str) -> Vec<(usize, String)> {
        parse(text, |_| None).unreadable.into_iter().map(|u| (u.line, u.reason)).collect()
    }

    #[test]
    fn assignments_with_quotes_comments_and_references_are_read() {
        let text =
            "# comment\n\nA=plain # why\n  export B=\"in $A and ${A}\" \nC='no $A'\nD=a\\ b\"c\"'d'\nE=\n";
        let expected = [
            ("A", "plain", 3),
            ("B", "in plain and plain", 4),
            ("C", "no $A", 5),
            ("D", "a bcd", 6),
            ("E", "", 7),
        ];
        let got = values(text);
        assert_eq!(got.len(), expected.len());
        for ((name, value, line), (n, v, l)) in got.iter().zip(expected) {
            assert_eq!((name.as_str(), value.as_str(), *line), (n, v, l));
        }
    }

    #[test]
    fn quotes_may_span_lines_and_lines_are_still_counted() {
        let got = values("A=\"one\ntwo\"\nB=x\\\ny\nC=1\n");
        assert_eq!(got[0], ("A".to_owned(), "one\ntwo".to_owned(), 1));
        assert_eq!(got[1], ("B".to_owned(), "xy".to_owned(), 3));
        assert_eq!(got[2].2, 5);
    }

    #[test]
    fn nothing_is_ever_executed() {
        let text = "A=$(date)\nB=`id`\nif true; then\nC=\"$(x)\"\nf() { :; }\nD=x; E=y\nF=$HOME\nG=${A:-b}\nH=(1 2)\n";
        let lines: Vec<usize> = reasons(text).iter().map(|(line, _)| *line).collect();
        assert_eq!(lines, [1, 2, 3, 4, 5, 6, 7, 8, 9]);
        assert!(reasons("A=$(date)\n")[0].1.contains("command substitution"));
        assert!(reasons("F=$HOME\n")[0].1.contains("`HOME`"));
    }

    #[test]
    fn a_line_after_an_unreadable_one_is_read() {
        let script = parse("A=$(date)\nB=2", |_| None);
        assert_eq!(script.assignments.len(), 1);
        assert_eq!(script.assignments[0].name, "B");
        assert_eq!(script.assignments[0].line, 2);
    }

    #[test]
    fn variables_from_outside_are_asked_last() {
        let script =
            parse("A=$HOME/x\nHOME=/own\nB=$HOME\n", |name| (name == "HOME").then(|| "/h".to_owned()));
        let values: Vec<_> = script.assignments.iter().map(|a| a.value.as_str()).collect();
        assert_eq!(values, ["/h/x", "/own", "/own"]);
    }
}
