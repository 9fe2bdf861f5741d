//! Whether time explains what one side saw between two looks of the other. Pure; what a move means is asked of an
//! [`Ancestry`].

use crate::history::{Ancestry, Relation};

use super::blind::is_object;

/// What was seen of a reference (or a repository) at a look.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Seen {
    /// There is no such look.
    NoLook,
    /// It was not there.
    Absent,
    /// It had this value.
    At(String),
}

/// What kind of name it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// A branch that people rely on: the default one.
    DefaultBranch,
    /// Any other branch, or a name that nobody here knows.
    Branch,
    /// A tag with a version in its name: it is not meant to move.
    ReleaseTag,
    /// Any other tag.
    Tag,
    /// `HEAD`.
    Head,
}

impl Class {
    /// The class of a name; `default` says whether `HEAD` points to it.
    #[must_use]
    pub fn of(name: &[u8], default: bool) -> Self {
        if name == b"HEAD" {
            return Self::Head;
        }
        if let Some(tag) = name.strip_prefix(b"refs/tags/") {
            let dotted =
                tag.windows(3).any(|w| w[0].is_ascii_digit() && w[1] == b'.' && w[2].is_ascii_digit());
            return if dotted { Self::ReleaseTag } else { Self::Tag };
        }
        if default { Self::DefaultBranch } else { Self::Branch }
    }

    fn is_branch(self) -> bool {
        matches!(self, Self::DefaultBranch | Self::Branch)
    }

    fn is_relied_on(self) -> bool {
        matches!(self, Self::DefaultBranch | Self::ReleaseTag)
    }
}

/// What the other side saw around a look.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Window {
    /// At its last look before.
    pub before: Seen,
    /// At looks that overlap.
    pub during: Vec<Seen>,
    /// At its first look after.
    pub after: Seen,
}

/// What it means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Time explains it, or may still do.
    Explained,
    /// The commits could not be asked, for this reason.
    Unproven(String),
    /// History was rewritten between the looks: possible, but a fast-forward it is not.
    Rewritten(&'static str),
    /// No history that either side saw explains it.
    Contradiction(&'static str),
}

/// How one value became the next.
enum Step {
    /// By time: forward, created, deleted; or nobody looked.
    Fine,
    NoLook,
    Bad,
    Unknown(String),
}

fn step(class: Class, from: &Seen, to: &Seen, ancestry: &mut dyn Ancestry) -> Step {
    match (from, to) {
        (Seen::NoLook, _) | (_, Seen::NoLook) => Step::NoLook,
        (Seen::Absent, _) | (_, Seen::Absent) => Step::Fine,
        (Seen::At(from), Seen::At(to)) if from == to => Step::Fine,
        (Seen::At(from), Seen::At(to)) if class.is_branch() && is_object(from) && is_object(to) => {
            match ancestry.relation(from, to) {
                Relation::Ancestor => Step::Fine,
                Relation::NoAncestor => Step::Bad,
                Relation::Unknown(why) => Step::Unknown(why),
            }
        }
        _ => Step::Bad,
    }
}

/// Judges what was `seen` inside a window of the other side.
pub fn judge(class: Class, window: &Window, seen: &Seen, ancestry: &mut dyn Ancestry) -> Verdict {
    let Window { before, during, after } = window;
    if *seen == Seen::NoLook || before == seen || after == seen || during.contains(seen) {
        return Verdict::Explained;
    }
    if before == after {
        return match (before, seen) {
            (Seen::NoLook, _) => Verdict::Explained,
            (Seen::At(_), Seen::At(_)) => Verdict::Contradiction(
                "the other side saw the same before and after, and something else between",
            ),
            // a branch may live between two looks, or be taken back
            (Seen::Absent, _) => Verdict::Rewritten("it was there between two looks only"),
            _ if class.is_relied_on() || class == Class::Head => {
                Verdict::Contradiction("it is missing, and the other side saw it before and after")
            }
            _ => Verdict::Rewritten("it is missing, and the other side saw it before and after"),
        };
    }
    match (step(class, before, seen, ancestry), step(class, seen, after, ancestry)) {
        (Step::Unknown(why), _) | (_, Step::Unknown(why)) => Verdict::Unproven(why),
        (Step::Bad, Step::NoLook) | (Step::NoLook, Step::Bad) => {
            Verdict::Rewritten("it was rewritten, and the other side has not looked since")
        }
        (Step::Bad, second) | (second, Step::Bad) => {
            // a rewrite that the other side saw as well, at another moment
            let known = matches!(second, Step::Fine)
                && matches!(step(class, before, after, ancestry), Step::Bad)
                && class.is_branch();
            if class.is_relied_on() && !known {
                Verdict::Contradiction(
                    "it lies on no way from what the other side saw before to what it saw after",
                )
            } else {
                Verdict::Rewritten(
                    "it lies on no way forward between what the other side saw before and after",
                )
            }
        }
        _ => Verdict::Explained,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: &str = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
    const B: &str = "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb";
    const C: &str = "cccccccccccccccccccccccccccccccccccccccc";
    const X: &str = "dddddddddddddddddddddddddddddddddddddddd";
    const UNKNOWN: &str = "eeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeee";

    /// `A` → `B` → `C`, and `X` beside them; nobody has `UNKNOWN`.
    struct Line;

    impl Ancestry for Line {
        fn relation(&mut self, old: &str, new: &str) -> Relation {
            let place = |one: &str| [A, B, C].iter().position(|known| *known == one);
            if new == UNKNOWN {
                return Relation::Unknown("not captured".into());
            }
            match (place(old), place(new)) {
                (Some(old), Some(new)) if old <= new => Relation::Ancestor,
                _ => Relation::NoAncestor,
            }
        }
    }

    fn seen(text: &str) -> Seen {
        match text {
            "" => Seen::NoLook,
            "-" => Seen::Absent,
            other => Seen::At(other.to_owned()),
        }
    }

    fn verdict(class: Class, before: &str, value: &str, after: &str) -> Verdict {
        let window = Window { before: seen(before), during: Vec::new(), after: seen(after) };
        judge(class, &window, &seen(value), &mut Line)
    }

    #[test]
    fn a_way_forward_between_two_looks_is_explained() {
        for (before, value, after) in
            [(A, A, C), (A, C, C), (A, B, C), ("-", B, C), (A, B, "-"), (A, B, ""), ("", B, C), ("", X, "")]
        {
            let found = verdict(Class::DefaultBranch, before, value, after);
            assert_eq!(found, Verdict::Explained, "{before} {value} {after}");
        }
    }

    #[test]
    fn another_value_between_two_same_ones_is_a_contradiction_for_every_class() {
        for class in [Class::DefaultBranch, Class::Branch, Class::ReleaseTag, Class::Tag, Class::Head] {
            assert!(matches!(verdict(class, A, X, A), Verdict::Contradiction(_)), "{class:?}");
            assert!(matches!(verdict(class, B, A, B), Verdict::Contradiction(_)), "{class:?}");
        }
    }

    #[test]
    fn what_lies_beside_the_way_is_a_contradiction_where_people_rely_on_it() {
        assert!(matches!(verdict(Class::DefaultBranch, A, X, C), Verdict::Contradiction(_)));
        assert!(matches!(verdict(Class::Branch, A, X, C), Verdict::Rewritten(_)));
        assert!(matches!(verdict(Class::ReleaseTag, A, B, C), Verdict::Contradiction(_)));
        assert!(matches!(verdict(Class::Tag, A, B, C), Verdict::Rewritten(_)));
        assert!(matches!(verdict(Class::DefaultBranch, A, "-", A), Verdict::Contradiction(_)));
        assert!(matches!(verdict(Class::Branch, A, "-", A), Verdict::Rewritten(_)));
    }

    #[test]
    fn a_rewrite_that_both_saw_or_that_the_other_has_not_looked_at_yet_is_no_contradiction() {
        assert!(
            matches!(verdict(Class::DefaultBranch, C, A, B), Verdict::Rewritten(_)),
            "C rewound to A, then B"
        );
        assert!(matches!(verdict(Class::DefaultBranch, C, A, ""), Verdict::Rewritten(_)));
        assert!(matches!(verdict(Class::Branch, "-", X, "-"), Verdict::Rewritten(_)));
    }

    #[test]
    fn what_nobody_captured_is_unproven() {
        assert!(matches!(verdict(Class::DefaultBranch, A, UNKNOWN, C), Verdict::Unproven(_)));
    }

    #[test]
    fn names_have_their_class() {
        assert_eq!(Class::of(b"refs/heads/main", true), Class::DefaultBranch);
        assert_eq!(Class::of(b"refs/heads/v1.2", false), Class::Branch);
        assert_eq!(Class::of(b"refs/tags/v1.2.3", false), Class::ReleaseTag);
        assert_eq!(Class::of(b"refs/tags/nightly", false), Class::Tag);
        assert_eq!(Class::of(b"HEAD", false), Class::Head);
    }
}
