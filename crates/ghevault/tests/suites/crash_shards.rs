//! `kill -9` at seeded random moments of shards and of the join of their parts; `CRASH_ROUNDS` (6) and `CRASH_SEED`.

use crate::{
    crash::{listed, restic, wait_until_the_gate_is_open},
    support,
};
use ghevault_sim::{harness::program, live::life::Life, seed::Seed};
use std::time::{Duration, Instant};
use support::{Desk, Done, appliance, run::number};

/// How often a join is killed before it may end.
const KILLED_JOINS: usize = 3;

#[test]
fn killed_shards_and_joins_end_in_what_one_process_makes() {
    let (rounds, seed) = (number("CRASH_ROUNDS", 6), number("CRASH_SEED", 1));
    let (mut appliance, _folder) = appliance(seed);
    let mut desk = Desk::with_vault();
    desk.trust(&mut appliance);
    let mut life = Life::new(appliance.place(), &program().expect("the simulator"), seed);
    let mut random = Seed::new(seed).part("moments");
    let (mut of_shard, mut of_join) = (Duration::from_secs(2), Duration::from_secs(1));
    let (mut killed, mut tried) = (0_u64, 0_u64);
    for round in 0..rounds {
        let (when, run) = (format!("CRASH_SEED={seed}, round {round}"), format!("run-{round}"));
        for _ in 0..4 {
            life.step().expect("the appliance lives");
        }
        let mut kill = |arguments: &[&str], span: Duration| {
            let mut child = desk.start(arguments);
            std::thread::sleep(Duration::from_millis(
                random.below(span.as_millis().try_into().unwrap_or(2000)),
            ));
            tried += 1;
            killed += u64::from(child.try_wait().expect("a child").is_none());
            child.kill().expect("killed");
            child.wait().expect("ended");
            wait_until_the_gate_is_open(&appliance, &when);
        };
        let shard = |part: &'static str| ["backup", "--json", "--shard", part, "--run", run.as_str()];
        let join = ["backup", "--json", "--join", "--run", run.as_str()];
        kill(&shard("1/2"), of_shard);
        kill(&shard("2/2"), of_shard);
        let since = Instant::now();
        for part in ["1/2", "2/2"] {
            let done = desk.run(&shard(part));
            assert_eq!(done.code, 0, "{when}: {done:?}");
        }
        of_shard = since.elapsed() / 2;
        for _ in 0..KILLED_JOINS {
            kill(&join, of_join);
        }
        let since = Instant::now();
        let joined = desk.run(&join);
        of_join = since.elapsed();
        assert_eq!(joined.code, 0, "{when}: {joined:?}");
        assert_eq!(joined.json()["outcome"], "complete", "{when}");
        let alone = desk.run(&["backup", "--json"]);
        assert_eq!(alone.code, 0, "{when}: {alone:?}");
        let tree = |of: &Done| {
            let id = of.json()["snapshot"].as_str().expect("an id").to_owned();
            let found =
                listed(&desk).into_iter().find(|one| one["id"].as_str() == Some(&id)).expect("listed");
            found["tree"].clone()
        };
        assert_eq!(tree(&joined), tree(&alone), "{when}");
        let states = listed(&desk).iter().filter(|one| !one["tags"].to_string().contains("\"part\"")).count();
        assert_eq!(
            states as u64,
            2 * (round + 1),
            "{when}: one snapshot of each run, and one of one process"
        );
        restic(&desk, &["check"]);
    }
    assert!(killed * 2 > tried, "only {killed} of {tried} were still running when they were killed");
    restic(&desk, &["check", "--read-data"]);
    desk.run(&["verify", "--depth", "2"]).exits(0);
}
