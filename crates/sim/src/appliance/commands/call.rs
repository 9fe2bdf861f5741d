//! One call of an appliance command: its name and arguments, and the streams it reads and writes.

use std::{
    fs,
    io::{self, Read, Write},
    path::Path,
};

use crate::{
    appliance::Place,
    error::{OnFile, SimError},
};

/// A call.
#[derive(Clone, Debug)]
pub struct Call {
    /// The appliance.
    pub place: Place,
    /// The name it was called by.
    pub name: String,
    /// Its arguments.
    pub args: Vec<String>,
}

impl Call {
    /// Name and arguments as one text.
    #[must_use]
    pub fn text(&self) -> String {
        std::iter::once(&self.name).chain(&self.args).map(String::as_str).collect::<Vec<_>>().join(" ")
    }

    /// The argument at `index`, or nothing.
    #[must_use]
    pub fn arg(&self, index: usize) -> &str {
        self.args.get(index).map_or("", String::as_str)
    }

    /// Whether one of the arguments is `flag`.
    #[must_use]
    pub fn has(&self, flag: &str) -> bool {
        self.args.iter().any(|arg| arg == flag)
    }

    /// The whole stdin.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn stdin(&self) -> Result<Vec<u8>, SimError> {
        let mut bytes = Vec::new();
        io::stdin().lock().read_to_end(&mut bytes).on("read", "stdin")?;
        Ok(bytes)
    }

    /// The lines of stdin that are not empty.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn stdin_lines(&self) -> Result<Vec<String>, SimError> {
        let text = self.stdin()?;
        Ok(String::from_utf8_lossy(&text)
            .lines()
            .filter(|line| !line.is_empty())
            .map(str::to_owned)
            .collect())
    }

    /// Writes to stdout.
    ///
    /// # Errors
    /// The reader went away.
    pub fn print(&self, bytes: impl AsRef<[u8]>) -> Result<(), SimError> {
        let mut stdout = io::stdout().lock();
        stdout.write_all(bytes.as_ref()).and_then(|()| stdout.flush()).on("write", "stdout")
    }

    /// Writes one line to stdout.
    ///
    /// # Errors
    /// The reader went away.
    pub fn say(&self, line: impl AsRef<str>) -> Result<(), SimError> {
        self.print(format!("{}\n", line.as_ref()))
    }

    /// Copies a file to stdout.
    ///
    /// # Errors
    /// No file, or the reader went away.
    pub fn print_file(&self, path: &Path) -> Result<(), SimError> {
        let mut file = fs::File::open(path).on("open", path)?;
        io::copy(&mut file, &mut io::stdout().lock()).map(|_| ()).on("write", "stdout")
    }

    /// Keeps stdin as a file, replaced in one step.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn keep_stdin(&self, path: &Path) -> Result<(), SimError> {
        keep(path, &mut io::stdin().lock())
    }
}

/// Replaces `path` by what `from` gives, in one step.
///
/// # Errors
/// The file cannot be written.
pub fn keep(path: &Path, from: &mut impl Read) -> Result<(), SimError> {
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent).on("create", parent)?;
    }
    let mut name = path.as_os_str().to_owned();
    name.push(".new");
    let mut file = fs::File::create(&name).on("create", path)?;
    io::copy(from, &mut file).on("write", path)?;
    // The file that was there says who may read it.
    if let Ok(old) = fs::metadata(path) {
        let _ = fs::set_permissions(&name, old.permissions());
    }
    fs::rename(&name, path).on("replace", path)
}
