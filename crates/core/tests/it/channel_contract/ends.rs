//! How commands end, and that nothing else looks like a proper end.

use std::{
    io::{BufRead, BufReader, ErrorKind, Read, Write},
    time::Duration,
};

use ghevault_core::appliance::{
    channel::{ChannelError, ExitStatus, RemoteCommand},
    transport::TransportKind,
};

use super::bench::{Bench, MIB, count, eventually};
use crate::contract;

contract! {
    every_exit_code_is_told_apart_from_a_lost_connection
    a_signal_is_not_an_exit_code
    input_that_nobody_reads_ends_with_the_command
    waiting_closes_stdin_and_discards_stdout
    an_early_end_of_the_connection_is_an_error
    an_early_end_before_any_byte_is_an_error
    an_exit_status_excuses_no_cut_output
    a_silent_command_runs_into_its_idle_limit
    a_command_that_keeps_talking_is_not_idle
    a_slow_reader_is_not_a_silent_command
    a_command_ends_at_its_deadline
    dropping_a_command_hangs_it_up
}

fn every_exit_code_is_told_apart_from_a_lost_connection(kind: TransportKind) {
    let bench = Bench::start(kind);
    for code in [0, 1, 127, 254, 255] {
        assert_eq!(bench.run(&format!("exit {code}")).1.status, ExitStatus::Code(code));
    }
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

fn an_exit_status_excuses_no_cut_output(kind: TransportKind) {
    let bench = Bench::start(kind);
    let number = bench.sshd.connections();
    // The shell is gone with status 0, its child goes on writing: the output is not complete before that ends, too.
    let mut running = bench.bulk("cat /dev/zero & exit 0");
    let mut stdout = running.take_stdout().expect("stdout");
    stdout.read_exact(&mut vec![0; 20 * MIB]).expect("a beginning");
    bench.sshd.kill_connection(number);
    let error = count(&mut stdout).expect_err("not an end of file");
    assert_eq!(error.kind(), ErrorKind::ConnectionAborted, "{error}");
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
    let script = "for i in 1 2 3 4 5 6 7 8; do sleep 0.5; echo $i >&2; done";
    let command = RemoteCommand::bulk("talking", script, Duration::from_secs(3));
    let exit = bench.channel.start(&command).expect("started").wait().expect("exit");
    assert!(exit.status.success());
}

fn a_slow_reader_is_not_a_silent_command(kind: TransportKind) {
    let bench = Bench::start(kind);
    let script = format!("head -c {} /dev/zero", 64 * MIB);
    let command = RemoteCommand::bulk("slow reader", script, Duration::from_secs(2));
    let mut running = bench.channel.start(&command).expect("started");
    let mut stdout = running.take_stdout().expect("stdout");
    stdout.read_exact(&mut [0; 10]).expect("a beginning");
    std::thread::sleep(Duration::from_secs(3));
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
