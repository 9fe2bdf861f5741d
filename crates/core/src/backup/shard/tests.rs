//! Tests of the spread: everything is exactly one shard's, and always the same one's.

use super::*;
use proptest::prelude::*;
use std::collections::BTreeSet;

fn place(text: &str) -> Result<Place, PlaceError> {
    text.parse()
}

fn shard(index: u32, count: u32) -> Shard {
    Shard { run: "r".into(), place: Place { index, count } }
}

#[test]
fn a_shard_is_named_from_one_to_the_number_of_shards() {
    assert_eq!(place("2/4"), Ok(Place { index: 2, count: 4 }));
    assert_eq!(place("1/1").unwrap().to_string(), "1/1");
    for wrong in ["", "2", "0/4", "5/4", "a/4", "1/", "/1", "1/0", "-1/4", "+1/4", "1/4/4", "1/1001", " 1/4"]
    {
        assert!(place(wrong).is_err_and(|error| error.to_string().contains("names no shard")), "{wrong}");
    }
}

#[test]
fn a_name_of_a_run_can_be_a_file_name() {
    for name in ["a", "ghevault-backup-28931460", "2026-11-28T03.15", &"x".repeat(NAME_MAX)] {
        assert_eq!(check_name(name), Ok(()), "{name}");
    }
    for name in ["", ".hidden", "-x", "a/b", "a b", "ä", "..", &"x".repeat(NAME_MAX + 1)] {
        assert!(check_name(name).is_err(), "{name}");
    }
}

#[test]
fn a_network_with_its_forks_and_wikis_is_one_route() {
    let network = "repositories/c/nw/c4/ca/42/1";
    for path in ["", "/1.git", "/2.git", "/1.wiki.git", "/network.git/objects", "/1.git/objects/pack/p"] {
        let path = format!("{network}{path}");
        assert_eq!(route_of(path.as_bytes()), Some(network.as_bytes()), "{path}");
    }
    let gist = b"repositories/0/01/aa/3f/gist/93069ad4.git";
    assert_eq!(route_of(&[&gist[..], b"/objects"].concat()), Some(&gist[..]));
}

#[test]
fn what_is_no_routes_is_the_first_shards() {
    for path in [
        "repositories",
        "repositories/c",
        "repositories/c/nw/c4",
        "repositories/info",
        "repositories/__purgatory__",
        "repositories/0/01",
        "pages/1/02",
        "storage",
        "storage/e",
        "git-hooks/environments/tarballs/1",
        "elasticsearch/idx",
        "mysql.sql",
        "",
    ] {
        assert_eq!(route_of(path.as_bytes()), None, "{path}");
        assert_eq!(owner(path.as_bytes(), 7), 1, "{path}");
    }
}

#[test]
fn the_spread_of_a_release_is_that_of_every_later_one() {
    // Shards of one run may be of two releases, and parents stay useful when every route stays where it was.
    let of = |path: &str| owner(path.as_bytes(), 4);
    let found: Vec<u32> = (1..9).map(|n| of(&format!("repositories/c/nw/c4/ca/42/{n}/1.git"))).collect();
    assert_eq!(found, [3, 3, 3, 4, 3, 1, 2, 3]);
    assert_eq!(of("storage/e/ed/1a/ed1a"), of("storage/e/ed"));
}

#[test]
fn many_routes_are_spread_about_evenly() {
    let mut shares = [0_u32; 8];
    for n in 0..8000 {
        shares[owner(format!("repositories/c/nw/c4/ca/42/{n}").as_bytes(), 8) as usize - 1] += 1;
    }
    assert!(shares.iter().all(|share| (850..1150).contains(share)), "{shares:?}");
}

proptest! {
    #[test]
    fn every_path_is_exactly_one_shards(
        parts in proptest::collection::vec("[a-z_.]{0,8}|nw|gist|repositories|pages|storage|info|x\\.git", 0..10),
        count in 1_u32..40,
    ) {
        let path = parts.join("/").into_bytes();
        let takers: BTreeSet<u32> = (1..=count).filter(|index| shard(*index, count).takes(&path)).collect();
        prop_assert_eq!(takers.len(), 1);
        prop_assert!(takers.contains(&owner(&path, count)));
    }

    #[test]
    fn what_lies_in_a_route_is_the_routes_shards(
        network in 0_u32..100_000,
        below in proptest::collection::vec("[a-z]{1,5}", 0..6),
        count in 1_u32..40,
    ) {
        let route = format!("repositories/c/nw/c4/ca/42/{network}");
        let inside = [vec![route.clone()], below].concat().join("/");
        prop_assert_eq!(owner(inside.as_bytes(), count), owner(route.as_bytes(), count));
    }
}
