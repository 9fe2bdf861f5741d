//! From settings to a channel: target, key, pinned host keys, transport.

use super::Invocation;
use crate::{
    config::{
        layer::Value,
        settings::{Settings, Transport},
    },
    error::{CommandError, CommandResult, no_secret},
};
use ghevault_core::{
    appliance::{
        channel::{Channel, ChannelError},
        hostkeys::PinStore,
        target::Target,
        transport::{self, TransportKind, TransportSettings},
    },
    keys::{
        ClientKey, KeyService, Kms, KmsError, Reach, SealKeySource, Secret, SecretKind, SecretSource, SshKey,
    },
    seal::SealKey,
    state::StateFolder,
};
use std::{num::NonZeroU64, path::PathBuf, sync::Arc, time::Duration};

/// The appliance of the settings.
///
/// # Errors
/// None is named, or the name makes no sense.
pub fn configured_target(settings: &Settings) -> CommandResult<Target> {
    let value = settings.require_host()?;
    let target = Target::parse(&value.text).map_err(|error| {
        CommandError::usage(format!("{}: {error}", value.origin))
            .hint("Write `[user@]host[:port]`; the port is 122.")
    })?;
    note_oddity(&target);
    Ok(target)
}

/// All machines of the settings, in their order.
///
/// # Errors
/// None is named, or a name makes no sense.
pub fn configured_targets(settings: &Settings) -> CommandResult<Vec<Target>> {
    settings.require_host()?;
    let parse = |value: &Value| {
        Target::parse(&value.text).map_err(|error| {
            CommandError::usage(format!("{}: {error}", value.origin))
                .hint("Write `[user@]host[:port]`, with commas between several; the port is 122.")
        })
    };
    let mut targets: Vec<Target> = settings.hosts.iter().map(parse).collect::<CommandResult<_>>()?;
    let mut seen = std::collections::HashSet::new();
    targets.retain(|target| seen.insert(target.clone()));
    targets.iter().for_each(note_oddity);
    Ok(targets)
}

/// An appliance named on the command line.
///
/// # Errors
/// The name makes no sense.
pub fn named_target(text: &str) -> CommandResult<Target> {
    let target = Target::parse(text).map_err(|error| {
        CommandError::usage(error.to_string()).hint("Write `[user@]host[:port]`; the port is 122.")
    })?;
    note_oddity(&target);
    Ok(target)
}

/// The appliances named on the command line, or else those of the settings; each once.
///
/// # Errors
/// None is named, or a name makes no sense.
pub fn targets(named: &[String], settings: &Settings) -> CommandResult<Vec<Target>> {
    if named.is_empty() {
        return configured_targets(settings);
    }
    let mut targets = Vec::new();
    for text in named.iter().flat_map(|text| text.split(',')).filter(|text| !text.trim().is_empty()) {
        targets.push(named_target(text)?);
    }
    let mut seen = std::collections::HashSet::new();
    targets.retain(|target| seen.insert(target.clone()));
    if targets.is_empty() {
        return Err(
            CommandError::usage("no appliance is named").hint("Name the hosts, or set GHEVAULT_HOST.")
        );
    }
    Ok(targets)
}

/// Warns about what is probably not meant.
fn note_oddity(target: &Target) {
    if let Some(oddity) = target.hint() {
        tracing::warn!("{oddity}");
    }
}

/// Fetches a secret, decrypts it if it is encrypted, and warns when it is kept badly.
///
/// # Errors
/// There is none; the text names `what` and never its content.
pub fn secret(
    invocation: &Invocation,
    source: &SecretSource,
    kind: SecretKind,
    what: &str,
) -> CommandResult<Secret> {
    let loaded = reach(invocation, |reach| source.load(kind, reach)).map_err(|e| no_secret(what, &e))?;
    if let Some(warning) = loaded.warning {
        tracing::warn!("{what}: {warning}");
    }
    Ok(loaded.secret)
}

/// Runs `work` with what secret sources may reach for.
pub fn reach<T>(invocation: &Invocation, work: impl FnOnce(&Reach<'_>) -> T) -> T {
    let environment = |name: &str| std::env::var_os(name);
    let kms = || kms(invocation);
    work(&Reach { environment: &environment, kms: &kms, meta: &invocation.settings.meta })
}

/// KMS in the region of the settings.
///
/// # Errors
/// No region.
pub fn kms(invocation: &Invocation) -> Result<Arc<dyn KeyService>, KmsError> {
    Ok(Arc::new(Kms::new(&invocation.aws()?)))
}

/// The key that signs: from the configured source, else the one of the state folder, which is made if it is missing.
///
/// # Errors
/// It cannot be had.
pub fn seal_key(invocation: &Invocation) -> CommandResult<SealKey> {
    let source = match &invocation.settings.seal_key {
        None => return Ok(StateFolder::open(&invocation.settings.state)?.seal_key()?),
        Some(SealKeySource::Service(key)) => {
            let kms = Arc::new(Kms::new(&invocation.aws()?));
            return Ok(SealKey::of_service(kms, key)?);
        }
        Some(SealKeySource::Secret(source)) => source,
    };
    let held = secret(invocation, source, SecretKind::Password, "the seal key")?;
    let text = std::str::from_utf8(held.bytes()).ok().and_then(|text| SealKey::from_text(text).ok());
    text.ok_or_else(|| {
        CommandError::usage(format!("what `{source}` holds is no seal key: not base64 of 32 bytes"))
            .hint("`ghevault key seal --kms-key KEY` makes one.")
    })
}

/// The source of the SSH key: the configured one, else what is found at the usual places.
///
/// # Errors
/// There is none.
pub fn ssh_key_source(settings: &Settings) -> CommandResult<SecretSource> {
    if let Some(source) = &settings.ssh_key {
        return Ok(source.clone());
    }
    let usual = SecretSource::usual_ssh_key(&settings.meta).map_err(|e| no_secret("the SSH key", &e))?;
    usual.map_or_else(|| settings.require_ssh_key().cloned(), Ok)
}

/// The socket of the ssh-agent.
fn agent_socket(named: Option<PathBuf>) -> CommandResult<PathBuf> {
    let found = named.or_else(|| std::env::var_os("SSH_AUTH_SOCK").map(PathBuf::from));
    found.filter(|socket| !socket.as_os_str().is_empty()).ok_or_else(|| {
        CommandError::usage("no ssh-agent is named, and SSH_AUTH_SOCK is not set")
            .hint("Start one (`eval $(ssh-agent)`, `ssh-add FILE`), or name its socket: `agent:SOCKET`.")
    })
}

/// The private SSH key of a source.
///
/// # Errors
/// There is none, or it is none.
pub fn ssh_key(invocation: &Invocation, source: &SecretSource) -> CommandResult<SshKey> {
    let text = secret(invocation, source, SecretKind::SshKey, "the SSH key")?;
    SshKey::parse(&text, None).map_err(|error| {
        CommandError::usage(format!("the SSH key from `{source}` cannot be used: {error}"))
            .hint("Make one for this purpose: `ghevault key create`, or `ssh-keygen -t ed25519 -N '' -f FILE`; add the public half to the appliance.")
    })
}

/// The store of pinned host keys.
#[must_use]
pub fn pins(settings: &Settings) -> PinStore {
    PinStore::below(&settings.state)
}

/// Connects to an appliance.
///
/// # Errors
/// No key, no pin, no connection.
pub fn channel(invocation: &Invocation, target: Target) -> CommandResult<Arc<dyn Channel>> {
    Ok(transport::connect(way(invocation, target)?)?)
}

/// The way to an appliance.
///
/// # Errors
/// No key.
pub fn way(invocation: &Invocation, target: Target) -> CommandResult<TransportSettings> {
    let settings = &invocation.settings;
    let key = match ssh_key_source(settings)? {
        SecretSource::Agent(socket) => ClientKey::Agent(agent_socket(socket)?),
        source => ssh_key(invocation, &source)?.into(),
    };
    let mut way = TransportSettings::new(target, key, pins(settings));
    way.kind = match settings.transport {
        Transport::Russh => TransportKind::Russh,
        Transport::Openssh => TransportKind::OpenSsh,
    };
    way.bandwidth = settings.bytes_per_s_max.and_then(NonZeroU64::new);
    way.ssh_options.clone_from(&settings.ssh_options);
    Ok(way)
}

/// The way to any appliance: key, pins and transport, loaded once.
#[derive(Debug)]
pub struct Way {
    model: TransportSettings,
}

impl Way {
    /// The way of the settings.
    ///
    /// # Errors
    /// There is no key.
    pub fn new(invocation: &Invocation, any: &Target) -> CommandResult<Self> {
        Ok(Self { model: way(invocation, any.clone())? })
    }

    /// The same, but giving up on a connection sooner.
    #[must_use]
    pub fn impatient(&self, limit: Duration) -> Self {
        Self { model: TransportSettings { connect_timeout: limit, ..self.model.clone() } }
    }

    /// Connects.
    ///
    /// # Errors
    /// No pin, no connection.
    pub fn to(&self, target: &Target) -> Result<Arc<dyn Channel>, ChannelError> {
        transport::connect(TransportSettings { target: target.clone(), ..self.model.clone() })
    }
}
