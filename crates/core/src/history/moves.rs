//! What changed between two tables of references. Pure; what a move of a branch means is asked of an [`Ancestry`].

use serde::Serialize;

use super::{
    ancestry::{Ancestry, Relation},
    table::RefTable,
};
use crate::restore::entry::show;

/// What happened to a reference.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum MoveKind {
    /// It is new.
    Created,
    /// It is gone.
    Deleted,
    /// The new commit has the old one among its ancestors.
    Forward,
    /// The old commit is no ancestor of the new one: history was rewritten or taken back.
    Rewound,
    /// A tag points to something else: tags are not meant to move.
    TagMoved,
    /// `HEAD` says something else: another default branch.
    HeadChanged,
    /// What the move means could not be found out, for this reason.
    Unproven(String),
}

impl MoveKind {
    /// Whether it takes away or replaces what somebody may rely on.
    #[must_use]
    pub fn is_notable(&self) -> bool {
        !matches!(self, Self::Created | Self::Forward)
    }

    /// In a word or two.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Deleted => "deleted",
            Self::Forward => "forward",
            Self::Rewound => "rewound",
            Self::TagMoved => "tag moved",
            Self::HeadChanged => "HEAD changed",
            Self::Unproven(_) => "unproven",
        }
    }
}

/// A change of one reference.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Move {
    /// Its name, `HEAD` or `refs/…`.
    pub reference: String,
    /// Where it pointed before.
    pub from: Option<String>,
    /// Where it points now.
    pub to: Option<String>,
    /// What that means.
    pub kind: MoveKind,
}

/// Names that the appliance itself moves about: pull requests and its own bookkeeping. They are shown, but never notable.
#[must_use]
pub fn is_internal(reference: &str) -> bool {
    !(reference == "HEAD" || reference.starts_with("refs/heads/") || reference.starts_with("refs/tags/"))
}

/// All changes from `before` to `after`, `HEAD` first, then by name.
pub fn between(before: &RefTable, after: &RefTable, ancestry: &mut dyn Ancestry) -> Vec<Move> {
    let mut moves = Vec::new();
    if before.head != after.head {
        moves.push(Move {
            reference: "HEAD".into(),
            from: text(&before.head),
            to: text(&after.head),
            kind: if before.head.is_empty() { MoveKind::Created } else { MoveKind::HeadChanged },
        });
    }
    let mut names: Vec<&Vec<u8>> = before.refs.keys().chain(after.refs.keys()).collect();
    names.sort_unstable();
    names.dedup();
    for name in names {
        let (from, to) = (before.refs.get(name), after.refs.get(name));
        let kind = match (from, to) {
            (None, Some(_)) => MoveKind::Created,
            (Some(_), None) => MoveKind::Deleted,
            (Some(from), Some(to)) if from != to => moved(name, from, to, ancestry),
            _ => continue,
        };
        let value = |bytes: Option<&Vec<u8>>| bytes.map(|bytes| show(bytes));
        moves.push(Move { reference: show(name), from: value(from), to: value(to), kind });
    }
    moves
}

fn moved(name: &[u8], from: &[u8], to: &[u8], ancestry: &mut dyn Ancestry) -> MoveKind {
    if name.starts_with(b"refs/tags/") {
        return MoveKind::TagMoved;
    }
    let (Some(from), Some(to)) = (object(from), object(to)) else {
        return MoveKind::Unproven("it is a symbolic reference".into());
    };
    match ancestry.relation(from, to) {
        Relation::Ancestor => MoveKind::Forward,
        Relation::NoAncestor => MoveKind::Rewound,
        Relation::Unknown(why) => MoveKind::Unproven(why),
    }
}

/// The name of an object, if the value is one.
fn object(value: &[u8]) -> Option<&str> {
    let text = std::str::from_utf8(value).ok()?;
    (matches!(text.len(), 40 | 64) && text.bytes().all(|b| b.is_ascii_hexdigit())).then_some(text)
}

fn text(bytes: &[u8]) -> Option<String> {
    (!bytes.is_empty()).then(|| show(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: &str = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
    const B: &str = "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb";

    /// `B` has `A` among its ancestors, and nothing else has any.
    struct BFollowsA;

    impl Ancestry for BFollowsA {
        fn relation(&mut self, old: &str, new: &str) -> Relation {
            if (old, new) == (A, B) { Relation::Ancestor } else { Relation::NoAncestor }
        }
    }

    fn table(refs: &[(&str, &str)]) -> RefTable {
        let refs = refs.iter().map(|(name, value)| (name.as_bytes().to_vec(), value.as_bytes().to_vec()));
        RefTable { head: b"ref: refs/heads/main".to_vec(), refs: refs.collect() }
    }

    fn kinds(before: &RefTable, after: &RefTable) -> Vec<(String, &'static str)> {
        between(before, after, &mut BFollowsA)
            .into_iter()
            .map(|one| (one.reference, one.kind.word()))
            .collect()
    }

    #[test]
    fn a_branch_goes_forward_or_is_rewound_as_the_commits_say() {
        let (at_a, at_b) = (table(&[("refs/heads/main", A)]), table(&[("refs/heads/main", B)]));
        assert_eq!(kinds(&at_a, &at_b), [("refs/heads/main".into(), "forward")]);
        assert_eq!(kinds(&at_b, &at_a), [("refs/heads/main".into(), "rewound")]);
        assert_eq!(kinds(&at_a, &at_a), []);
    }

    #[test]
    fn a_moved_tag_is_told_even_if_it_went_forward() {
        let (before, after) = (table(&[("refs/tags/v1", A)]), table(&[("refs/tags/v1", B)]));
        assert_eq!(kinds(&before, &after), [("refs/tags/v1".into(), "tag moved")]);
    }

    #[test]
    fn what_appears_disappears_or_changes_the_default_branch_is_told() {
        let before = table(&[("refs/heads/old", A)]);
        let after = RefTable { head: b"ref: refs/heads/new".to_vec(), ..table(&[("refs/heads/new", B)]) };
        assert_eq!(
            kinds(&before, &after),
            [
                ("HEAD".into(), "HEAD changed"),
                ("refs/heads/new".into(), "created"),
                ("refs/heads/old".into(), "deleted")
            ]
        );
    }

    #[test]
    fn references_of_the_appliance_itself_are_known() {
        assert!(is_internal("refs/pull/1/head") && is_internal("refs/__gh__/svn/v4"));
        assert!(!is_internal("refs/heads/main") && !is_internal("refs/tags/v1") && !is_internal("HEAD"));
    }
}
