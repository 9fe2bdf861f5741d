//! Which pages a snapshot writes anew: few, however the changes are spread.
//!
//! Where records of tens of thousands of repositories stand in pages by a hash of the path, one changed record in a hundred
//! touches nearly every page. So pages are of two kinds, and both stand in every snapshot: `base-XX` (the first byte of the
//! SHA-256 of the path, in hexadecimal) as they once were, and `since-NN` (from 01 on) with what changed since then, each
//! hiding those before it. A snapshot adds what changed as one more of them, or to the last one while that is small; after
//! [`SINCE_MAX`] of them, or when they hold half as much as the base, everything is written as a new base. No page refers to
//! another snapshot, so forgetting one breaks nothing, and the seal's tree id covers all of them.
//!
//! A record that goes is taken out of the pages that have it: there is no record of absence, so that whoever reads all pages in
//! the order of their names knows what there is. Pages of earlier snapshots are named `XX` only, and hide nothing.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    hash::BuildHasher,
};

use super::pages::{self, slot};

/// Most pages of changes before everything is written anew.
pub const SINCE_MAX: usize = 16;

/// Changes are added to the last page of changes while it has fewer records than that.
const SMALL: usize = 64;

/// What a page holds, by its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum PageName {
    /// All records whose path has a hash that begins with this byte.
    Plain(u8),
    /// The same, as they were when the base was written.
    Base(u8),
    /// What changed since then, from 1 on.
    Since(u8),
}

impl PageName {
    /// Reads the name of a file in a folder of pages.
    #[must_use]
    pub fn parse(name: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(name).ok()?;
        let parsed = if let Some(byte) = text.strip_prefix("base-") {
            Self::Base(u8::from_str_radix(byte, 16).ok()?)
        } else if let Some(number) = text.strip_prefix("since-") {
            Self::Since(number.parse().ok().filter(|number| *number > 0)?)
        } else {
            Self::Plain(u8::from_str_radix(text, 16).ok()?)
        };
        // one way to write each
        (parsed.to_string() == text).then_some(parsed)
    }

    /// Whether this page may hold a record of the path.
    #[must_use]
    pub fn may_hold(self, path: &[u8]) -> bool {
        match self {
            Self::Plain(byte) | Self::Base(byte) => byte == slot(path),
            Self::Since(_) => true,
        }
    }
}

impl std::fmt::Display for PageName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Plain(byte) => write!(f, "{byte:02x}"),
            Self::Base(byte) => write!(f, "base-{byte:02x}"),
            Self::Since(number) => write!(f, "since-{number:02}"),
        }
    }
}

/// Puts the pages of a folder into the order in which later ones hide earlier ones.
///
/// # Errors
/// Says why these cannot be all pages of one folder, and no others.
pub fn ordered<'a>(names: impl IntoIterator<Item = &'a [u8]>) -> Result<Vec<PageName>, String> {
    let parse = |name: &[u8]| {
        PageName::parse(name).ok_or_else(|| format!("`{}` is no page", String::from_utf8_lossy(name)))
    };
    let mut all = names.into_iter().map(parse).collect::<Result<Vec<_>, _>>()?;
    all.sort_unstable();
    let plain = all.iter().any(|name| matches!(name, PageName::Plain(_)));
    let layered = all.iter().any(|name| !matches!(name, PageName::Plain(_)));
    let based = all.iter().any(|name| matches!(name, PageName::Base(_)));
    if plain && layered {
        return Err("pages of two forms stand beside each other".into());
    }
    if layered && !based {
        return Err("pages of changes stand without a base".into());
    }
    let since = all.iter().filter(|name| matches!(name, PageName::Since(_)));
    for (page, number) in since.zip(1..=u8::MAX) {
        if *page != PageName::Since(number) {
            return Err(format!("the page `{}` is missing", PageName::Since(number)));
        }
    }
    Ok(all)
}

/// The pages of the parent snapshot, as far as a plan needs them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Shape {
    /// All of them, in their order.
    pub pages: Vec<PageName>,
    /// Paths in each page of changes, the oldest first.
    pub since: Vec<BTreeSet<Vec<u8>>>,
}

/// What to do to the parent's pages.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PagePlan {
    /// Pages to write, with their content.
    pub write: BTreeMap<String, Vec<u8>>,
    /// Pages of the parent that are not needed any more.
    pub remove: BTreeSet<String>,
}

/// Plans how `now` is written over a parent whose pages have this shape and say `before`.
#[must_use]
pub fn plan<V: AsRef<[u8]> + PartialEq, S: BuildHasher>(
    shape: &Shape,
    before: &HashMap<Vec<u8>, V, S>,
    now: &BTreeMap<Vec<u8>, V>,
) -> PagePlan {
    let is_changed = |(path, value): &(&Vec<u8>, &V)| before.get(*path) != Some(*value);
    let changed: BTreeSet<Vec<u8>> = now.iter().filter(is_changed).map(|(path, _)| path.clone()).collect();
    let since: usize = shape.since.iter().map(BTreeSet::len).sum();
    let has_base = shape.pages.iter().any(|name| matches!(name, PageName::Base(_)));
    let last_is_small = shape.since.last().is_some_and(|last| last.len() < SMALL);
    let has_room = changed.is_empty() || last_is_small || shape.since.len() < SINCE_MAX;
    if !has_base || !has_room || (since + changed.len()) * 2 > now.len() {
        return anew(shape, now);
    }
    let mut plan = PagePlan::default();
    let gone: BTreeSet<u8> =
        before.keys().filter(|path| !now.contains_key(*path)).map(|path| slot(path)).collect();
    let left = now.iter().filter(|(path, _)| gone.contains(&slot(path)));
    plan.write = base(left);
    plan.remove = gone.into_iter().map(|slot| PageName::Base(slot).to_string()).collect();
    let mut layers = shape.since.clone();
    for layer in &mut layers {
        layer.retain(|path| now.contains_key(path));
    }
    if !changed.is_empty() {
        if !last_is_small {
            layers.push(BTreeSet::new());
        }
        layers.last_mut().into_iter().for_each(|last| last.extend(changed.iter().cloned()));
    }
    // one that has become empty moves all behind it
    let moved = layers.iter().position(BTreeSet::is_empty).unwrap_or(layers.len());
    layers.retain(|layer| !layer.is_empty());
    for (place, layer) in layers.iter().enumerate() {
        let is_last = place + 1 == layers.len();
        let stays = shape.since.get(place) == Some(layer) && place < moved;
        if !stays || (is_last && !changed.is_empty()) {
            plan.write.insert(since_name(place), pages::content(records(now, layer)));
        }
    }
    plan.remove.extend((0..shape.since.len()).skip(layers.len()).map(since_name));
    clean(shape, plan)
}

/// Everything in a new base.
fn anew<V: AsRef<[u8]>>(shape: &Shape, now: &BTreeMap<Vec<u8>, V>) -> PagePlan {
    let remove = shape.pages.iter().map(PageName::to_string).collect();
    clean(shape, PagePlan { write: base(now), remove })
}

/// Only what the parent has is removed, and nothing that is written.
fn clean(shape: &Shape, mut plan: PagePlan) -> PagePlan {
    let there: BTreeSet<String> = shape.pages.iter().map(PageName::to_string).collect();
    plan.remove.retain(|name| there.contains(name) && !plan.write.contains_key(name));
    plan
}

fn base<'a, V: AsRef<[u8]> + 'a>(
    records: impl IntoIterator<Item = (&'a Vec<u8>, &'a V)>,
) -> BTreeMap<String, Vec<u8>> {
    let plain = pages::write(records.into_iter().map(|(path, value)| (&path[..], value.as_ref())));
    plain.into_iter().map(|(name, content)| (format!("base-{name}"), content)).collect()
}

fn records<'a, V: AsRef<[u8]>>(
    now: &'a BTreeMap<Vec<u8>, V>,
    layer: &'a BTreeSet<Vec<u8>>,
) -> impl Iterator<Item = (&'a [u8], &'a [u8])> {
    layer.iter().filter_map(|path| Some((&path[..], now.get(path)?.as_ref())))
}

fn since_name(place: usize) -> String {
    PageName::Since(u8::try_from(place + 1).unwrap_or(u8::MAX)).to_string()
}

#[cfg(test)]
#[path = "layers_tests.rs"]
mod tests;
