//! Which configuration files hold: named ones must exist, others are searched in their usual places.

use crate::error::{CommandError, CommandResult};
use std::path::{Path, PathBuf};

/// The folders of this user, as the environment tells them.
#[derive(Clone, Debug, Default)]
pub struct Home {
    /// `HOME`.
    pub folder: Option<PathBuf>,
    /// `XDG_CONFIG_HOME`.
    pub config: Option<PathBuf>,
    /// `XDG_STATE_HOME`.
    pub state: Option<PathBuf>,
    /// Whether the effective user is root.
    pub root: bool,
}

impl Home {
    /// Asks the environment.
    pub fn from_environment() -> Self {
        let folder = |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
        Self {
            folder: folder("HOME"),
            config: folder("XDG_CONFIG_HOME"),
            state: folder("XDG_STATE_HOME"),
            root: rustix::process::geteuid().is_root(),
        }
    }

    /// Where `ghevault.toml` is searched, best first.
    #[must_use]
    pub fn config_candidates(&self) -> Vec<PathBuf> {
        let own = self.config.clone().or_else(|| self.folder.as_ref().map(|home| home.join(".config")));
        own.into_iter()
            .chain([PathBuf::from("/etc")])
            .map(|folder| folder.join("ghevault/ghevault.toml"))
            .collect()
    }

    /// Where `backup.config` is searched, best first (contract §8.1).
    #[must_use]
    pub fn backup_config_candidates(&self) -> Vec<PathBuf> {
        let own = self.folder.as_ref().map(|home| home.join(".github-backup-utils/backup.config"));
        own.into_iter().chain([PathBuf::from("/etc/github-backup-utils/backup.config")]).collect()
    }

    /// The folder for state when nobody names one.
    #[must_use]
    pub fn default_state(&self) -> Option<PathBuf> {
        if self.root && self.state.is_none() {
            return Some(PathBuf::from("/var/lib/ghevault"));
        }
        self.state
            .clone()
            .or_else(|| self.folder.as_ref().map(|home| home.join(".local/state")))
            .map(|folder| folder.join("ghevault"))
    }
}

/// The named file, which must exist, or the first of the candidates that does.
///
/// # Errors
/// The named file does not exist.
pub fn file(named: Option<&Path>, candidates: &[PathBuf]) -> CommandResult<Option<PathBuf>> {
    match named {
        Some(path) if path.is_file() => Ok(Some(path.to_owned())),
        Some(path) => {
            Err(CommandError::usage(format!("the configuration {} does not exist", path.display()))
                .hint("--config and GHEVAULT_CONFIG name it; without them the usual places are looked at."))
        }
        None => Ok(candidates.iter().find(|path| path.is_file()).cloned()),
    }
}

#[cfg(test)]
mod tests {
    use super::Home;
    use std::path::PathBuf;

    #[test]
    fn root_keeps_its_state_in_var_unless_the_environment_says_otherwise() {
        let root = Home { folder: Some(PathBuf::from("/root")), root: true, ..Home::default() };
        assert_eq!(root.default_state(), Some(PathBuf::from("/var/lib/ghevault")));
        let told = Home { state: Some(PathBuf::from("/s")), ..root };
        assert_eq!(told.default_state(), Some(PathBuf::from("/s/ghevault")));
        let user = Home { folder: Some(PathBuf::from("/home/u")), ..Home::default() };
        assert_eq!(user.default_state(), Some(PathBuf::from("/home/u/.local/state/ghevault")));
    }
}
