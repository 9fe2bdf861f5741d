//! Path rewriting of the embedded door: without a mount namespace, the appliance's absolute paths are replaced by
//! the places on this machine in the text of commands and of scripts, and nowhere else.

use std::{os::unix::ffi::OsStrExt, path::PathBuf};

use crate::appliance::{Place, membership::Membership};

/// Absolute paths of the appliance.
const ROOTS: [&str; 5] =
    ["/usr/local/share/enterprise", "/usr/local/bin/ghe-", "/etc/github", "/tmp/lsndir", "/data"];

/// A path, and what replaces it.
type Pair = (Vec<u8>, Vec<u8>);

/// The rewriting for one appliance.
#[derive(Clone, Debug)]
pub struct Rewrite {
    pairs: Vec<Pair>,
    /// Places of other machines of the fleet: what their doors made of the appliance's paths, in text that came through
    /// them.
    foreign: Vec<Pair>,
}

impl Rewrite {
    /// The rewriting for the appliance at `place`.
    #[must_use]
    pub fn new(place: &Place) -> Self {
        let bytes = |root: &str, place: &Place| target(root, place).as_os_str().as_bytes().to_vec();
        let pairs = ROOTS.iter().map(|root| (root.as_bytes().to_vec(), bytes(root, place))).collect();
        let siblings = match Membership::load(place) {
            Ok(Some(membership)) => membership.siblings(place.root()),
            _ => Vec::new(),
        };
        let foreign = siblings
            .into_iter()
            .map(Place::new)
            .flat_map(|sibling| ROOTS.map(|root| (bytes(root, &sibling), root.as_bytes().to_vec())));
        Self { pairs, foreign: foreign.collect() }
    }

    /// `text` as the client wrote it: paths that another machine's door has rewritten become the appliance's again.
    #[must_use]
    pub fn original(&self, text: &[u8]) -> Vec<u8> {
        if self.foreign.is_empty() { text.to_vec() } else { replace(&self.foreign, text) }
    }

    /// `text` with every absolute path of the appliance replaced.
    #[must_use]
    pub fn apply(&self, text: &[u8]) -> Vec<u8> {
        replace(&self.pairs, &self.original(text))
    }
}

/// Where a root of the appliance is on this machine.
fn target(root: &str, place: &Place) -> PathBuf {
    match root {
        "/usr/local/share/enterprise" => place.run("enterprise"),
        "/usr/local/bin/ghe-" => place.run("shims/ghe-"),
        "/tmp/lsndir" => place.root().join("tmp/lsndir"),
        _ => place.disk(root),
    }
}

fn replace(pairs: &[Pair], text: &[u8]) -> Vec<u8> {
    let mut result = Vec::with_capacity(text.len() + 256);
    let mut at = 0;
    while at < text.len() {
        let rest = &text[at..];
        let begins = rest[0] == b'/' && (at == 0 || !continues_a_path(text[at - 1]));
        let pair = begins.then(|| pairs.iter().find(|(root, _)| starts_with_path(rest, root))).flatten();
        if let Some((root, target)) = pair {
            result.extend_from_slice(target);
            at += root.len();
        } else {
            result.push(rest[0]);
            at += 1;
        }
    }
    result
}

fn continues_a_path(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte >= 0x80 || b"/._}~".contains(&byte)
}

fn starts_with_path(text: &[u8], root: &[u8]) -> bool {
    text.strip_prefix(root).is_some_and(|rest| {
        root.ends_with(b"-")
            || !rest
                .first()
                .is_some_and(|byte| byte.is_ascii_alphanumeric() || *byte >= 0x80 || b"_-.".contains(byte))
    })
}

/// Whether a command is a shell that reads its script from stdin, so that stdin is text with paths in it.
#[must_use]
pub fn reads_script(command: &str) -> bool {
    let mut words = command.split_whitespace().peekable();
    while let Some(word) = words.peek() {
        let value = matches!(*word, "-u" | "-g" | "-n" | "-c");
        let before = matches!(*word, "nice" | "ionice" | "sudo" | "env" | "/usr/bin/env" | "exec");
        if !before && !word.starts_with('-') && !word.contains('=') {
            break;
        }
        words.next();
        // `sudo -n` has no value, `nice -n 19` has one.
        words.next_if(|next| value && !next.starts_with('-') && !next.contains("sh") && *next != "sudo");
    }
    let shell = matches!(words.next(), Some("sh" | "bash" | "/bin/sh" | "/bin/bash"));
    let mut rest = words;
    while rest.peek().is_some_and(|word| word.starts_with('-')) {
        let Some(flag) = rest.next() else { break };
        if !flag.starts_with("--") && flag.contains('c') {
            return false;
        }
        if flag.contains('s') && !flag.starts_with("--") || flag == "--" {
            return shell;
        }
    }
    shell && rest.next().is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn absolute_paths_of_the_appliance_and_nothing_else_are_rewritten() {
        let rewrite = Rewrite::new(&Place::new("/x"));
        let cases = [
            ("cat /data/user/common/uuid", "cat /x/disk/data/user/common/uuid"),
            ("dd of=/data/a '/etc/github/cluster'", "dd of=/x/disk/data/a '/x/disk/etc/github/cluster'"),
            ("cd /data; ls data/user /database /x/data", "cd /x/disk/data; ls data/user /database /x/data"),
            ("/usr/local/share/enterprise/ghe-es-dump-json u", "/x/run/enterprise/ghe-es-dump-json u"),
            ("test -e /usr/local/bin/ghe-export-mssql", "test -e /x/run/shims/ghe-export-mssql"),
            ("cat <\"/tmp/lsndir/a\" >/tmp/b", "cat <\"/x/tmp/lsndir/a\" >/tmp/b"),
            ("echo ${dir}/data ${D:-/data/user}", "echo ${dir}/data ${D:-/x/disk/data/user}"),
        ];
        for (text, expected) in cases {
            assert_eq!(String::from_utf8(rewrite.apply(text.as_bytes())).unwrap(), expected);
        }
    }

    #[test]
    fn paths_that_another_machine_has_rewritten_are_led_to_this_one() {
        let folder = tempfile::tempdir().unwrap();
        let place = Place::new(folder.path().join("a"));
        std::fs::create_dir(place.root()).unwrap();
        let peer = |name: &str| crate::appliance::membership::Peer {
            name: name.to_owned(),
            address: std::net::Ipv4Addr::LOCALHOST.into(),
        };
        Membership { own: "a".to_owned(), port: 1, peers: vec![peer("a"), peer("b")] }.save(&place).unwrap();
        let rewrite = Rewrite::new(&place);
        let there = Place::new(folder.path().join("b")).disk("/data/user/x").display().to_string();
        let text = format!("touch '{there}' /data/y");
        assert_eq!(rewrite.original(text.as_bytes()), b"touch '/data/user/x' /data/y");
        let here = String::from_utf8(rewrite.apply(text.as_bytes())).unwrap();
        let (x, y) = (place.disk("/data/user/x"), place.disk("/data/y"));
        assert_eq!(here, format!("touch '{}' {}", x.display(), y.display()));
    }

    #[test]
    fn only_a_shell_without_a_script_argument_reads_its_script_from_stdin() {
        for command in [
            "/bin/bash",
            "nice -n 19 ionice -c 3 /bin/bash",
            "sh -s -- one",
            "sudo -u git bash -es",
            "bash -eu",
        ] {
            assert!(reads_script(command), "{command}");
        }
        for command in ["bash -c 'cat'", "tar -xf -", "cat | bash", "bash script", "sudo -u git bash -ec x"] {
            assert!(!reads_script(command), "{command}");
        }
    }
}
