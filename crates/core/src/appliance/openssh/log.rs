//! What the messages of one `ssh` say about its connection.
//!
//! These texts have been the same since OpenSSH 8; the contract suite fails when a client words them otherwise, and an
//! unknown wording makes a command fail rather than look complete.

/// Everything that was understood so far.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Log {
    /// `SHA256:…` of the key that the host showed.
    pub(super) shown: Option<String>,
    /// The kinds of keys that the host has, when it has none of the pinned ones.
    pub(super) offer: Option<String>,
    /// The host's key is not pinned, or another one is.
    pub(super) host_key_refused: bool,
    /// The host has no key of the kinds that are pinned.
    pub(super) no_host_key_of_kind: bool,
    /// Our key was refused.
    pub(super) key_refused: bool,
    /// We are let in.
    pub(super) authenticated: bool,
    /// The command was sent, and may run.
    pub(super) sent: bool,
    /// The command was started.
    pub(super) accepted: bool,
    /// The remote output came to its proper end.
    pub(super) complete: bool,
    /// An exit status arrived.
    pub(super) exit_status: bool,
    /// The news of a signal arrived.
    pub(super) exit_signal: bool,
    /// The last message that is meant for people.
    last: Option<String>,
}

impl Log {
    /// Takes the next line.
    pub(super) fn line(&mut self, line: &str) {
        let line = line.trim_end();
        let Some((level, text)) = line.split_once(": ").filter(|(level, _)| level.starts_with("debug"))
        else {
            self.message(line);
            return;
        };
        // Until we are let in, nothing that the other side says is believed to be about our session.
        match level {
            "debug1" if text.starts_with("Server host key: ") => {
                self.shown = text.split_whitespace().nth(4).map(str::to_owned);
            }
            "debug1" if self.authenticated && text.starts_with("Sending command: ") => self.sent = true,
            "debug1" if self.sent && text.contains(" channel 0 rtype exit-status ") => {
                self.exit_status = true;
            }
            "debug1" if self.sent && text.contains(" channel 0 rtype exit-signal ") => {
                self.exit_signal = true;
            }
            "debug2" if self.sent && text.starts_with("exec request accepted on channel 0") => {
                self.accepted = true;
            }
            "debug2" if self.sent && (text == "channel 0: rcvd eof" || text == "channel 0: rcvd close") => {
                self.complete = true;
            }
            _ => {}
        }
    }

    fn message(&mut self, line: &str) {
        if line.starts_with("Authenticated to ") {
            self.authenticated = true;
            return;
        }
        if line.starts_with("Transferred: ") || line.starts_with("Bytes per second: ") || line.is_empty() {
            return;
        }
        if !self.authenticated {
            if line.starts_with("Host key verification failed") {
                self.host_key_refused = true;
            }
            if let Some((_, offer)) = line.split_once("no matching host key type found. Their offer: ") {
                self.no_host_key_of_kind = true;
                self.offer = Some(format!("a key of another kind ({offer})"));
            }
            if line.contains("Permission denied (") || line.contains("Too many authentication failures") {
                self.key_refused = true;
            }
        }
        self.last = Some(line.strip_prefix("ssh: ").unwrap_or(line).to_owned());
    }

    /// The last thing it said to people.
    pub(super) fn reason(&self) -> Option<String> {
        self.last.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Log {
        let mut log = Log::default();
        text.lines().for_each(|line| log.line(line));
        log
    }

    const LET_IN: &str = "debug1: Server host key: ssh-ed25519 SHA256:abc\n\
        Authenticated to ghe ([10.0.0.1]:122) using \"publickey\".\n";

    #[test]
    fn a_complete_command_is_recognised() {
        let log = read(&format!(
            "{LET_IN}debug1: Sending command: exit 255\ndebug2: exec request accepted on channel 0\n\
             debug1: client_input_channel_req: channel 0 rtype exit-status reply 0\n\
             debug2: channel 0: rcvd eof\ndebug2: channel 0: rcvd close\nTransferred: sent 1, received 2 bytes\n"
        ));
        assert_eq!(log.shown.as_deref(), Some("SHA256:abc"));
        assert!(log.sent && log.accepted && log.exit_status && log.complete && !log.exit_signal);
        assert_eq!(log.reason(), None);
    }

    #[test]
    fn a_changed_host_key_is_no_refused_key() {
        let log = read(
            "debug1: Server host key: ssh-ed25519 SHA256:new\n@ WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED! @\n\
             Host key verification failed.\n",
        );
        assert!(log.host_key_refused && !log.key_refused && !log.sent);
        assert_eq!(log.shown.as_deref(), Some("SHA256:new"));
    }

    #[test]
    fn a_host_without_the_pinned_kind_is_recognised() {
        let log = read(
            "Unable to negotiate with ::1 port 122: no matching host key type found. Their offer: ssh-rsa\n",
        );
        assert!(log.no_host_key_of_kind);
        assert_eq!(log.offer.as_deref(), Some("a key of another kind (ssh-rsa)"));
    }

    #[test]
    fn a_refused_key_and_a_refused_connection_differ() {
        assert!(read("admin@ghe: Permission denied (publickey).\n").key_refused);
        let log = read("ssh: connect to host ghe port 122: Connection refused\r\n");
        assert!(!log.key_refused && !log.host_key_refused);
        assert_eq!(log.reason().as_deref(), Some("connect to host ghe port 122: Connection refused"));
    }

    #[test]
    fn nobody_can_claim_an_end_before_the_command_was_sent() {
        let log = read(
            "debug1: Sending command: x\ndebug1: f: channel 0 rtype exit-status reply 0\n\
             debug2: channel 0: rcvd eof\n",
        );
        assert!(!log.sent && !log.exit_status && !log.complete);
    }
}
