//! Tests of the lease: who gets it, who loses it.

use super::*;

const LONG: Duration = Duration::from_mins(10);

fn forged(place: &Place, token: u64, change: impl FnOnce(&mut LeaseFile)) {
    let now = Timestamp::now();
    let mut file = LeaseFile {
        holder: "backup".into(),
        process: ProcessMark { pid: 77, ..ProcessMark::own() },
        taken: now,
        until: later(now, LONG),
        released: false,
    };
    change(&mut file);
    assert!(place.write(token, &file, true).unwrap());
}

fn place() -> (tempfile::TempDir, Place) {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().to_owned();
    (dir, Place { root })
}

#[test]
fn a_second_writer_is_told_who_holds_it() {
    let (dir, _) = place();
    let lease = WriteLease::take(dir.path(), "backup of ghe-prod", LONG).unwrap();
    lease.check().unwrap();
    let error = WriteLease::take(dir.path(), "prune", LONG).unwrap_err();
    assert!(
        matches!(&error, VaultError::Locked { holder, .. } if holder.contains("backup of ghe-prod")),
        "{error}"
    );
}

#[test]
fn a_released_lease_is_free_and_the_token_grows() {
    let (dir, place) = place();
    let first = WriteLease::take(dir.path(), "a", LONG).unwrap().token();
    let second = WriteLease::take(dir.path(), "b", LONG).unwrap().token();
    assert!(second > first);
    assert_eq!(place.tokens().unwrap(), [second]);
}

#[test]
fn the_current_writer_is_named_without_a_password() {
    let (dir, _) = place();
    assert_eq!(current_writer(dir.path()).unwrap(), None);
    let lease = WriteLease::take(dir.path(), "backup of ghe-prod", LONG).unwrap();
    assert!(current_writer(dir.path()).unwrap().is_some_and(|words| words.contains("backup of ghe-prod")));
    drop(lease);
    assert_eq!(current_writer(dir.path()).unwrap(), None);
}

#[test]
fn half_written_leases_of_the_dead_are_cleared_away_and_those_of_the_living_are_not() {
    let (dir, place) = place();
    fs::create_dir_all(place.folder()).unwrap();
    let (old, young) = (place.folder().join(".lease-old"), place.folder().join(".lease-young"));
    for path in [&old, &young] {
        fs::write(path, "{").unwrap();
    }
    let before = std::time::SystemTime::now() - Duration::from_hours(2);
    fs::File::options().write(true).open(&old).unwrap().set_modified(before).unwrap();
    WriteLease::take(dir.path(), "a", LONG).unwrap();
    assert!(!old.exists() && young.exists());
}

#[test]
fn a_dead_process_of_this_host_blocks_nobody() {
    let (dir, place) = place();
    let mut child = std::process::Command::new("true").spawn().unwrap();
    child.wait().unwrap();
    forged(&place, 4, |file| file.process.pid = child.id());
    assert_eq!(WriteLease::take(dir.path(), "b", LONG).unwrap().token(), 5);
}

#[test]
fn a_reused_process_number_counts_as_dead() {
    let (dir, place) = place();
    forged(&place, 4, |file| {
        file.process.pid = std::process::id();
        file.process.started = "1".into();
    });
    WriteLease::take(dir.path(), "b", LONG).unwrap();
}

#[test]
fn an_unknown_process_of_another_host_or_container_blocks_until_its_time_is_over() {
    for change in [
        (|p: &mut ProcessMark| p.boot = "other".into()) as fn(&mut ProcessMark),
        |p| p.namespace = "pid:[1]".into(),
        |p| p.started = String::new(),
    ] {
        let (dir, place) = place();
        forged(&place, 4, |file| {
            file.process.pid = 4_194_304; // above every pid_max: no such process here
            change(&mut file.process);
        });
        assert!(matches!(WriteLease::take(dir.path(), "b", LONG), Err(VaultError::Locked { .. })));
        let (dir, place) = self::place();
        forged(&place, 4, |file| {
            change(&mut file.process);
            file.until = Timestamp::now();
        });
        WriteLease::take(dir.path(), "b", LONG).unwrap();
    }
}

#[test]
fn the_loser_of_a_takeover_notices() {
    let (dir, place) = place();
    let lease = WriteLease::take(dir.path(), "a", LONG).unwrap();
    forged(&place, lease.token() + 1, |_| {});
    assert!(matches!(lease.check(), Err(VaultError::LeaseLost { .. })));
    let token = lease.token();
    drop(lease);
    // giving back does not touch the other's lease
    assert!(!place.read(token + 1, LONG).unwrap().unwrap().released);
}

#[test]
fn renewing_extends_the_lease_on_disk() {
    let (dir, place) = place();
    let lease = WriteLease::take(dir.path(), "a", Duration::from_millis(300)).unwrap();
    let first = place.read(lease.token(), LONG).unwrap().unwrap().until;
    let deadline = Instant::now() + Duration::from_secs(20);
    while place.read(lease.token(), LONG).unwrap().unwrap().until <= first {
        assert!(Instant::now() < deadline, "never renewed");
        std::thread::yield_now();
    }
}

#[test]
fn a_garbled_lease_blocks_for_one_lease_time_only() {
    let (dir, place) = place();
    fs::create_dir_all(place.folder()).unwrap();
    fs::write(place.file(9), "{").unwrap();
    assert!(matches!(WriteLease::take(dir.path(), "b", LONG), Err(VaultError::Locked { .. })));
    assert_eq!(WriteLease::take(dir.path(), "b", Duration::ZERO).unwrap().token(), 10);
}

#[test]
fn of_many_that_try_at_once_exactly_one_gets_it() {
    let (dir, _) = place();
    let barrier = std::sync::Barrier::new(8);
    let leases: Vec<_> = std::thread::scope(|scope| {
        let take = || {
            barrier.wait();
            WriteLease::take(dir.path(), "one of many", LONG)
        };
        let threads: Vec<_> = (0..8).map(|_| scope.spawn(take)).collect();
        threads.into_iter().map(|t| t.join().unwrap()).collect()
    });
    assert_eq!(leases.iter().filter(|l| l.is_ok()).count(), 1);
}
