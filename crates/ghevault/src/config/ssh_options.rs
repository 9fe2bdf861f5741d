//! Understands `GHE_EXTRA_SSH_OPTS`: options for the `ssh` program that backup-utils puts into every call.
//!
//! What ghevault has a setting for becomes that setting; what its own host key store replaces has no effect; the rest can
//! only be passed on to the `ssh` program, so it asks for that transport.

/// What the options say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SshOptions {
    /// `-i` or `IdentityFile`.
    pub key_file: Option<String>,
    /// `-p` or `Port`.
    pub port: Option<u16>,
    /// `-l` or `User`.
    pub user: Option<String>,
    /// Arguments that only the `ssh` program understands.
    pub passed_on: Vec<String>,
    /// Options without effect, each with the reason.
    pub without_effect: Vec<String>,
}

/// Parses the value of `GHE_EXTRA_SSH_OPTS`.
///
/// # Errors
/// An option without its value, or a port that is no number; the text says which.
pub fn parse(text: &str) -> Result<SshOptions, String> {
    let mut options = SshOptions::default();
    let mut words = text.split_whitespace();
    while let Some(word) = words.next() {
        let Some(letter) = word.strip_prefix('-').and_then(|rest| rest.chars().next()) else {
            return Err(format!("`{word}` is not an option"));
        };
        if !"iopFlJ".contains(letter) {
            options.passed_on.push(word.to_owned());
            continue;
        }
        let attached = &word[1 + letter.len_utf8()..];
        let value = if attached.is_empty() {
            words.next().ok_or_else(|| format!("`{word}` has no value"))?
        } else {
            attached
        };
        match letter {
            'i' => set_once(&mut options.key_file, value.to_owned()),
            'p' => set_once(&mut options.port, port(value)?),
            'l' => set_once(&mut options.user, value.to_owned()),
            'o' => keyword(&mut options, value)?,
            other => options.passed_on.extend([format!("-{other}"), value.to_owned()]),
        }
    }
    Ok(options)
}

/// Takes one `-o Keyword=value`.
fn keyword(options: &mut SshOptions, text: &str) -> Result<(), String> {
    let (name, value) = text.split_once('=').ok_or_else(|| format!("`-o {text}` has no value"))?;
    match name.to_ascii_lowercase().as_str() {
        "identityfile" => set_once(&mut options.key_file, value.to_owned()),
        "port" => set_once(&mut options.port, port(value)?),
        "user" => set_once(&mut options.user, value.to_owned()),
        "stricthostkeychecking" | "userknownhostsfile" | "globalknownhostsfile" | "updatehostkeys" => {
            options.without_effect.push(format!("`{name}`: host keys are pinned by `ghevault trust`"));
        }
        "identitiesonly"
        | "batchmode"
        | "passwordauthentication"
        | "loglevel"
        | "controlmaster"
        | "controlpath"
        | "controlpersist"
        | "serveraliveinterval"
        | "serveralivecountmax"
        | "connecttimeout" => {
            options.without_effect.push(format!("`{name}`: ghevault decides this itself"));
        }
        _ => options.passed_on.extend(["-o".to_owned(), text.to_owned()]),
    }
    Ok(())
}

/// Keeps the first value, as ssh does.
fn set_once<T>(slot: &mut Option<T>, value: T) {
    slot.get_or_insert(value);
}

/// A port number.
fn port(text: &str) -> Result<u16, String> {
    text.parse().map_err(|_| format!("`{text}` is not a port"))
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn known_options_become_settings() {
        let options = parse("-i /k -p2222 -o UserKnownHostsFile=/x -o IdentitiesOnly=yes -l admin")
            .expect("valid options");
        assert_eq!(options.key_file.as_deref(), Some("/k"));
        assert_eq!(options.port, Some(2222));
        assert_eq!(options.user.as_deref(), Some("admin"));
        assert_eq!(options.without_effect.len(), 2);
        assert!(options.passed_on.is_empty());
    }

    #[test]
    fn the_first_value_wins_as_in_ssh() {
        let options = parse("-o Port=2222 -p 122").expect("valid options");
        assert_eq!(options.port, Some(2222));
    }

    #[test]
    fn what_only_ssh_understands_is_passed_on() {
        let options = parse("-F /etc/ssh/bastion -o ProxyCommand=nc -4").expect("valid options");
        assert_eq!(options.passed_on, ["-F", "/etc/ssh/bastion", "-o", "ProxyCommand=nc", "-4"]);
    }

    #[test]
    fn broken_options_are_refused() {
        assert!(parse("-p x").is_err());
        assert!(parse("-i").is_err());
        assert!(parse("word").is_err());
        assert!(parse("-o Port").is_err());
    }
}
