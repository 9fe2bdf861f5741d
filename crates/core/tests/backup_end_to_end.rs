//! The main job through real parts: a simulated appliance behind a real sshd, a vault judged by stock restic.

#[path = "support/bench.rs"]
mod bench;

use bench::{Bench, listing};
use ghevault_core::{appliance::transport::TransportKind, seal::Outcome};
use ghevault_sim::{build::Recipe, harness::Appliance};

fn appliance(bench: &Bench, seed: u64) -> (Appliance, u16) {
    let mut appliance = Appliance::build(bench.dir.path().join("appliance"), &Recipe::small(seed)).unwrap();
    let port = appliance.open_sshd().unwrap().port();
    (appliance, port)
}

#[test]
fn a_snapshot_equals_the_appliance_and_the_next_one_costs_nothing() {
    let bench = Bench::new();
    let (appliance, port) = appliance(&bench, 1);
    let channel = bench.channel(&appliance, port, TransportKind::Russh);
    let first = bench.backup(&*channel).unwrap();
    assert_eq!(first.outcome, Outcome::Complete, "{first:#?}");
    bench.assert_restic_finds_no_fault();
    let restored = bench.restic_restore("latest", "restored");
    let data = appliance.disk("/data/user");
    for folder in [
        "repositories",
        "pages",
        "storage",
        "git-hooks/repos",
        "git-hooks/environments/tarballs",
        "elasticsearch",
    ] {
        let (there, here) = (listing(&data, folder), listing(&restored, folder));
        for (a, b) in there.iter().zip(&here) {
            assert_eq!(a, b, "{folder} differs");
        }
        assert_eq!(there.len(), here.len(), "{folder} differs");
    }
    assert!(!appliance.gate_exists());

    let second = bench.backup(&*channel).unwrap();
    assert_eq!(second.outcome, Outcome::Complete, "{second:#?}");
    let files: Vec<_> = second.datasets.iter().filter(|row| row.files_changed > 0).collect();
    println!("{files:#?} {} added", second.bytes_added);
    assert!(second.datasets.iter().all(|row| row.name == "redis" || row.files_changed == 0), "{files:#?}");
    bench.assert_restic_finds_no_fault();
}
