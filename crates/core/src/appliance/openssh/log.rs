//! What the messages of one `ssh` say about its connection.
//!
//! These texts have been the same since OpenSSH 8; the contract suite fails when a client words them otherwise, and an
//! unknown wording makes a command fail rather than look complete.

/// Everything that was understood so far.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Log {
    /// `SHA256:…` of the key that the host showed.
    pub(super) shown: Option<String>,
    /// How far it got.
    pub(super) phase: Phase,
    /// Who refused whom, if it did not get far.
    pub(super) refusal: Option<Refusal>,
    /// The news of the command's end.
    pub(super) end: Option<RemoteEnd>,
    /// Whether the remote output came to its proper end.
    pub(super) complete: bool,
    /// The last message that is meant for people.
    last: Option<String>,
}

/// How far a connection got.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Phase {
    /// On the way.
    #[default]
    Connecting,
    /// We are let in.
    Authenticated,
    /// The command was sent, and may run.
    Sent,
    /// The command was started.
    Started,
}

/// Why there is no session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// The host's key is not pinned, or another one is.
    HostKey,
    /// The host has no key of the kinds that are pinned.
    HostKeyKind {
        /// The kinds it has.
        offer: String,
    },
    /// Our key was refused.
    ClientKey,
}

/// What the remote side said about the command's end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RemoteEnd {
    /// It exited; the client's own exit code says how.
    Exit,
    /// A signal ended it.
    Signal,
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
            "debug1" if self.phase == Phase::Authenticated && text.starts_with("Sending command: ") => {
                self.phase = Phase::Sent;
            }
            "debug1" if self.phase >= Phase::Sent && text.contains(" channel 0 rtype exit-status ") => {
                self.end = Some(RemoteEnd::Exit);
            }
            "debug1" if self.phase >= Phase::Sent && text.contains(" channel 0 rtype exit-signal ") => {
                self.end = Some(RemoteEnd::Signal);
            }
            "debug2"
                if self.phase == Phase::Sent && text.starts_with("exec request accepted on channel 0") =>
            {
                self.phase = Phase::Started;
            }
            "debug2" if self.phase >= Phase::Sent => {
                self.complete |= text == "channel 0: rcvd eof" || text == "channel 0: rcvd close";
            }
            _ => {}
        }
    }

    fn message(&mut self, line: &str) {
        if line.starts_with("Authenticated to ") {
            self.phase = self.phase.max(Phase::Authenticated);
            return;
        }
        if line.starts_with("Transferred: ") || line.starts_with("Bytes per second: ") || line.is_empty() {
            return;
        }
        if self.phase == Phase::Connecting {
            if line.starts_with("Host key verification failed") {
                self.refusal = Some(Refusal::HostKey);
            }
            if let Some((_, offer)) = line.split_once("no matching host key type found. Their offer: ") {
                self.refusal = Some(Refusal::HostKeyKind { offer: offer.to_owned() });
            }
            if line.contains("Permission denied (") || line.contains("Too many authentication failures") {
                self.refusal = Some(Refusal::ClientKey);
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
        assert_eq!((log.phase, log.end, log.complete), (Phase::Started, Some(RemoteEnd::Exit), true));
        assert_eq!(log.reason(), None);
    }

    #[test]
    fn a_changed_host_key_is_no_refused_key() {
        let log = read(
            "debug1: Server host key: ssh-ed25519 SHA256:new\n@ WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED! @\n\
             Host key verification failed.\n",
        );
        assert_eq!((log.phase, &log.refusal), (Phase::Connecting, &Some(Refusal::HostKey)));
        assert_eq!(log.shown.as_deref(), Some("SHA256:new"));
    }

    #[test]
    fn a_host_without_the_pinned_kind_is_recognised() {
        let log = read(
            "Unable to negotiate with ::1 port 122: no matching host key type found. Their offer: ssh-rsa\n",
        );
        assert_eq!(log.refusal, Some(Refusal::HostKeyKind { offer: "ssh-rsa".to_owned() }));
    }

    #[test]
    fn a_refused_key_and_a_refused_connection_differ() {
        let log = read("admin@ghe: Permission denied (publickey).\n");
        assert_eq!(log.refusal, Some(Refusal::ClientKey));
        let log = read("ssh: connect to host ghe port 122: Connection refused\r\n");
        assert_eq!(log.refusal, None);
        assert_eq!(log.reason().as_deref(), Some("connect to host ghe port 122: Connection refused"));
    }

    #[test]
    fn nobody_can_claim_an_end_before_the_command_was_sent() {
        let log = read(
            "debug1: Sending command: x\ndebug1: f: channel 0 rtype exit-status reply 0\n\
             debug2: channel 0: rcvd eof\n",
        );
        assert_eq!((log.phase, log.end, log.complete), (Phase::Connecting, None, false));
    }
}
