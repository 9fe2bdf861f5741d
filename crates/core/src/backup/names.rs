//! What repositories are called: `OWNER/NAME` of each path, from the file that the appliance keeps in it (contract §2.11, `info/nwo`).
//!
//! Paths on the appliance are made of numbers. The snapshot keeps the names in pages, so that one repository can be found without reading
//! all of them.

/// Largest file that counts as a name, in bytes.
pub const BYTES_MAX: u64 = 4096;

/// The file with the name, below a repository.
pub const FILE: &str = "info/nwo";

/// Whether a file holds a repository's name, by its place.
#[must_use]
pub fn holds_name(path: &[u8]) -> bool {
    path.starts_with(b"repositories/") && path.ends_with(b".git/info/nwo")
}

/// Under which name a repository is found; `nwo` is the content of its [`FILE`]. A gist is `gist/` with its own name, a wiki has the
/// repository's with `.wiki`; the shared store of a network has none.
#[must_use]
pub fn indexed(path: &[u8], nwo: Option<&[u8]>) -> Option<String> {
    let at = memchr::memrchr(b'/', path)?;
    let (folder, file) = (&path[..at], &path[at + 1..]);
    let stem = std::str::from_utf8(file.strip_suffix(b".git")?).ok()?;
    if folder.ends_with(b"/gist") {
        return Some(format!("gist/{stem}"));
    }
    if stem == "network" {
        return None;
    }
    let text = std::str::from_utf8(nwo?).ok()?.trim();
    let (owner, name) = text.split_once('/')?;
    let sound = |part: &str| !part.is_empty() && !part.contains(|c: char| c == '/' || c.is_control());
    if !sound(owner) || !sound(name) {
        return None;
    }
    let is_wiki = |name: &str| name.strip_suffix(".wiki").is_some();
    let wiki = is_wiki(stem) && !is_wiki(name);
    Some(format!("{owner}/{name}{}", if wiki { ".wiki" } else { "" }))
}

#[cfg(test)]
mod tests {
    use super::{holds_name, indexed};

    const NETWORK: &str = "repositories/c/nw/c4/ca/42/1";

    fn name(file: &str, nwo: &str) -> Option<String> {
        indexed(format!("{NETWORK}/{file}").as_bytes(), Some(nwo.as_bytes()))
    }

    #[test]
    fn a_repository_has_the_name_that_the_appliance_wrote_into_it() {
        assert_eq!(name("1.git", "Owner/repo\n").as_deref(), Some("Owner/repo"));
        assert_eq!(indexed(format!("{NETWORK}/1.git").as_bytes(), None), None);
    }

    #[test]
    fn a_wiki_is_told_from_its_repository_whatever_is_written_in_it() {
        assert_eq!(name("1.wiki.git", "owner/repo").as_deref(), Some("owner/repo.wiki"));
        assert_eq!(name("1.wiki.git", "owner/repo.wiki").as_deref(), Some("owner/repo.wiki"));
    }

    #[test]
    fn a_gist_needs_no_file_and_a_shared_store_has_no_name() {
        assert_eq!(indexed(b"repositories/0/01/aa/3f/gist/9306.git", None).as_deref(), Some("gist/9306"));
        assert_eq!(name("network.git", "owner/network"), None);
    }

    #[test]
    fn nonsense_is_no_name() {
        for nwo in ["", "owner", "/x", "a/b/c", "a/\u{1b}[2J"] {
            assert_eq!(name("1.git", nwo), None, "{nwo:?}");
        }
    }

    #[test]
    fn only_the_file_at_its_place_holds_a_name() {
        assert!(holds_name(format!("{NETWORK}/1.git/info/nwo").as_bytes()));
        assert!(!holds_name(format!("{NETWORK}/1.git/refs/heads/info/nwo").as_bytes()));
        assert!(!holds_name(b"storage/1.git/info/nwo"));
    }
}
