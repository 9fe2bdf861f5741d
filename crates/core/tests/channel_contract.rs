//! What every transport promises, checked against a real OpenSSH server: one suite, each transport.

#[path = "support/sshd.rs"]
mod sshd;

use std::{
    io::{BufRead, BufReader, ErrorKind, Read, Write},
    num::NonZeroU64,
    sync::Arc,
    time::{Duration, Instant},
};

use ghevault_core::appliance::{
    channel::{Channel, ChannelError, Exit, ExitStatus, RemoteCommand, Running, STDERR_BYTES_MAX},
    transport::{TransportKind, TransportSettings, connect},
};
use sshd::Sshd;

const MIB: usize = 1024 * 1024;
/// Far above what anything here takes; a test that needs it has failed.
const LONG: Duration = Duration::from_mins(1);

/// A server, and a channel to it.
struct Bench {
    sshd: Sshd,
    kind: TransportKind,
    channel: Arc<dyn Channel>,
}

impl Bench {
    fn start(kind: TransportKind) -> Self {
        Self::with(kind, "", |_| {})
    }

    fn with(kind: TransportKind, config: &str, change: impl FnOnce(&mut TransportSettings)) -> Self {
        let sshd = Sshd::with(&["ed25519"], config);
        let mut settings = sshd.settings();
        settings.kind = kind;
        change(&mut settings);
        let channel = connect(settings).expect("connected");
        Self { sshd, kind, channel }
    }

    fn run(&self, script: &str) -> (String, Exit) {
        let output = self.channel.run(&RemoteCommand::new("test", script), b"").expect("ran");
        (String::from_utf8(output.stdout).expect("text"), output.exit)
    }

    fn bulk(&self, script: &str) -> Box<dyn Running> {
        self.channel.start(&RemoteCommand::bulk("bulk", script, LONG)).expect("started")
    }
}

fn count(mut stream: impl Read) -> std::io::Result<usize> {
    let (mut buffer, mut total) = (vec![0; 256 * 1024], 0);
    loop {
        match stream.read(&mut buffer)? {
            0 => return Ok(total),
            n => total += n,
        }
    }
}

/// Waits for something that other processes do, up to [`LONG`].
fn eventually(what: &str, mut happened: impl FnMut() -> bool) {
    let since = Instant::now();
    while !happened() {
        assert!(since.elapsed() < LONG, "{what} did not happen");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn output_comes_back_with_the_exit_code(kind: TransportKind) {
    let bench = Bench::start(kind);
    let (stdout, exit) = bench.run("echo hello; echo oops >&2; exit 7");
    assert_eq!(stdout, "hello\n");
    assert_eq!(exit.status, ExitStatus::Code(7));
    assert_eq!(exit.stderr, b"oops\n");
    let fingerprint = bench.sshd.host_key("ed25519").fingerprint();
    assert_eq!(bench.channel.host_key(), Some(fingerprint));
}

fn every_exit_code_is_told_apart_from_a_lost_connection(kind: TransportKind) {
    let bench = Bench::start(kind);
    for code in [0, 1, 127, 254, 255] {
        assert_eq!(bench.run(&format!("exit {code}")).1.status, ExitStatus::Code(code));
    }
}

fn the_script_reaches_the_remote_shell_as_it_is(kind: TransportKind) {
    let bench = Bench::start(kind);
    let (stdout, _) =
        bench.run("printf '%s|' \"a b\" 'it'\\''s' \"$((1+1))\" '%h' '~' -x\nprintf '%s' second");
    assert_eq!(stdout, "a b|it's|2|%h|~|-x|second");
}

fn a_signal_is_not_an_exit_code(kind: TransportKind) {
    let bench = Bench::start(kind);
    let (_, exit) = bench.run("kill -TERM $$");
    match (kind, exit.status) {
        (TransportKind::Russh, ExitStatus::Signal(name)) => assert_eq!(name, "TERM"),
        (TransportKind::OpenSsh, ExitStatus::Signal(_)) => {}
        (_, status) => panic!("{status}"),
    }
}

fn a_large_output_arrives_whole(kind: TransportKind) {
    let bench = Bench::start(kind);
    let mut running = bench.bulk("head -c 209715200 /dev/zero");
    let total = count(running.take_stdout().expect("stdout")).expect("complete");
    assert_eq!(total, 200 * MIB);
    assert!(running.wait().expect("exit").status.success());
}

fn a_large_input_arrives_whole(kind: TransportKind) {
    let bench = Bench::start(kind);
    let mut running = bench.bulk("wc -c");
    let mut stdin = running.take_stdin().expect("stdin");
    let piece = vec![1; MIB];
    for _ in 0..100 {
        stdin.write_all(&piece).expect("written");
    }
    drop(stdin);
    let mut said = String::new();
    running.take_stdout().expect("stdout").read_to_string(&mut said).expect("complete");
    assert_eq!(said.trim(), (100 * MIB).to_string());
    assert!(running.wait().expect("exit").status.success());
}

fn both_directions_flow_at_once_and_in_order(kind: TransportKind) {
    let bench = Bench::start(kind);
    let mut running = bench.bulk("cat");
    let (mut stdin, mut stdout) =
        (running.take_stdin().expect("stdin"), running.take_stdout().expect("stdout"));
    let piece = |n: usize| n.to_be_bytes().repeat(8192);
    let pieces = 50 * MIB / 65536;
    std::thread::scope(|scope| {
        scope.spawn(move || {
            for n in 0..pieces {
                stdin.write_all(&piece(n)).expect("written");
            }
        });
        let mut buffer = vec![0; 65536];
        for n in 0..pieces {
            stdout.read_exact(&mut buffer).expect("read");
            assert!(buffer == piece(n), "piece {n} is another");
        }
        assert_eq!(stdout.read(&mut buffer).expect("an end"), 0);
    });
    assert!(running.wait().expect("exit").status.success());
}

fn a_flood_of_stderr_is_bounded_and_blocks_nothing(kind: TransportKind) {
    let bench = Bench::start(kind);
    let (stdout, exit) =
        bench.run("echo first >&2; head -c 20000000 /dev/zero >&2; echo last >&2; echo done");
    assert_eq!(stdout, "done\n");
    assert!(exit.stderr.len() <= STDERR_BYTES_MAX);
    assert!(exit.stderr.starts_with(b"first\n") && exit.stderr.ends_with(b"last\n"));
}

fn input_that_nobody_reads_ends_with_the_command(kind: TransportKind) {
    let bench = Bench::start(kind);
    let input = vec![1; 40 * MIB];
    let output = bench.channel.run(&RemoteCommand::new("test", "exec 0<&-; echo done"), &input).expect("ran");
    assert_eq!(output.stdout, b"done\n");
}

fn waiting_closes_stdin_and_discards_stdout(kind: TransportKind) {
    let bench = Bench::start(kind);
    let exit = bench.bulk("cat; head -c 50000000 /dev/zero; exit 3").wait().expect("exit");
    assert_eq!(exit.status, ExitStatus::Code(3));
}

fn an_early_end_of_the_connection_is_an_error(kind: TransportKind) {
    let bench = Bench::start(kind);
    let number = bench.sshd.connections();
    let mut running = bench.bulk("cat /dev/zero");
    let mut stdout = running.take_stdout().expect("stdout");
    stdout.read_exact(&mut [0; 10_000]).expect("a beginning");
    bench.sshd.kill_connection(number);
    let error = count(&mut stdout).expect_err("not an end of file");
    assert_eq!(error.kind(), ErrorKind::ConnectionAborted, "{error}");
    assert!(stdout.read(&mut [0; 1]).is_err(), "it stays an error");
    let error = running.wait().expect_err("no exit status");
    assert!(matches!(error, ChannelError::Ended { .. }), "{error}");
}

fn an_early_end_before_any_byte_is_an_error(kind: TransportKind) {
    let bench = Bench::start(kind);
    let number = bench.sshd.connections();
    let mut running = bench.bulk("echo started >&2; exec sleep 1000");
    let mut stdout = running.take_stdout().expect("stdout");
    bench.sshd.kill_connection(number);
    assert!(stdout.read(&mut [0; 1]).is_err());
    assert!(matches!(running.wait(), Err(ChannelError::Ended { .. })));
}

fn a_silent_command_runs_into_its_idle_limit(kind: TransportKind) {
    let bench = Bench::start(kind);
    let idle = Duration::from_millis(700);
    let command = RemoteCommand::bulk("silent", "echo one; exec sleep 1000", idle);
    let mut running = bench.channel.start(&command).expect("started");
    let mut said = String::new();
    let error = running.take_stdout().expect("stdout").read_to_string(&mut said).expect_err("it stalls");
    assert_eq!((error.kind(), said.as_str()), (ErrorKind::TimedOut, "one\n"));
    match running.wait() {
        Err(ChannelError::Timeout { what: "stalled", after, .. }) => assert_eq!(after, idle),
        other => panic!("{other:?}"),
    }
}

fn a_command_that_keeps_talking_is_not_idle(kind: TransportKind) {
    let bench = Bench::start(kind);
    let script = "for i in 1 2 3 4 5 6 7 8; do sleep 0.25; echo $i >&2; done";
    let command = RemoteCommand::bulk("talking", script, Duration::from_secs(1));
    let exit = bench.channel.start(&command).expect("started").wait().expect("exit");
    assert!(exit.status.success());
}

fn a_slow_reader_is_not_a_silent_command(kind: TransportKind) {
    let bench = Bench::start(kind);
    let script = format!("head -c {} /dev/zero", 64 * MIB);
    let command = RemoteCommand::bulk("slow reader", script, Duration::from_millis(500));
    let mut running = bench.channel.start(&command).expect("started");
    let mut stdout = running.take_stdout().expect("stdout");
    stdout.read_exact(&mut [0; 10]).expect("a beginning");
    std::thread::sleep(Duration::from_millis(1500));
    assert_eq!(count(stdout).expect("complete"), 64 * MIB - 10);
    assert!(running.wait().expect("exit").status.success());
}

fn a_command_ends_at_its_deadline(kind: TransportKind) {
    let bench = Bench::start(kind);
    let deadline = Duration::from_millis(600);
    let command = RemoteCommand::new("endless", "while :; do echo x; sleep 0.1; done").within(deadline);
    match bench.channel.run(&command, b"") {
        Err(ChannelError::Timeout { what: "did not end", after, .. }) => assert_eq!(after, deadline),
        other => panic!("{other:?}"),
    }
    assert_eq!(bench.run("echo alive").0, "alive\n");
}

fn dropping_a_command_hangs_it_up(kind: TransportKind) {
    for bulk in [false, true] {
        let bench = Bench::start(kind);
        let mark = bench.sshd.scratch().join("end-of-input");
        // The shell of a gate: alive while heartbeats arrive, cleaning up at end of input.
        let script = format!("echo ready; cat >/dev/null; touch '{}'", mark.display());
        let mut command = RemoteCommand::new("gate", script);
        command.bulk = bulk;
        let mut running = bench.channel.start(&command).expect("started");
        let mut stdin = running.take_stdin().expect("stdin");
        stdin.write_all(b"heartbeat\n").expect("written");
        let mut line = String::new();
        let mut stdout = BufReader::new(running.take_stdout().expect("stdout"));
        stdout.read_line(&mut line).expect("a line");
        assert_eq!(line, "ready\n");
        assert!(!mark.exists());
        drop(running);
        eventually("the remote end of input", || mark.exists());
        eventually("a broken pipe", || stdin.write_all(b"late\n").is_err());
        assert!(stdout.read_line(&mut line).is_err(), "an abandoned output has no proper end");
    }
}

fn new_session_keys_in_mid_stream_lose_nothing(kind: TransportKind) {
    let bench = Bench::with(kind, "RekeyLimit 1M", |_| {});
    let mut running = bench.bulk("cat");
    let (mut stdin, stdout) = (running.take_stdin().expect("stdin"), running.take_stdout().expect("stdout"));
    let total = std::thread::scope(|scope| {
        scope.spawn(move || stdin.write_all(&vec![5; 8 * MIB]).expect("written"));
        count(stdout).expect("complete")
    });
    assert_eq!(total, 8 * MIB);
    assert!(running.wait().expect("exit").status.success());
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

fn a_noisy_banner_disturbs_nothing(kind: TransportKind) {
    let bench = Bench::with(kind, "", |_| {});
    let banner = bench.sshd.scratch().join("banner");
    std::fs::write(&banner, "GitHub Enterprise\nPermission denied (publickey).\n".repeat(40))
        .expect("written");
    bench.sshd.configure(&["ed25519"], &format!("Banner {}", banner.display()));
    let mut settings = bench.sshd.settings();
    settings.kind = bench.kind;
    let channel = connect(settings).expect("connected");
    let output = channel.run(&RemoteCommand::new("test", "echo fine; exit 255"), b"").expect("ran");
    assert_eq!(output.stdout, b"fine\n");
    assert_eq!(output.exit.status, ExitStatus::Code(255));
    assert_eq!(output.exit.stderr, b"");
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
    assert!(took < Duration::from_secs(20), "8 MB at 4 MB/s took {took:?}");
}

macro_rules! contract {
    ($($case:ident)*) => {
        mod over_russh {
            $(#[test] fn $case() { super::$case(super::TransportKind::Russh); })*
        }
        mod over_openssh {
            $(#[test] fn $case() { super::$case(super::TransportKind::OpenSsh); })*
        }
    };
}

contract! {
    output_comes_back_with_the_exit_code
    every_exit_code_is_told_apart_from_a_lost_connection
    the_script_reaches_the_remote_shell_as_it_is
    a_signal_is_not_an_exit_code
    a_large_output_arrives_whole
    a_large_input_arrives_whole
    both_directions_flow_at_once_and_in_order
    a_flood_of_stderr_is_bounded_and_blocks_nothing
    input_that_nobody_reads_ends_with_the_command
    waiting_closes_stdin_and_discards_stdout
    an_early_end_of_the_connection_is_an_error
    an_early_end_before_any_byte_is_an_error
    a_silent_command_runs_into_its_idle_limit
    a_command_that_keeps_talking_is_not_idle
    a_slow_reader_is_not_a_silent_command
    a_command_ends_at_its_deadline
    dropping_a_command_hangs_it_up
    new_session_keys_in_mid_stream_lose_nothing
    a_lost_control_connection_is_made_anew
    a_command_that_ran_is_never_run_again
    an_unread_bulk_stream_blocks_nothing_else
    a_stalled_reader_stalls_the_remote_command
    more_commands_at_once_than_a_connection_takes
    a_noisy_banner_disturbs_nothing
    a_bandwidth_limit_holds_for_all_streams_together
}
