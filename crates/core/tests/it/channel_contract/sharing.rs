//! Commands beside each other: who waits for whom, and what a lost connection takes along.

use std::{
    io::Read,
    num::NonZeroU64,
    time::{Duration, Instant},
};

use ghevault_core::appliance::{
    channel::{ChannelError, RemoteCommand},
    transport::TransportKind,
};

use super::bench::{Bench, MIB, count, eventually};
use crate::contract;

contract! {
    a_lost_control_connection_is_made_anew
    a_command_that_ran_is_never_run_again
    an_unread_bulk_stream_blocks_nothing_else
    a_stalled_reader_stalls_the_remote_command
    more_commands_at_once_than_a_connection_takes
    a_bandwidth_limit_holds_for_all_streams_together
}

fn a_lost_control_connection_is_made_anew(kind: TransportKind) {
    let bench = Bench::start(kind);
    let before = bench.sshd.connections();
    for number in 0..before {
        bench.sshd.kill_connection(number);
    }
    assert_eq!(bench.run("echo again").0, "again\n");
    assert!(bench.sshd.connections() > before);
}

fn a_command_that_ran_is_never_run_again(kind: TransportKind) {
    let bench = Bench::start(kind);
    let log = bench.sshd.scratch().join("runs");
    let script = format!("echo run >> '{}'; exec sleep 1000", log.display());
    let lost = std::thread::scope(|scope| {
        let running = scope.spawn(|| bench.channel.run(&RemoteCommand::new("once", script), b""));
        eventually("the start", || log.exists());
        for number in 0..bench.sshd.connections() {
            bench.sshd.kill_connection(number);
        }
        running.join().expect("no panic")
    });
    assert!(matches!(lost, Err(ChannelError::Ended { .. })), "{lost:?}");
    assert_eq!(bench.run("echo fine").0, "fine\n");
    assert_eq!(std::fs::read_to_string(log).expect("readable"), "run\n");
}

fn an_unread_bulk_stream_blocks_nothing_else(kind: TransportKind) {
    let bench = Bench::start(kind);
    let mut running = bench.bulk("cat /dev/zero");
    let mut stdout = running.take_stdout().expect("stdout");
    stdout.read_exact(&mut [0; 10]).expect("a beginning");
    for _ in 0..3 {
        assert_eq!(bench.run("echo quick").0, "quick\n");
    }
    let mut other = bench.bulk("head -c 10000000 /dev/zero");
    assert_eq!(count(other.take_stdout().expect("stdout")).expect("complete"), 10_000_000);
    stdout.read_exact(&mut vec![0; 30 * MIB]).expect("it still flows");
}

fn a_stalled_reader_stalls_the_remote_command(kind: TransportKind) {
    let bench = Bench::start(kind);
    let mark = bench.sshd.scratch().join("mark");
    let script = format!(
        "for i in $(seq 300); do head -c {MIB} /dev/zero; echo $i > '{0}.new'; mv '{0}.new' '{0}'; done",
        mark.display()
    );
    let mut stalled = bench.bulk(&script);
    let mut stdout = stalled.take_stdout().expect("stdout");
    eventually("a beginning", || mark.exists());
    // As much again passes by meanwhile.
    let mut other = bench.bulk(&format!("head -c {} /dev/zero", 300 * MIB));
    assert_eq!(count(other.take_stdout().expect("stdout")).expect("complete"), 300 * MIB);
    let sent: usize = std::fs::read_to_string(&mark).expect("readable").trim().parse().expect("a number");
    // What is on the way: our buffers, a window of 16 MiB, and the sockets.
    assert!(sent < 60, "{sent} MiB were taken in for nobody");
    assert_eq!(count(&mut stdout).expect("complete"), 300 * MIB);
    assert!(stalled.wait().expect("exit").status.success());
}

fn more_commands_at_once_than_a_connection_takes(kind: TransportKind) {
    // OpenSSH's server opens ten sessions on one connection by default.
    let bench = Bench::start(kind);
    std::thread::scope(|scope| {
        let commands: Vec<_> = (0..24)
            .map(|n| {
                let bench = &bench;
                scope
                    .spawn(move || assert_eq!(bench.run(&format!("sleep 0.5; echo {n}")).0, format!("{n}\n")))
            })
            .collect();
        for command in commands {
            command.join().expect("each ran");
        }
    });
}

fn a_bandwidth_limit_holds_for_all_streams_together(kind: TransportKind) {
    let bench = Bench::with(kind, "", |settings| settings.bandwidth = NonZeroU64::new(4_000_000));
    let since = Instant::now();
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                let mut running = bench.bulk("head -c 4000000 /dev/zero");
                assert_eq!(count(running.take_stdout().expect("stdout")).expect("complete"), 4_000_000);
            });
        }
        // Meanwhile a short command is not held up.
        assert_eq!(bench.run("echo quick").0, "quick\n");
    });
    let took = since.elapsed();
    assert!(took > Duration::from_millis(1500), "8 MB at 4 MB/s took {took:?}");
    assert!(took < Duration::from_mins(1), "8 MB at 4 MB/s took {took:?}");
}
