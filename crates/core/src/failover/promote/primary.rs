//! The primary that a promotion leaves behind: may it be left? Pure.

use super::guard::{PromoteOptions, Refusal, names};
use crate::failover::observe::{Doubt, Node, Observation, State};

/// The primary that is left behind.
pub(super) struct Primary<'a> {
    /// Its name, if it is known.
    pub(super) host: Option<String>,
    /// It, if it answers.
    pub(super) node: Option<&'a Node>,
}

/// The primary that a promotion leaves behind, if it surely serves nobody any more or its name was typed.
pub(super) fn primary<'a>(
    seen: &'a Observation,
    replica: &Node,
    options: &PromoteOptions,
    warnings: &mut Vec<String>,
) -> Result<Primary<'a>, Refusal> {
    let others = || seen.hosts.iter().filter(|seen| seen.host != options.host);
    let serving: Vec<(&str, &Node)> = others()
        .filter_map(|seen| match &seen.state {
            State::Answers(node) if node.serves() => Some((seen.host.as_str(), &**node)),
            _ => None,
        })
        .collect();
    if serving.len() > 1 {
        return Err(Refusal::SplitBrain(serving.iter().map(|(host, _)| (*host).to_owned()).collect()));
    }
    let mut despite = |host: &str, refusal: Refusal| match options.despite_primary.as_deref().map(str::trim) {
        None | Some("") => Err(refusal),
        Some(typed) if names(typed, host) => {
            warnings.push(format!("{refusal}; its name was typed, so it is ignored"));
            Ok(())
        }
        Some(typed) => Err(Refusal::DespiteOther { typed: typed.into(), primary: host.into() }),
    };
    if let Some((host, node)) = serving.first() {
        if !node.maintenance {
            despite(host, Refusal::PrimaryServes((*host).to_owned()))?;
        }
        return Ok(Primary { host: Some((*host).to_owned()), node: Some(node) });
    }
    for other in others() {
        if let State::Unclear { doubt, reason } = &other.state {
            let reason = match doubt {
                Doubt::HostKeyChanged => "it shows another host key".to_owned(),
                Doubt::HostKeyUnknown => "its host key is not pinned".to_owned(),
                Doubt::NotLetIn | Doubt::NoAnswer => reason.clone(),
            };
            despite(&other.host, Refusal::PrimaryUnclear { host: other.host.clone(), reason })?;
        }
    }
    if let Some(peer) = replica.peers.iter().find(|peer| peer.reached == Some(true)) {
        let reason = "the replica reaches it, although this host does not".to_owned();
        despite(&peer.name, Refusal::PrimaryUnclear { host: peer.name.clone(), reason })?;
    }
    let lost: Vec<&str> = others()
        .filter(|seen| matches!(seen.state, State::Unreachable { .. } | State::Unclear { .. }))
        .map(|seen| seen.host.as_str())
        .collect();
    // A machine in its place that was never configured cannot be serving.
    let replaced = others().any(|seen| matches!(&seen.state, State::Answers(node) if !node.configured));
    if lost.is_empty() && !replaced {
        let named = replica.peers.iter().find(|peer| !peer.replica).map(|peer| peer.name.clone());
        let typed = options.despite_primary.clone().unwrap_or_default();
        let known = named.clone().unwrap_or(typed);
        despite(&known, Refusal::PrimaryUnknown(named))?;
        return Ok(Primary { host: Some(known), node: None });
    }
    let host = if lost.len() == 1 { lost.first().map(|host| (*host).to_owned()) } else { None };
    Ok(Primary { host, node: None })
}
