//! LFS objects: small text blobs of a repository name them by SHA-256, and the appliance's storage holds them under that name
//! (contract §2.13).

use std::{
    collections::BTreeMap,
    fs,
    io::{self, BufRead, BufReader, BufWriter, Write},
    path::{Path, PathBuf},
    process::Stdio,
};

use sha2::{Digest, Sha256};

use super::{RepositoryError, error::At, git::Git};
use crate::{
    causes,
    progress::{Event, Progress},
    restore::{folder::PART, report::Problem, view::SnapshotView},
};

/// A pointer has fewer bytes than this; the LFS specification says so.
const POINTER_MAX: u64 = 1024;

/// First lines of pointers; the second is from before LFS had its name.
const VERSIONS: [&str; 2] = ["https://git-lfs.github.com/spec/v1", "https://hawser.github.com/spec/v1"];

/// The object that a pointer names.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Pointer {
    /// SHA-256 in hexadecimal.
    pub sha256: String,
    /// Bytes.
    pub size: u64,
}

/// Reads a pointer; `None` when the text is none.
#[must_use]
pub fn pointer(blob: &[u8]) -> Option<Pointer> {
    if blob.len() as u64 >= POINTER_MAX {
        return None;
    }
    let text = std::str::from_utf8(blob).ok()?;
    let mut lines = text.lines().map(|line| line.split_once(' '));
    let (key, version) = lines.next()??;
    if key != "version" || !VERSIONS.contains(&version) {
        return None;
    }
    let (mut sha256, mut size) = (None, None);
    for (key, value) in lines.flatten() {
        match key {
            "oid" => sha256 = value.strip_prefix("sha256:"),
            "size" => size = value.parse().ok(),
            _ => {}
        }
    }
    let sha256 = sha256
        .filter(|text| text.len() == 64 && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')))?;
    Some(Pointer { sha256: sha256.to_owned(), size: size? })
}

/// Every object that the repository's history points to.
pub(super) fn pointers(git: &Git) -> Result<BTreeMap<String, Pointer>, RepositoryError> {
    let candidates = small_blobs(git)?;
    let mut found = BTreeMap::new();
    let mut input = candidates.join("\n");
    input.push('\n');
    if candidates.is_empty() {
        return Ok(found);
    }
    let out = git.fed(&["cat-file", "--batch", "--buffer"], input.as_bytes())?;
    let mut rest = &out[..];
    while let Some(end) = memchr::memchr(b'\n', rest) {
        let header = String::from_utf8_lossy(&rest[..end]).into_owned();
        let size: usize = header.rsplit(' ').next().and_then(|size| size.parse().ok()).unwrap_or_default();
        let from = end + 1;
        let Some(body) = rest.get(from..from + size) else { break };
        if let Some(pointer) = pointer(body) {
            found.insert(pointer.sha256.clone(), pointer);
        }
        rest = rest.get(from + size + 1..).unwrap_or_default();
    }
    Ok(found)
}

/// Names of all reachable blobs that are small enough for a pointer.
fn small_blobs(git: &Git) -> Result<Vec<String>, RepositoryError> {
    let failed = |source: io::Error| RepositoryError::NoGit { source };
    let mut walk = git
        .command()
        .args(["rev-list", "--objects", "--all", "--no-object-names"])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .map_err(failed)?;
    let Some(names) = walk.stdout.take() else {
        return Err(failed(io::ErrorKind::BrokenPipe.into()));
    };
    let mut check = git
        .command()
        .args(["cat-file", "--batch-check=%(objecttype) %(objectsize) %(objectname)", "--buffer"])
        .stdin(Stdio::from(names))
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .map_err(failed)?;
    let mut small = Vec::new();
    if let Some(lines) = check.stdout.take() {
        for line in BufReader::new(lines).lines() {
            let line = line.map_err(failed)?;
            let mut words = line.split(' ');
            if let (Some("blob"), Some(size), Some(name)) = (words.next(), words.next(), words.next())
                && size.parse().is_ok_and(|size: u64| size < POINTER_MAX)
            {
                small.push(name.to_owned());
            }
        }
    }
    for (step, child) in [("cat-file", &mut check), ("rev-list", &mut walk)] {
        let status = child.wait().map_err(failed)?;
        if !status.success() {
            let name = git.folder.display().to_string();
            return Err(RepositoryError::Git { name, step: step.into(), what: status.to_string() });
        }
    }
    Ok(small)
}

/// What became of the LFS objects.
#[derive(Clone, Debug, Default)]
pub(super) struct Fetched {
    /// Objects written.
    pub objects: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Those that could not be.
    pub problems: Vec<Problem>,
}

/// Writes the objects to `into/ab/cd/HASH`; each must have the hash that is its name.
pub(super) fn fetch(
    view: SnapshotView<'_>,
    pointers: &BTreeMap<String, Pointer>,
    into: &Path,
    progress: &dyn Progress,
) -> Result<Fetched, RepositoryError> {
    let mut fetched = Fetched::default();
    for pointer in pointers.values() {
        let path = storage_path(&pointer.sha256);
        match fetch_one(view, pointer, &path, into)? {
            Ok(size) => {
                fetched.objects += 1;
                fetched.bytes += size;
                progress.event(Event::Advanced { part: PART, bytes: size, items: 1 });
            }
            Err(what) => {
                let what = format!("LFS object of {} bytes: {what}", pointer.size);
                fetched.problems.push(Problem { path, what });
            }
        }
    }
    Ok(fetched)
}

fn fetch_one(
    view: SnapshotView<'_>,
    pointer: &Pointer,
    path: &str,
    into: &Path,
) -> Result<Result<u64, String>, RepositoryError> {
    let entry = match view.find(path.as_bytes()) {
        Ok(Some(entry)) if entry.is_file() => entry,
        Ok(_) => return Ok(Err("it is not in the snapshot".into())),
        Err(error) => return Ok(Err(causes::on_one_line(&error))),
    };
    let target = object_path(into, &pointer.sha256);
    let folder = target.parent().unwrap_or(into);
    fs::create_dir_all(folder).at("make folder", folder)?;
    let file = tempfile::NamedTempFile::new_in(folder).at("make a file in", folder)?;
    let mut out = Hashing { inner: BufWriter::new(file.as_file()), hash: Sha256::new() };
    let dumped = view.dump(path.as_bytes(), &entry, &mut out).map_err(|error| causes::on_one_line(&error));
    let flushed = out.inner.flush();
    let hash = hex::encode(out.hash.clone().finalize());
    drop(out);
    let size = match dumped {
        Ok(size) => size,
        Err(what) => return Ok(Err(what)),
    };
    flushed.at("write", &target)?;
    if hash != pointer.sha256 {
        return Ok(Err("its content has another hash".into()));
    }
    file.persist(&target).map_err(|error| error.error).at("name", &target)?;
    Ok(Ok(size))
}

/// `storage/h/hh/hh/HASH`.
fn storage_path(sha256: &str) -> String {
    format!("storage/{}/{}/{}/{sha256}", &sha256[..1], &sha256[..2], &sha256[2..4])
}

/// `into/ab/cd/HASH`, as LFS keeps objects.
fn object_path(into: &Path, sha256: &str) -> PathBuf {
    into.join(&sha256[..2]).join(&sha256[2..4]).join(sha256)
}

struct Hashing<W> {
    inner: W,
    hash: Sha256,
}

impl<W: Write> Write for Hashing<W> {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        let n = self.inner.write(buf)?;
        self.hash.update(&buf[..n]);
        Ok(n)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::{Pointer, object_path, pointer, storage_path};

    const HASH: &str = "ed1aa60f0123456789abcdef0123456789abcdef0123456789abcdef01234567";

    fn text(version: &str, oid: &str, size: &str) -> Vec<u8> {
        format!("version {version}\noid {oid}\nsize {size}\n").into_bytes()
    }

    #[test]
    fn a_pointer_names_an_object() {
        let whole = Some(Pointer { sha256: HASH.into(), size: 12 });
        let oid = format!("sha256:{HASH}");
        assert_eq!(pointer(&text("https://git-lfs.github.com/spec/v1", &oid, "12")), whole);
        assert_eq!(pointer(&text("https://hawser.github.com/spec/v1", &oid, "12")), whole);
        let extended = format!(
            "version https://git-lfs.github.com/spec/v1\next-0-x sha256:{HASH}\noid {oid}\nsize 12\n"
        );
        assert_eq!(pointer(extended.as_bytes()), whole);
    }

    #[test]
    fn what_only_looks_like_a_pointer_is_none() {
        let version = "https://git-lfs.github.com/spec/v1";
        let oid = format!("sha256:{HASH}");
        let upper = format!("sha256:{}", HASH.to_uppercase());
        for blob in [
            text("https://example.com/", &oid, "12"),
            text(version, "sha256:../../../etc/passwd", "12"),
            text(version, &upper, "12"),
            text(version, &oid, "many"),
            text(version, &oid, &format!("12\n{}", "x".repeat(1024))),
            b"version".to_vec(),
            vec![0xff; 100],
        ] {
            assert_eq!(pointer(&blob), None, "{}", String::from_utf8_lossy(&blob));
        }
    }

    #[test]
    fn objects_are_found_and_kept_under_their_hash() {
        assert_eq!(storage_path(HASH), format!("storage/e/ed/1a/{HASH}"));
        assert!(object_path(std::path::Path::new("o"), HASH).ends_with(format!("ed/1a/{HASH}")));
    }
}
