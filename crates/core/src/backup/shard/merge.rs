//! Puts together what the shards of a run captured of one dataset, as if one process had. Pure.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
    ops::Bound,
};

use super::{
    super::{context::Captured, files::survey::Known},
    owner,
};

/// Routes and units that are named one by one for a missing part; the others are counted.
const NAMED_MAX: usize = 20;

/// Merges one dataset that is spread over `count` shards. `known` are the unit digests of the snapshot that the run builds on: what a shard
/// did not deliver keeps its last good copy, and is named.
///
/// # Errors
/// No shard delivered anything; the text says why.
pub fn spread(
    dataset: &str,
    count: u32,
    mut parts: BTreeMap<u32, Result<Captured, String>>,
    known: &Known,
) -> Result<Captured, String> {
    if parts.values().all(Result::is_err) {
        let why = parts.into_iter().find_map(|(_, part)| part.err());
        return Err(why.unwrap_or_else(|| "all parts are missing".into()));
    }
    let mut merged = Captured::default();
    let mut removals: Vec<(u32, BTreeSet<Vec<u8>>)> = Vec::new();
    // What is there, by whose word.
    let mut live: BTreeMap<Vec<u8>, u32> = BTreeMap::new();
    let mut missing = Vec::new();
    for index in 1..=count {
        match parts.remove(&index) {
            Some(Ok(part)) => {
                let there = part.units.iter().map(|(path, _)| path).chain(part.replace.keys());
                live.extend(there.map(|path| (path.clone(), index)));
                removals.push((index, part.remove));
                merged.replace.extend(part.replace);
                merged.folders.extend(part.folders);
                merged.units.extend(part.units);
                merged.refs.extend(part.refs);
                merged.names.extend(part.names);
                merged.routes.extend(part.routes);
                merged.items += part.items;
                merged.bytes = merged.bytes.saturating_add(part.bytes);
                merged.bytes_read += part.bytes_read;
                merged.files_changed += part.files_changed;
                add_new(&mut merged.problems, part.problems);
                add_new(&mut merged.warnings, part.warnings);
            }
            Some(Err(why)) => missing.push((index, why)),
            None => missing.push((index, "its part is missing".into())),
        }
    }
    let prefix = [dataset.as_bytes(), b"/"].concat();
    for (index, why) in missing {
        let lacks = |path: &[u8]| owner(path, count) == index;
        let ours = |path: &[u8]| path.starts_with(&prefix) || path == dataset.as_bytes();
        let kept: BTreeMap<&Vec<u8>, [u8; 16]> = known
            .iter()
            .filter(|(path, _)| ours(path) && lacks(path))
            .map(|(path, digest)| (path, *digest))
            .collect();
        let mut names: BTreeSet<&[u8]> = kept.keys().filter_map(|path| super::route_of(path)).collect();
        names.extend(merged.routes.iter().map(Vec::as_slice).filter(|route| lacks(route)));
        merged.problems.push(words(dataset, (index, count), &why, &names));
        live.extend(kept.keys().map(|path| ((*path).clone(), index)));
        merged.units.extend(kept.into_iter().map(|(path, digest)| (path.clone(), digest)));
    }
    for (index, removed) in removals {
        // A shard that looked at another time knows less about a route than the one whose it is.
        let stays = |path: &Vec<u8>| alive(&live, path, index);
        merged.remove.extend(removed.into_iter().filter(|path| !stays(path)));
    }
    Ok(merged)
}

fn add_new(all: &mut Vec<String>, more: Vec<String>) {
    for text in more {
        if !all.contains(&text) {
            all.push(text);
        }
    }
}

/// Whether another shard than `index` has something at or below a path.
fn alive(live: &BTreeMap<Vec<u8>, u32>, path: &[u8], index: u32) -> bool {
    let below = [path, b"/"].concat();
    let from: (Bound<&[u8]>, Bound<&[u8]>) = (Bound::Included(&below), Bound::Unbounded);
    live.get(path).is_some_and(|by| *by != index)
        || live
            .range::<[u8], _>(from)
            .take_while(|(at, _)| at.starts_with(&below))
            .any(|(_, by)| *by != index)
}

fn words(dataset: &str, (index, count): (u32, u32), why: &str, names: &BTreeSet<&[u8]>) -> String {
    let shown: Vec<String> = names
        .iter()
        .take(NAMED_MAX)
        .map(|path| {
            let short = path.strip_prefix(dataset.as_bytes()).and_then(|path| path.strip_prefix(b"/"));
            format!("`{}`", String::from_utf8_lossy(short.unwrap_or(path)))
        })
        .collect();
    let mut text = format!("shard {index}/{count}: {why}");
    if names.is_empty() {
        return text;
    }
    let all = names.len();
    let _ = write!(text, "; {all} route(s) keep their last good copy, if there is one: {}", shown.join(", "));
    if all > NAMED_MAX {
        let _ = write!(text, " and {} more", all - NAMED_MAX);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn captured(units: &[&str], remove: &[&str]) -> Captured {
        Captured {
            units: units.iter().map(|path| (path.as_bytes().to_vec(), [1; 16])).collect(),
            remove: remove.iter().map(|path| path.as_bytes().to_vec()).collect(),
            ..Captured::default()
        }
    }

    fn network(n: u32) -> String {
        format!("repositories/c/nw/c4/ca/42/{n}")
    }

    /// A network of each of two shards.
    fn two() -> (String, String) {
        let of = |index: u32| (0..1000).map(network).find(|path| owner(path.as_bytes(), 2) == index).unwrap();
        (of(1), of(2))
    }

    fn texts<'a>(paths: impl IntoIterator<Item = &'a Vec<u8>>) -> Vec<String> {
        paths.into_iter().map(|path| String::from_utf8(path.clone()).unwrap()).collect()
    }

    #[test]
    fn a_missing_part_keeps_what_the_last_snapshot_has_and_is_named() {
        let (one, two) = two();
        let (one, two) = (format!("{one}/1.git"), format!("{two}/2.git"));
        let known: Known =
            [(&one, 7), (&two, 8)].map(|(path, n)| (path.clone().into_bytes(), [n; 16])).into();
        let parts = BTreeMap::from([(1, Ok(captured(&[&one], &[])))]);
        let merged = spread("repositories", 2, parts, &known).unwrap();
        let digests: BTreeMap<_, _> = merged.units.into_iter().collect();
        assert_eq!(digests[one.as_bytes()], [1; 16]);
        assert_eq!(digests[two.as_bytes()], [8; 16]);
        let route = two.strip_prefix("repositories/").unwrap().strip_suffix("/2.git").unwrap();
        assert!(
            merged.problems[0].starts_with("shard 2/2: its part is missing; 1 route(s)"),
            "{:?}",
            merged.problems
        );
        assert!(merged.problems[0].contains(route), "{:?}", merged.problems);
    }

    #[test]
    fn routes_that_only_the_appliance_named_are_missed_by_name() {
        let (one, two) = two();
        let mut part = captured(&[&format!("{one}/1.git")], &[]);
        part.routes.insert(two.clone().into_bytes());
        let merged = spread("repositories", 2, BTreeMap::from([(1, Ok(part))]), &Known::new()).unwrap();
        assert!(
            merged.problems[0].contains(two.strip_prefix("repositories/").unwrap()),
            "{:?}",
            merged.problems
        );
    }

    #[test]
    fn what_its_own_shard_saw_is_not_removed_by_another() {
        let (one, two) = two();
        let unit = format!("{two}/2.git");
        let parts = BTreeMap::from([
            (1, Ok(captured(&["repositories/c/nw/c4"], &[&two, &format!("{one}/1.git"), &unit]))),
            (2, Ok(captured(&[&unit], &[]))),
        ]);
        let merged = spread("repositories", 2, parts, &Known::new()).unwrap();
        assert_eq!(texts(&merged.remove), [format!("{one}/1.git")]);
    }

    #[test]
    fn a_shards_own_removal_counts_although_it_names_digests_below() {
        let (_, two) = two();
        let unit = format!("{two}/2.git");
        let parts = BTreeMap::from([(1, Ok(Captured::default())), (2, Ok(captured(&[&unit], &[&unit])))]);
        let merged = spread("repositories", 2, parts, &Known::new()).unwrap();
        assert_eq!(texts(&merged.remove), [unit]);
    }

    #[test]
    fn a_dataset_that_nobody_delivered_fails_with_the_first_reason() {
        let parts = BTreeMap::from([(1, Err("no".to_owned())), (2, Err("never".to_owned()))]);
        assert_eq!(spread("pages", 2, parts, &Known::new()).unwrap_err(), "no");
        assert!(spread("pages", 2, BTreeMap::new(), &Known::new()).unwrap_err().contains("missing"));
    }

    proptest! {
        /// What one process would have captured is what any number of shards have together.
        #[test]
        fn shards_together_have_what_one_process_has(
            networks in proptest::collection::btree_set(0_u32..500, 0..60),
            gone in proptest::collection::btree_set(500_u32..600, 0..20),
            count in 1_u32..9,
        ) {
            let parts: BTreeMap<u32, Result<Captured, String>> = (1..=count).map(|index| {
                let of = |all: &BTreeSet<u32>| -> Vec<String> {
                    all.iter().map(|n| format!("{}/{n}.git", network(*n)))
                        .filter(|path| owner(path.as_bytes(), count) == index).collect()
                };
                let (units, removed) = (of(&networks), of(&gone));
                let text = |all: &'_ [String]| all.iter().map(|one| one.as_bytes().to_vec()).collect::<Vec<_>>();
                let part = Captured {
                    units: text(&units).into_iter().map(|path| (path, [1; 16])).collect(),
                    remove: text(&removed).into_iter().collect(),
                    items: units.len() as u64,
                    ..Captured::default()
                };
                (index, Ok(part))
            }).collect();
            let merged = spread("repositories", count, parts, &Known::new()).unwrap();
            prop_assert_eq!(merged.items, networks.len() as u64);
            prop_assert_eq!(merged.units.len(), networks.len());
            prop_assert_eq!(merged.remove.len(), gone.len());
            prop_assert!(merged.problems.is_empty());
        }
    }
}
