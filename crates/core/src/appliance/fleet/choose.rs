//! Which machine of a list is the one to back up (contract §6.5): a pure decision from what each of them answered.

use serde::Serialize;

use crate::appliance::facts::{Facts, Role};

/// What one machine of the list said.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Candidate {
    /// The machine as the user named it.
    pub host: String,
    /// Its answer, or why there is none.
    pub answer: Result<Answer, String>,
}

/// A machine that answered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Answer {
    /// Its part in replication.
    pub role: Role,
    /// Its UUID; empty when it does not tell.
    pub uuid: String,
    /// Its release as printed.
    pub version: String,
    /// The machine that its `cluster.conf` makes the likely primary, when that is another one.
    pub likely_primary: Option<String>,
}

impl Answer {
    /// What facts say for the choice.
    #[must_use]
    pub fn of(facts: &Facts) -> Self {
        Self {
            role: facts.role,
            uuid: facts.uuid.clone(),
            version: facts.version_text.clone(),
            likely_primary: facts.fleet.as_ref().and_then(super::Fleet::likely_primary).map(str::to_owned),
        }
    }
}

/// Why no machine of the list may be backed up.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// More than one takes writes.
    #[error("{} both take writes: the pair is split, and only a person can say which one counts", .hosts.join(" and "))]
    SplitBrain {
        /// Those that do.
        hosts: Vec<String>,
    },
    /// None takes writes.
    #[error("no machine of the list is a primary: {}", .states.join("; "))]
    NoPrimary {
        /// What each of them said.
        states: Vec<String>,
    },
}

/// The index of the machine to back up: the only primary, standalone appliance or cluster; with `allow_replica`, else the first replica.
///
/// Names of one and the same machine (by UUID) count once, and any node of a cluster stands for the cluster.
///
/// # Errors
/// There is none, or more than one.
pub fn choose(candidates: &[Candidate], allow_replica: bool) -> Result<usize, Refusal> {
    let answers = || candidates.iter().enumerate().filter_map(|(at, c)| Some((at, c.answer.as_ref().ok()?)));
    let mut leaders: Vec<(usize, &Answer)> = Vec::new();
    for (at, answer) in answers().filter(|(_, answer)| answer.role != Role::Replica) {
        let same = |(_, other): &(usize, &Answer)| {
            let one_machine = !answer.uuid.is_empty() && other.uuid == answer.uuid;
            one_machine || (other.role == Role::Cluster && answer.role == Role::Cluster)
        };
        if !leaders.iter().any(same) {
            leaders.push((at, answer));
        }
    }
    match &leaders[..] {
        [(at, _)] => return Ok(*at),
        [] => {}
        several => {
            let hosts = several.iter().map(|(at, _)| candidates[*at].host.clone()).collect();
            return Err(Refusal::SplitBrain { hosts });
        }
    }
    if allow_replica && let Some((at, _)) = answers().next() {
        return Ok(at);
    }
    Err(Refusal::NoPrimary { states: candidates.iter().map(state).collect() })
}

/// One machine's state in words.
fn state(candidate: &Candidate) -> String {
    let host = &candidate.host;
    match &candidate.answer {
        Err(why) => format!("{host} cannot be asked ({why})"),
        Ok(Answer { likely_primary: Some(primary), .. }) => {
            format!("{host} is a replica (its primary is probably {primary})")
        }
        Ok(_) => format!("{host} is a replica"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn one(host: &str, role: Role) -> Candidate {
        named(host, role, &format!("uuid-of-{host}"))
    }

    fn named(host: &str, role: Role, uuid: &str) -> Candidate {
        let answer = Answer {
            role,
            uuid: uuid.into(),
            version: "3.11.0".into(),
            likely_primary: Some("ghe-p".into()),
        };
        Candidate { host: host.into(), answer: Ok(answer) }
    }

    fn silent(host: &str) -> Candidate {
        Candidate { host: host.into(), answer: Err("no route to host".into()) }
    }

    #[test]
    fn the_only_primary_is_taken_wherever_it_stands_in_the_list() {
        assert_eq!(choose(&[one("a", Role::Primary), one("b", Role::Replica)], false), Ok(0));
        assert_eq!(choose(&[one("a", Role::Replica), one("b", Role::Primary)], false), Ok(1));
        assert_eq!(choose(&[silent("a"), one("b", Role::Standalone)], false), Ok(1));
    }

    #[test]
    fn two_that_take_writes_are_refused_with_both_names() {
        let end = choose(&[one("a", Role::Primary), one("b", Role::Standalone)], true).unwrap_err();
        assert!(end.to_string().contains("a and b"), "{end}");
    }

    #[test]
    fn two_names_of_one_machine_and_two_nodes_of_a_cluster_are_one() {
        let twice = [named("a", Role::Primary, "u"), named("a.example", Role::Primary, "u")];
        assert_eq!(choose(&twice, false), Ok(0));
        assert_eq!(choose(&[silent("n1"), one("n2", Role::Cluster), one("n3", Role::Cluster)], false), Ok(1));
    }

    #[test]
    fn without_a_primary_each_state_is_told_and_the_likely_primary_named() {
        let list = [one("a", Role::Replica), silent("b")];
        let text = choose(&list, false).unwrap_err().to_string();
        for part in ["a is a replica", "probably ghe-p", "b cannot be asked (no route to host)"] {
            assert!(text.contains(part), "{text}");
        }
        assert_eq!(choose(&list, true), Ok(0));
        assert!(choose(&[silent("b")], true).is_err());
    }

    proptest! {
        #[test]
        fn whatever_is_chosen_answered_and_is_a_replica_only_when_allowed(
            roles in proptest::collection::vec(0_u8..5, 0..6),
            allow in any::<bool>(),
        ) {
            let list: Vec<Candidate> = roles
                .iter()
                .enumerate()
                .map(|(at, role)| {
                    let host = format!("h{at}");
                    match role {
                        0 => silent(&host),
                        1 => one(&host, Role::Standalone),
                        2 => one(&host, Role::Primary),
                        3 => one(&host, Role::Replica),
                        _ => one(&host, Role::Cluster),
                    }
                })
                .collect();
            let leaders = list.iter().filter_map(|c| c.answer.as_ref().ok()).filter(|a| a.role != Role::Replica);
            let singles = leaders.clone().filter(|a| a.role != Role::Cluster).count();
            let groups = singles + usize::from(leaders.count() > singles);
            match choose(&list, allow) {
                Ok(at) => {
                    let role = list[at].answer.as_ref().expect("it answered").role;
                    prop_assert!(role != Role::Replica || (allow && groups == 0));
                    prop_assert!(groups <= 1);
                }
                Err(Refusal::SplitBrain { hosts }) => prop_assert!(groups > 1 && hosts.len() == groups),
                Err(Refusal::NoPrimary { states }) => {
                    prop_assert!(groups == 0);
                    prop_assert_eq!(states.len(), list.len());
                }
            }
        }
    }
}
