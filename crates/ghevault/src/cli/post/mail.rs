//! Letters by e-mail, over TLS unless the server is this host.

use super::Fault;
use crate::{
    config::this_host::is_this_host,
    error::{CommandError, CommandResult},
};
use ghevault_core::notify::{self, Message, Templates};
use lettre::{
    SmtpTransport, Transport,
    message::{
        Mailbox,
        header::{ContentType, HeaderName, HeaderValue},
    },
};
use std::time::Duration;

/// Longest time for one answer of the server.
const ANSWER: Duration = Duration::from_secs(10);
/// Longest time of one try.
const TRY: Duration = Duration::from_secs(30);

/// A server that takes mail, and whom it is for.
pub struct Mailer {
    server: SmtpTransport,
    from: Mailbox,
    to: Vec<Mailbox>,
}

impl Mailer {
    /// The server behind an address such as `smtps://user:password@mail.example.com`.
    ///
    /// # Errors
    /// The address or a mailbox is none; a password would be sent in the clear.
    pub fn new(address: &str, from: Option<&str>, to: &[String]) -> CommandResult<Self> {
        let mailbox = |key: &str, text: &str| {
            text.parse::<Mailbox>().map_err(|_| {
                CommandError::usage(format!("`{key}` is `{text}`, not an e-mail address"))
                    .hint("It is `backup@example.com`, or `Backups <backup@example.com>`.")
            })
        };
        let from = from.ok_or_else(|| {
            CommandError::usage("`notify.mail` is set, but not who the mail is from")
                .hint("Set `notify.mail_from` to an address that the server lets you use.")
        })?;
        if to.is_empty() {
            return Err(CommandError::usage("`notify.mail` is set, but nobody gets the mail")
                .hint("Set `notify.mail_to` to the addresses of those who are told."));
        }
        Ok(Self {
            server: server(address)?,
            from: mailbox("notify.mail_from", from)?,
            to: to.iter().map(|text| mailbox("notify.mail_to", text)).collect::<CommandResult<_>>()?,
        })
    }

    /// Sends a message once.
    ///
    /// # Errors
    /// The server does not take it, or is not reached.
    pub async fn send(&self, message: &Message, words: &Templates) -> Result<(), Fault> {
        let (subject, text) = notify::plain(message, words);
        let mut mail = lettre::Message::builder()
            .from(self.from.clone())
            .subject(subject)
            .message_id(Some(format!("<{}@ghevault>", message.id)))
            .header(ContentType::TEXT_PLAIN);
        for to in &self.to {
            mail = mail.to(to.clone());
        }
        let mut mail = mail.body(text).map_err(|error| Fault::Refused(error.to_string()))?;
        // Whoever is on holiday need not tell us.
        let automatic = HeaderName::new_from_ascii_str("Auto-Submitted");
        mail.headers_mut().insert_raw(HeaderValue::new(automatic, "auto-generated".to_owned()));
        let server = self.server.clone();
        let sending = tokio::task::spawn_blocking(move || server.send(&mail));
        match tokio::time::timeout(TRY, sending).await {
            Err(_) => Err(Fault::Away(format!("no end within {} s", TRY.as_secs()))),
            Ok(Err(error)) => Err(Fault::Away(error.to_string())),
            Ok(Ok(Ok(_))) => Ok(()),
            Ok(Ok(Err(error))) => {
                let cause = std::error::Error::source(&error).map(|cause| format!(": {cause}"));
                let why = format!("{error}{}", cause.unwrap_or_default());
                Err(if error.is_permanent() { Fault::Refused(why) } else { Fault::Away(why) })
            }
        }
    }
}

/// The server of an address, which is a secret and is not repeated.
fn server(address: &str) -> CommandResult<SmtpTransport> {
    let address = address.trim();
    let (scheme, rest) = address.split_once("://").unwrap_or_default();
    let authority = rest.split(['/', '?']).next().unwrap_or_default();
    let (user, place) =
        authority.rsplit_once('@').map_or((None, authority), |(user, place)| (Some(user), place));
    let host = place.rsplit_once(':').map_or(place, |(host, _)| host).trim_matches(['[', ']']);
    let encrypted = scheme == "smtps" || address.contains("tls=required");
    if !encrypted && !is_this_host(host) && (user.is_some() || !address.contains("tls=")) {
        return Err(CommandError::usage("what `notify.mail` gives would send mail in the clear")
            .hint("Write `smtps://user:password@host`, or `smtp://user:password@host:587?tls=required`."));
    }
    let wrong = || {
        CommandError::usage("what `notify.mail` gives is no address of a mail server")
            .hint("It is `smtps://user:password@host`, alone on one line; `%` and `@` in the password are `%25` and `%40`.")
    };
    if host.is_empty() {
        return Err(wrong());
    }
    let builder = SmtpTransport::from_url(address).map_err(|_| wrong())?;
    Ok(builder.timeout(Some(ANSWER)).build())
}

#[cfg(test)]
mod tests {
    use super::server;

    #[test]
    fn a_password_goes_nowhere_in_the_clear() {
        for good in [
            "smtps://u:p@mail.example.com",
            "smtp://u:p@mail.example.com:587?tls=required",
            "smtp://127.0.0.1:25",
            "smtp://localhost",
        ] {
            assert!(server(good).is_ok(), "{good}");
        }
        for bad in [
            "smtp://u:p@mail.example.com",
            "smtp://u:p@mail.example.com?tls=opportunistic",
            "smtp://mail.example.com",
            "https://mail.example.com",
            "mail.example.com",
            "",
        ] {
            assert!(server(bad).is_err(), "{bad}");
        }
        let error = server("smtp://u:hunter2@mail.example.com").map(drop).expect_err("refused").to_string();
        assert!(!error.contains("hunter2"), "{error}");
    }
}
