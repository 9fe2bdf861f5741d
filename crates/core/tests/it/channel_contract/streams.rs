//! What goes in and comes out arrives whole, in order and as it is.

use std::io::{Read, Write};

use ghevault_core::appliance::{
    channel::{ExitStatus, RemoteCommand, STDERR_BYTES_MAX},
    transport::{TransportKind, connect},
};

use super::bench::{Bench, MIB, count};
use crate::contract;

contract! {
    output_comes_back_with_the_exit_code
    the_script_reaches_the_remote_shell_as_it_is
    a_large_output_arrives_whole
    a_large_input_arrives_whole
    both_directions_flow_at_once_and_in_order
    a_flood_of_stderr_is_bounded_and_blocks_nothing
    new_session_keys_in_mid_stream_lose_nothing
    a_noisy_banner_disturbs_nothing
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

fn the_script_reaches_the_remote_shell_as_it_is(kind: TransportKind) {
    let bench = Bench::start(kind);
    let (stdout, _) =
        bench.run("printf '%s|' \"a b\" 'it'\\''s' \"$((1+1))\" '%h' '~' -x\nprintf '%s' second");
    assert_eq!(stdout, "a b|it's|2|%h|~|-x|second");
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
