//! From flags, environment, `ghevault.toml` and an existing `backup.config` to typed settings.
//!
//! Every option is declared once in [`option`]; each source becomes a layer of plain texts with their origin, the
//! strongest layer wins, and [`settings`] turns the winners into types. Nothing here connects to anything.

pub mod amount;
pub mod aws;
pub mod backup_config;
pub mod backup_utils;
pub mod layer;
pub mod locate;
pub mod notify;
pub mod operation;
pub mod option;
pub mod otlp;
pub mod retention;
pub mod settings;
pub mod ssh_options;
pub mod this_host;
pub mod toml_file;

pub use settings::Settings;
