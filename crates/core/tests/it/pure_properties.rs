//! Release numbers (contract §1.6) and names of hosts (contract §1.1), held to their rules by random ones.

use ghevault_core::appliance::{facts::Version, target::Target};
use proptest::prelude::*;

proptest! {
    #[test]
    fn a_release_survives_its_text(major in 0..100_u64, minor in 0..10_000_u64, patch: u64) {
        let version = Version::new(major, minor, patch);
        prop_assert_eq!(Version::parse(&version.to_string()), Some(version.clone()));
        prop_assert_eq!(Version::parse(&format!("v{version}")), Some(version));
    }

    #[test]
    fn what_stands_behind_the_patch_number_changes_nothing(
        major in 0..100_u64, minor in 0..100_u64, patch in 0..100_u64, more in "(pre|[.](rc[0-9]|ldapfix1|performancetest))?",
    ) {
        let text = format!("{major}.{minor}.{patch}{more}");
        prop_assert_eq!(Version::parse(&text), Some(Version::new(major, minor, patch)));
    }

    #[test]
    fn releases_are_ordered_by_their_numbers_from_the_left(a: (u8, u16, u32), b: (u8, u16, u32)) {
        let version = |(major, minor, patch): (u8, u16, u32)| Version::new(major.into(), minor.into(), patch.into());
        prop_assert_eq!(version(a).cmp(&version(b)), a.cmp(&b));
    }

    #[test]
    fn no_text_makes_the_parser_stumble(text in any::<String>()) {
        if let Some(version) = Version::parse(&text) {
            prop_assert_eq!(Version::parse(&version.to_string()), Some(version));
        }
    }

    #[test]
    fn numbers_beyond_all_bounds_are_no_release(digits in "[1-9][0-9]{20,60}") {
        let text = format!("{digits}.1.0");
        prop_assert_eq!(Version::parse(&text), None);
    }

    #[test]
    fn a_host_survives_its_text(
        user in "[a-z][a-z0-9._-]{0,8}", host in "[a-zA-Z0-9][a-zA-Z0-9._-]{0,20}", port in 1_u16..,
    ) {
        let target = Target::parse(&format!("{user}@{host}:{port}")).expect("a host");
        let (lower, user) = (host.to_ascii_lowercase(), user.as_str());
        prop_assert_eq!((target.user(), target.host(), target.port()), (user, lower.as_str(), port));
        prop_assert_eq!(Target::parse(&target.to_string()), Ok(target));
    }

    #[test]
    fn an_address_is_taken_bare_and_in_brackets(address: std::net::Ipv6Addr, port in 1_u16..) {
        let bare = Target::parse(&address.to_string()).expect("an address");
        let bracketed = Target::parse(&format!("[{address}]:{port}")).expect("an address");
        prop_assert_eq!(bare.host(), bracketed.host());
        prop_assert_eq!((bare.port(), bracketed.port()), (122, port));
        prop_assert_eq!(Target::parse(&bracketed.to_string()), Ok(bracketed));
    }

    #[test]
    fn no_text_becomes_an_option_of_a_command(text in any::<String>()) {
        if let Ok(target) = Target::parse(&text) {
            prop_assert!(!target.user().starts_with('-') && !target.host().starts_with('-'));
            prop_assert!(target.port() > 0 && !target.host().contains(char::is_whitespace));
        }
    }
}
