//! Faults on demand: a control file that the doors and the appliance commands read before they run something.
//!
//! A fault names a piece of text; what runs and contains it is hit, up to `times` times. The counting is done with
//! files made exclusively, so that commands of different users can count without a shared lock.

use std::{fs, io};

use serde::{Deserialize, Serialize};

use super::Place;
use crate::error::{OnFile, SimError};

/// Where a fault strikes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Scope {
    /// On the text of an exec request (or `<shell>` for a request without a command).
    #[default]
    Door,
    /// On an appliance command and its arguments, wherever it was called from.
    Command,
}

/// Which stream `after_bytes` counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Stream {
    /// What the command writes.
    #[default]
    Stdout,
    /// What the command is sent.
    Stdin,
}

/// What happens.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "lowercase")]
pub enum Action {
    /// The command ends with this exit code and text on stderr.
    Fail {
        /// The exit code.
        code: u8,
        /// The text on stderr.
        #[serde(default)]
        stderr: String,
    },
    /// The output ends early and yet the exit code is 0.
    Truncate,
    /// The whole connection is cut without a word.
    Cut,
    /// Nothing moves any more.
    Hang,
    /// These paths of the appliance are deleted, and the command goes on.
    Vanish {
        /// Absolute paths on the appliance.
        paths: Vec<String>,
    },
}

/// One fault.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fault {
    /// Text that the command must contain; empty hits everything.
    #[serde(default)]
    pub matches: String,
    /// Where.
    #[serde(default)]
    pub scope: Scope,
    /// How often; `None` for ever.
    #[serde(default)]
    pub times: Option<u32>,
    /// How many bytes pass before; `None`: at once, without starting the command.
    #[serde(default)]
    pub after_bytes: Option<u64>,
    /// The stream that is counted.
    #[serde(default)]
    pub on: Stream,
    /// What happens.
    #[serde(flatten)]
    pub action: Action,
}

impl Fault {
    /// A fault at once, on exec requests that contain `matches`, for ever.
    #[must_use]
    pub fn at_door(matches: &str, action: Action) -> Self {
        Self {
            matches: matches.to_owned(),
            scope: Scope::Door,
            times: None,
            after_bytes: None,
            on: Stream::Stdout,
            action,
        }
    }

    /// A fault at once, on appliance commands that contain `matches`, for ever.
    #[must_use]
    pub fn in_command(matches: &str, action: Action) -> Self {
        Self { scope: Scope::Command, ..Self::at_door(matches, action) }
    }

    /// The same, after this many bytes of stdout.
    #[must_use]
    pub fn after(mut self, bytes: u64) -> Self {
        self.after_bytes = Some(bytes);
        self
    }

    /// The same, counting the bytes of stdin.
    #[must_use]
    pub fn of_stdin(mut self) -> Self {
        self.on = Stream::Stdin;
        self
    }

    /// The same, this many times.
    #[must_use]
    pub fn times(mut self, times: u32) -> Self {
        self.times = Some(times);
        self
    }
}

/// The control file.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Faults {
    /// Distinguishes one set of faults from the one before, for counting.
    pub generation: u64,
    /// Text shown before authentication.
    pub banner: Option<String>,
    /// The faults; the first that hits is played.
    pub faults: Vec<Fault>,
}

impl Faults {
    /// Reads the control file; no file means no faults.
    ///
    /// # Errors
    /// The file exists but cannot be read or does not parse.
    pub fn load(place: &Place) -> Result<Self, SimError> {
        let path = place.faults();
        match fs::read(&path) {
            Ok(bytes) => serde_json::from_slice(&bytes)
                .map_err(|error| SimError::Corrupt { path, reason: error.to_string() }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Self::default()),
            Err(error) => Err(error).on("read", path),
        }
    }

    /// Replaces the control file in one step, for all users to read.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn save(&self, place: &Place) -> Result<(), SimError> {
        use std::os::unix::fs::PermissionsExt;
        let path = place.faults();
        let text = serde_json::to_vec_pretty(self)
            .map_err(|error| SimError::Corrupt { path: path.clone(), reason: error.to_string() })?;
        let fresh = place.root().join("faults.json.new");
        fs::write(&fresh, text).on("write", &fresh)?;
        fs::set_permissions(&fresh, fs::Permissions::from_mode(0o644)).on("open up", &fresh)?;
        // The real sshd reads its banner from a file.
        let banner = place.run("banner");
        fs::write(&banner, self.banner.as_deref().unwrap_or_default()).on("write", &banner)?;
        fs::rename(&fresh, &path).on("replace", &path)
    }

    /// The first fault that hits `text`, counted as played.
    #[must_use]
    pub fn claim(&self, place: &Place, scope: Scope, text: &str) -> Option<&Fault> {
        self.faults.iter().enumerate().find_map(|(index, fault)| {
            let hit = fault.scope == scope && text.contains(&fault.matches);
            (hit && self.count(place, index, fault.times)).then_some(fault)
        })
    }

    fn count(&self, place: &Place, index: usize, times: Option<u32>) -> bool {
        let Some(times) = times else { return true };
        (0..times).any(|turn| {
            let mark = place.run("faults").join(format!("{}-{index}-{turn}", self.generation));
            fs::OpenOptions::new().write(true).create_new(true).open(mark).is_ok()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_strikes_as_often_as_it_says() {
        let folder = tempfile::tempdir().unwrap();
        let place = Place::new(folder.path());
        place.prepare().unwrap();
        let faults =
            Faults { faults: vec![Fault::at_door("find", Action::Cut).times(2)], ..Faults::default() };
        faults.save(&place).unwrap();
        let faults = Faults::load(&place).unwrap();
        assert!(faults.claim(&place, Scope::Door, "tar -cf -").is_none());
        assert!(faults.claim(&place, Scope::Command, "find .").is_none());
        assert!(faults.claim(&place, Scope::Door, "find .").is_some());
        assert!(faults.claim(&place, Scope::Door, "find .").is_some());
        assert!(faults.claim(&place, Scope::Door, "find .").is_none());
    }
}
