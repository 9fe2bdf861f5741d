//! What this host knows of the vaults that publish on notice boards, for the status page, which asks no board.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::{StateError, StateFolder};

const WITNESSED: &str = "witnessed.json";
/// What was not looked at for so long, while others were, is forgotten: the board or the key is not in use any more.
const FORGOTTEN: SignedDuration = SignedDuration::from_hours(30 * 24);

/// A vault on a board.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Witnessed {
    /// The board.
    pub board: String,
    /// Under which name the vault's key speaks.
    pub origin: String,
    /// Whose key it is, in the words of the settings.
    pub key: String,
    /// Whether it is this host's own.
    pub own: bool,
    /// Seals of its newest checkpoint.
    pub seals: usize,
    /// When that was made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub published: Option<Timestamp>,
    /// Who has cosigned it.
    pub cosigned: Vec<String>,
    /// When this host looked last.
    pub looked: Timestamp,
    /// What does not fit.
    pub findings: Vec<String>,
}

/// What was known, with what was just seen. Whoever only publishes (`judged` is false) sees neither cosignatures nor what does not fit.
fn merged(known: Vec<Witnessed>, fresh: Vec<Witnessed>, judged: bool) -> Vec<Witnessed> {
    let mut all = known;
    for mut one in fresh {
        let same = |old: &&mut Witnessed| old.board == one.board && old.origin == one.origin;
        let Some(old) = all.iter_mut().find(same) else {
            all.push(one);
            continue;
        };
        one.own |= old.own;
        if !judged {
            one.findings = std::mem::take(&mut old.findings);
            one.key = std::mem::take(&mut old.key);
            if one.seals == old.seals {
                one.cosigned = std::mem::take(&mut old.cosigned);
            }
        }
        *old = one;
    }
    let newest = all.iter().map(|one| one.looked).max();
    all.retain(|one| newest.is_none_or(|newest| newest.duration_since(one.looked) < FORGOTTEN));
    all.sort_by(|a, b| (!a.own, &a.key, &a.board).cmp(&(!b.own, &b.key, &b.board)));
    all
}

impl StateFolder {
    /// The vaults that this host has seen on boards, its own first.
    ///
    /// # Errors
    /// They cannot be read.
    pub fn witnessed(&self) -> Result<Vec<Witnessed>, StateError> {
        Ok(self.record(WITNESSED)?.unwrap_or_default())
    }

    /// Remembers what was just seen, in place of what was known.
    ///
    /// # Errors
    /// It cannot be read or written.
    pub fn see_witnessed(&self, fresh: Vec<Witnessed>, judged: bool) -> Result<(), StateError> {
        let known = self.witnessed()?;
        let all = merged(known.clone(), fresh, judged);
        if all == known { Ok(()) } else { self.put_record(WITNESSED, &all) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(board: &str, seals: usize, day: i64, findings: &[&str]) -> Witnessed {
        Witnessed {
            board: board.to_owned(),
            origin: "ghevault.v.k".to_owned(),
            key: "a".to_owned(),
            own: false,
            seals,
            published: None,
            cosigned: vec!["b".to_owned()],
            looked: Timestamp::from_second(day * 86_400).unwrap(),
            findings: findings.iter().map(ToString::to_string).collect(),
        }
    }

    #[test]
    fn a_look_takes_the_place_of_the_one_before_and_publishing_does_not_excuse_anything() {
        let first = merged(Vec::new(), vec![seen("x", 1, 0, &["rollback: r"])], true);
        let published =
            Witnessed { cosigned: Vec::new(), own: true, key: String::new(), ..seen("x", 2, 1, &[]) };
        let second = merged(first, vec![published], false);
        assert_eq!((second[0].seals, second[0].own, second[0].key.as_str()), (2, true, "a"));
        assert_eq!((second[0].findings.len(), second[0].cosigned.len()), (1, 0));
        let third = merged(second, vec![seen("x", 2, 2, &[])], true);
        assert!(third[0].findings.is_empty() && third[0].own && third[0].cosigned == ["b"]);
    }

    #[test]
    fn a_board_that_nobody_looks_at_any_more_is_forgotten() {
        let both = merged(vec![seen("old", 1, 0, &[])], vec![seen("new", 1, 29, &[])], true);
        assert_eq!(both.len(), 2);
        let one = merged(both, vec![seen("new", 1, 31, &[])], true);
        assert_eq!(one.iter().map(|one| one.board.as_str()).collect::<Vec<_>>(), ["new"]);
    }
}
