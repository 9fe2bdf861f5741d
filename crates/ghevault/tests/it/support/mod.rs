//! A desk to run the program at: a home, a state folder, a password and a vault of its own, nothing of this machine's
//! environment; and a simulated appliance that it can reach.

pub mod accounts;
pub mod boards;
pub mod daemon;
pub mod pair;
pub mod run;
pub mod schema;
pub mod two;
pub mod wire;

use ghevault_sim::{
    build::{Recipe, databases::Databases},
    harness::Appliance,
};
use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

pub use run::Done;

/// A place to run the program at.
pub struct Desk {
    folder: tempfile::TempDir,
    variables: Vec<(String, String)>,
}

impl Desk {
    /// A desk with a password and names for a vault and a state folder, none of which exist yet.
    pub fn new() -> Self {
        let folder = tempfile::tempdir().expect("a scratch folder");
        let mut desk = Self { folder, variables: Vec::new() };
        let password = desk.write("password", "correct horse\n");
        desk.set("GHEVAULT_PASSWORD", &format!("file:{}", password.display()));
        desk.set("GHEVAULT_VAULT", &desk.path("vault").display().to_string());
        desk.set("GHEVAULT_STATE", &desk.path("state").display().to_string());
        desk
    }

    /// A desk whose vault is in a bucket, with the AWS credentials of a profile in a file.
    pub fn in_bucket(vault: &str, credentials: &str, profile: &str) -> Self {
        let mut desk = Self::new();
        desk.set("GHEVAULT_VAULT", vault);
        desk.use_aws("eu-central-1", credentials, profile);
        desk
    }

    /// Uses a profile of a credentials file in a region, and nothing else that this machine knows of AWS.
    pub fn use_aws(&mut self, region: &str, credentials: &str, profile: &str) {
        self.set("AWS_REGION", region);
        self.set("AWS_SHARED_CREDENTIALS_FILE", credentials);
        self.set("AWS_CONFIG_FILE", "/dev/null");
        self.set("AWS_EC2_METADATA_DISABLED", "true");
        self.set("AWS_PROFILE", profile);
    }

    /// Uses keys that nobody checks in a region, and nothing else that this machine knows of AWS.
    pub fn use_aws_keys(&mut self, region: &str) {
        self.set("AWS_REGION", region);
        self.set("AWS_ACCESS_KEY_ID", "AKIAEXAMPLE");
        self.set("AWS_SECRET_ACCESS_KEY", "example");
        self.set("AWS_EC2_METADATA_DISABLED", "true");
        self.set("AWS_CONFIG_FILE", "/dev/null");
        self.set("AWS_SHARED_CREDENTIALS_FILE", "/dev/null");
    }

    /// The same with a vault.
    pub fn with_vault() -> Self {
        let desk = Self::new();
        desk.run(&["init"]).exits(0);
        desk
    }

    /// A path on the desk.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes a private file.
    pub fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path(name);
        fs::create_dir_all(path.parent().expect("a parent")).expect("a folder");
        fs::write(&path, text).expect("written");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).expect("private");
        path
    }

    /// Gives it a configuration file.
    pub fn configure(&mut self, text: &str) {
        let config = self.write("g.toml", text);
        self.set("GHEVAULT_CONFIG", &config.display().to_string());
    }

    /// Sets an environment variable for all later invocations.
    pub fn set(&mut self, name: &str, value: &str) {
        self.unset(name);
        self.variables.push((name.to_owned(), value.to_owned()));
    }

    /// The appliance as it is named now.
    pub fn host(&self) -> String {
        let named = self.variables.iter().find(|(name, _)| name == "GHEVAULT_HOST");
        named.map(|(_, value)| value.clone()).unwrap_or_default()
    }

    /// Removes an environment variable.
    pub fn unset(&mut self, name: &str) {
        self.variables.retain(|(known, _)| known != name);
    }

    /// The program, ready to be started.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_ghevault"));
        command
            .args(arguments)
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", self.folder.path())
            .envs(self.variables.iter().map(|(name, value)| (name, value)))
            .current_dir(self.folder.path())
            .stdin(Stdio::null());
        command
    }

    /// Runs the program to its end. What it prints with `--json` must be as its schema says.
    #[track_caller]
    pub fn run(&self, arguments: &[&str]) -> Done {
        let done = Done::of(&self.command(arguments).output().expect("the program starts"));
        schema::check(arguments, &done);
        done
    }

    /// Starts the program.
    pub fn start(&self, arguments: &[&str]) -> Child {
        self.command(arguments)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program starts")
    }

    /// Puts a snapshot into the vault that stock restic makes.
    #[track_caller]
    pub fn foreign_snapshot(&self) {
        let restic = Command::new("restic")
            .args(["--no-cache", "--quiet", "-r"])
            .arg(self.path("vault"))
            .arg("--password-file")
            .arg(self.path("password"))
            .arg("backup")
            .arg(self.path("password"))
            .output()
            .expect("restic runs");
        assert!(restic.status.success(), "{restic:?}");
    }

    /// Points the desk at an appliance: its address and its client key.
    pub fn reach(&mut self, appliance: &mut Appliance) {
        let address = appliance.open_embedded().expect("a door");
        self.set("GHEVAULT_HOST", &address.to_string());
        self.set("GHEVAULT_SSH_KEY", &format!("file:{}", appliance.client_key().display()));
    }

    /// The same, with the host key pinned.
    pub fn trust(&mut self, appliance: &mut Appliance) {
        self.reach(appliance);
        self.run(&["trust", "--accept", &appliance.host_key().expect("a host key")]).exits(0);
    }
}

/// A small appliance in a folder of its own; keep the folder as long as the appliance.
pub fn appliance(seed: u64) -> (Appliance, tempfile::TempDir) {
    appliance_of(&Recipe { databases: Databases::Stored, ..Recipe::small(seed) })
}

/// An appliance of a recipe.
pub fn appliance_of(recipe: &Recipe) -> (Appliance, tempfile::TempDir) {
    let folder = tempfile::tempdir().expect("a scratch folder");
    let appliance = Appliance::build(folder.path().join("appliance"), recipe).expect("an appliance");
    (appliance, folder)
}

/// Flips one byte in the middle of a file.
pub fn damage(path: &Path) {
    let mut bytes = fs::read(path).expect("readable");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).expect("ours");
    fs::write(path, bytes).expect("written");
}

/// The packs of the desk's vault, the smallest first.
pub fn packs(desk: &Desk) -> Vec<PathBuf> {
    let mut packs = Vec::new();
    for folder in fs::read_dir(desk.path("vault/data")).expect("a vault") {
        let folder = folder.expect("an entry").path();
        packs.extend(fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path()));
    }
    packs.sort_by_key(|path| fs::metadata(path).map(|facts| facts.len()).unwrap_or_default());
    packs
}

/// The only file below a folder.
pub fn only_file(folder: &Path) -> PathBuf {
    let mut files: Vec<PathBuf> =
        fs::read_dir(folder).expect("a folder").map(|e| e.expect("an entry").path()).collect();
    assert_eq!(files.len(), 1, "{files:?}");
    files.remove(0)
}
