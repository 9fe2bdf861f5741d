//! A place to push to: which URLs are taken, and how they are shown without their password.

use std::fmt;

use super::RepositoryError;

/// Ways that git may take; `ext::` and its like run programs, `git://` and `http://` prove nothing about the other side.
const SCHEMES: [&str; 3] = ["https", "ssh", "file"];

/// A URL, or the short form `user@host:path` of ssh. Shown without a password.
#[derive(Clone, PartialEq, Eq)]
pub struct RemoteUrl(String);

impl RemoteUrl {
    /// Whether a target looks like a URL at all: it has a scheme, or is of the form `user@host:path`.
    #[must_use]
    pub fn looks_like(text: &str) -> bool {
        text.contains("://") || text.contains("::") || short_form(text)
    }

    /// Takes a URL.
    ///
    /// # Errors
    /// [`RepositoryError::BadUrl`] for a scheme that is not taken, or a form that git would understand as an option.
    pub fn parse(text: &str) -> Result<Self, RepositoryError> {
        let bad = |why| Err(RepositoryError::BadUrl { url: shown(text), why });
        if text.contains(|c: char| c.is_control() || c.is_whitespace()) {
            return bad("it has blanks or control characters");
        }
        if text.starts_with('-') || text.contains("://-") || text.contains("@-") {
            return bad("it looks like an option");
        }
        if text.contains("::") && !text.contains("://[") && !text.contains("@[") {
            return bad("programs as transports are not run");
        }
        match text.split_once("://") {
            Some((scheme, rest)) if SCHEMES.contains(&scheme) && !rest.is_empty() => {
                Ok(Self(text.to_owned()))
            }
            Some(("http" | "git", _)) => bad("nothing proves who answers there; use https or ssh"),
            None if short_form(text) => Ok(Self(text.to_owned())),
            _ => bad("only https://, ssh://, file:// and user@host:path are taken"),
        }
    }

    /// The URL as git needs it, password and all.
    pub(super) fn secret(&self) -> &str {
        &self.0
    }

    /// The same place with `.wiki` before the ending.
    #[must_use]
    pub fn wiki(&self) -> Self {
        let base = self.0.trim_end_matches('/');
        Self(format!("{}.wiki.git", base.strip_suffix(".git").unwrap_or(base)))
    }

    /// A message of git without what stands before the `@` of this URL.
    pub(super) fn clean(&self, message: &str) -> String {
        match password(&self.0) {
            Some(secret) => message.replace(secret, "***"),
            None => message.to_owned(),
        }
    }
}

impl fmt::Display for RemoteUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&shown(&self.0))
    }
}

impl fmt::Debug for RemoteUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RemoteUrl({self})")
    }
}

/// What may be a secret in a URL: the whole of `user:password`, since tokens stand in either place. An ssh user is none.
fn password(url: &str) -> Option<&str> {
    let (scheme, rest) = url.split_once("://")?;
    let authority = rest.split(['/', '?', '#']).next()?;
    let (user, _) = authority.rsplit_once('@')?;
    (scheme != "ssh" || user.contains(':')).then_some(user).filter(|user| !user.is_empty())
}

fn shown(url: &str) -> String {
    match password(url) {
        Some(secret) => url.replacen(&format!("{secret}@"), "***@", 1),
        None => url.to_owned(),
    }
}

/// `user@host:path`, with nothing like a slash before the colon.
fn short_form(text: &str) -> bool {
    text.split_once(':').is_some_and(|(host, path)| {
        !path.is_empty()
            && !host.contains('/')
            && host.split_once('@').is_some_and(|(user, host)| !user.is_empty() && !host.is_empty())
    })
}

#[cfg(test)]
mod tests {
    use super::RemoteUrl;

    #[test]
    fn urls_that_prove_who_answers_are_taken() {
        for url in [
            "https://git.example.com/a/b.git",
            "ssh://git@git.example.com:2222/a/b",
            "git@git.example.com:a/b.git",
            "file:///srv/b.git",
        ] {
            assert_eq!(RemoteUrl::parse(url).expect(url).to_string(), url);
        }
    }

    #[test]
    fn urls_that_run_programs_or_look_like_options_are_refused() {
        for url in [
            "ext::sh -c id",
            "ext::id",
            "-uid@h:x",
            "ssh://-oProxyCommand=id/x",
            "git@-oProxyCommand=id:x",
            "http://h/x",
            "git://h/x",
            "fd::7",
            "https://",
        ] {
            assert!(RemoteUrl::looks_like(url) || url.starts_with('-'), "{url}");
            RemoteUrl::parse(url).expect_err(url);
        }
    }

    #[test]
    fn a_password_is_never_shown() {
        let url = RemoteUrl::parse("https://mona:s3cret@git.example.com/a/b.git").expect("a url");
        assert_eq!(url.to_string(), "https://***@git.example.com/a/b.git");
        assert_eq!(format!("{url:?}"), "RemoteUrl(https://***@git.example.com/a/b.git)");
        assert_eq!(
            url.clean("fatal: https://mona:s3cret@git.example.com/: 403"),
            "fatal: https://***@git.example.com/: 403"
        );
        let error = RemoteUrl::parse("http://mona:s3cret@h/x").expect_err("no TLS").to_string();
        assert!(!error.contains("s3cret"), "{error}");
    }

    #[test]
    fn a_wiki_stands_beside_its_repository() {
        let wiki = |url: &str| RemoteUrl::parse(url).expect(url).wiki().to_string();
        assert_eq!(wiki("https://h/a/b.git"), "https://h/a/b.wiki.git");
        assert_eq!(wiki("git@h:a/b"), "git@h:a/b.wiki.git");
    }
}
