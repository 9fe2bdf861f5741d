//! Which part of a snapshot is wanted.

use super::entry::show;

/// Paths of a snapshot, each with everything below it; empty: the whole snapshot.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selection {
    paths: Vec<Vec<u8>>,
}

/// How a path stands to a selection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cover {
    /// It and everything below it is wanted.
    Whole,
    /// Something below it is wanted.
    Ancestor,
    /// Nothing of it is wanted.
    Outside,
}

impl Selection {
    /// The selection of these paths; slashes at either end mean nothing.
    #[must_use]
    pub fn new(paths: impl IntoIterator<Item = Vec<u8>>) -> Self {
        let trimmed = paths.into_iter().map(|path| {
            let parts: Vec<&[u8]> =
                path.split(|b| *b == b'/').filter(|p| !p.is_empty() && *p != b".").collect();
            parts.join(&b'/')
        });
        let paths: Vec<_> = trimmed.collect();
        // The root selects everything, as nothing does.
        if paths.iter().any(Vec::is_empty) { Self::default() } else { Self { paths } }
    }

    /// The selected paths; none means everything.
    #[must_use]
    pub fn paths(&self) -> &[Vec<u8>] {
        &self.paths
    }

    /// How `path` stands to the selection.
    #[must_use]
    pub fn cover(&self, path: &[u8]) -> Cover {
        if self.paths.is_empty() || self.paths.iter().any(|wanted| is_below(path, wanted)) {
            Cover::Whole
        } else if self.paths.iter().any(|wanted| is_below(wanted, path)) {
            Cover::Ancestor
        } else {
            Cover::Outside
        }
    }

    /// The selection in words.
    #[must_use]
    pub fn describe(&self) -> String {
        if self.paths.is_empty() {
            return "everything".into();
        }
        self.paths.iter().map(|p| show(p)).collect::<Vec<_>>().join(", ")
    }
}

fn is_below(path: &[u8], ancestor: &[u8]) -> bool {
    path.strip_prefix(ancestor).is_some_and(|rest| rest.is_empty() || rest[0] == b'/')
}

#[cfg(test)]
mod tests {
    use super::{Cover, Selection};

    #[test]
    fn a_path_covers_itself_what_is_below_and_names_its_ancestors() {
        let selection = Selection::new([b"/a/b/".to_vec()]);
        assert_eq!(selection.cover(b"a"), Cover::Ancestor);
        assert_eq!(selection.cover(b"a/b"), Cover::Whole);
        assert_eq!(selection.cover(b"a/b/c"), Cover::Whole);
        assert_eq!(selection.cover(b"a/bc"), Cover::Outside);
    }

    #[test]
    fn nothing_and_the_root_select_everything() {
        assert_eq!(Selection::default().cover(b"x"), Cover::Whole);
        assert_eq!(Selection::new([b"/".to_vec()]).cover(b"x"), Cover::Whole);
    }
}
