//! Folders of links that make this one program answer to the names of the appliance's commands.

use std::{
    fs, io,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
};

use crate::{
    appliance::commands,
    error::{OnFile, SimError},
};

/// Fills `folder` with one link per name, each to `program`; other links in it are removed.
///
/// # Errors
/// The folder or a link cannot be made.
pub fn link_all<'a>(
    folder: &Path,
    program: &Path,
    names: impl IntoIterator<Item = &'a str>,
) -> Result<(), SimError> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error).on("remove", folder),
        _ => {}
    }
    fs::create_dir_all(folder).on("create", folder)?;
    for name in names {
        let link = folder.join(name);
        symlink(program, &link).on("link", &link)?;
    }
    Ok(())
}

/// Names for the embedded door: the appliance's commands, stand-ins for what needs root, and those of `sponge`,
/// `nice` and the like that this machine lacks.
#[must_use]
pub fn embedded_names() -> Vec<&'static str> {
    let lacking = commands::FALLBACKS.iter().copied().filter(|name| on_path(name).is_none());
    let always = [commands::APPLIANCE, commands::BETWEEN, commands::EMBEDDED];
    always.concat().into_iter().chain(lacking).collect()
}

/// Where a program is on this process's `PATH`.
#[must_use]
pub fn on_path(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path)
        .chain([PathBuf::from("/usr/sbin")])
        .map(|folder| folder.join(name))
        .find(|p| p.is_file())
}
