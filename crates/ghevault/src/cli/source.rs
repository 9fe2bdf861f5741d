//! Which machine of the configured ones is talked to: the only one, or the primary among several (contract §6.5).

use super::{Invocation, connect};
use crate::error::{CommandError, CommandResult, Kind};
use ghevault_core::appliance::{
    channel::Channel,
    facts::{self, FactsError},
    fleet::{
        Jump,
        choose::{Answer, Candidate, Refusal, choose},
    },
    target::Target,
    transport,
};
use std::sync::Arc;

/// Folder of an appliance's data (contract §1.8).
const DATA: &str = "/data/user";

/// The machine that was chosen.
pub struct Source {
    /// Its name.
    pub target: Target,
    /// A channel to it.
    pub channel: Arc<dyn Channel>,
    /// The way to the nodes behind it.
    pub nodes: Jump,
    /// What every machine of the list said; empty when there is one only.
    pub candidates: Vec<Candidate>,
}

/// Connects to the configured machine; of several to the one that takes writes, with `allow_replica` else to a replica.
///
/// # Errors
/// No connection; of several none or more than one takes writes.
pub fn open(invocation: &Invocation, allow_replica: bool) -> CommandResult<Source> {
    let mut targets = connect::configured_targets(&invocation.settings)?;
    if targets.len() == 1 {
        let target = targets.remove(0);
        let way = connect::way(invocation, target.clone())?;
        let channel = transport::connect(way.clone())?;
        return Ok(Source { target, channel, nodes: Jump::through(way), candidates: Vec::new() });
    }
    let ways = targets
        .iter()
        .map(|target| connect::way(invocation, target.clone()))
        .collect::<CommandResult<Vec<_>>>()?;
    let ask = |at: usize| -> Asked {
        let channel = transport::connect(ways[at].clone()).map_err(|error| error.to_string())?;
        let facts = facts::probe(&*channel, DATA, &targets[at].to_string())
            .map_err(|error: FactsError| error.to_string())?;
        Ok((channel, Answer::of(&facts)))
    };
    let ask = &ask;
    let asked: Vec<Asked> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..targets.len()).map(|at| scope.spawn(move || ask(at))).collect();
        let ended = |_| Err("its thread ended early".to_owned());
        threads.into_iter().map(|thread| thread.join().unwrap_or_else(ended)).collect()
    });
    let candidates: Vec<Candidate> = targets
        .iter()
        .zip(&asked)
        .map(|(target, end)| Candidate {
            host: target.to_string(),
            answer: end.as_ref().map(|(_, answer)| answer.clone()).map_err(Clone::clone),
        })
        .collect();
    let at = choose(&candidates, allow_replica).map_err(|refusal| refused(&refusal))?;
    for candidate in &candidates {
        if let Err(why) = &candidate.answer {
            tracing::warn!("{} cannot be asked: {why}", candidate.host);
        }
    }
    let mut asked = asked;
    let (channel, _) = asked.swap_remove(at).map_err(CommandError::failure)?;
    let target = targets.swap_remove(at);
    let way = connect::way(invocation, target.clone())?;
    Ok(Source { target, channel, nodes: Jump::through(way), candidates })
}

/// A machine that answered, with what it is; or why it did not.
type Asked = Result<(Arc<dyn Channel>, Answer), String>;

/// A list without the one machine to take.
fn refused(refusal: &Refusal) -> CommandError {
    let hint = match refusal {
        Refusal::SplitBrain { .. } => {
            "Shut the former primary down for good, or name the one that counts with --host.".to_owned()
        }
        Refusal::NoPrimary { states } if states.iter().any(|state| state.contains("no host key is pinned")) => {
            "Run `ghevault trust`, which shows the host keys of all machines of the list.".to_owned()
        }
        Refusal::NoPrimary { .. } => {
            "If the primary is lost, `ghevault advise` compares the ways out; --allow-replica backs a replica up."
                .to_owned()
        }
    };
    CommandError::new(Kind::Refused, refusal.to_string()).hint(hint)
}
