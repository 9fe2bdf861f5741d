//! A real SSH client at both doors: login, streams, exit codes, scripts on stdin, faults.

use crate::support;
use std::process::Stdio;

use ghevault_sim::appliance::faults::{Action, Fault};
use support::{Door, with_both_doors};

#[test]
fn a_command_has_its_output_its_error_text_and_its_exit_code() {
    with_both_doors(|door| {
        let output = door.run("ghe-version -v; echo oops >&2; exit 7", b"");
        assert_eq!(output.text(), "3.11.0\n");
        assert!(output.error().ends_with("oops\n"), "{}", output.error());
        assert_eq!(output.code, Some(7));
    });
}

#[test]
fn a_script_on_stdin_of_a_shell_sees_the_appliance_s_paths() {
    with_both_doors(|door| {
        let script = b"[ -f '/etc/github/configured' ] && ghe-negotiate-version backup-utils 3.11.0\n";
        let output = door.run("/bin/sh", script);
        assert_eq!(
            output.text(),
            "GitHub Enterprise Server version 3.11.0\nbackup-utils 3.11.0 is supported.\n"
        );
        let output = door.run("", b"cat /data/user/common/uuid");
        assert_eq!(output.text().trim().len(), 36, "{}", output.text());
    });
}

#[test]
fn bulk_input_passes_unchanged_even_where_it_looks_like_a_path() {
    with_both_doors(|door| {
        let bulk = b"/data/user/repositories\0/etc/github\0".repeat(200_000);
        let output = door.run("cat", &bulk);
        assert!(output.stdout == bulk, "{} of {} bytes came back", output.stdout.len(), bulk.len());
    });
}

#[test]
fn the_repositories_leave_as_a_tar_stream() {
    with_both_doors(|door| {
        let output = door.run("cd /data/user && sudo -u git tar -cf - repositories", b"");
        assert_eq!(output.code, Some(0), "{}", output.error());
        let listing = support::list_tar(&output.stdout);
        assert!(listing.contains("repositories/c/nw/c4/ca/42/1/1.git/hooks\n"), "{listing}");
    });
}

#[test]
fn maintenance_of_another_appliance_does_not_show_in_ps() {
    with_both_doors(|door| {
        let output = door.run("ps axo args", b"");
        assert!(output.text().contains("ps axo args"), "{}", output.text());
        assert!(!output.text().contains("nextest"), "{}", output.text());
    });
}

#[test]
fn every_command_is_in_the_log() {
    with_both_doors(|door| {
        door.run("ghe-config core.package-version", b"");
        let log = door.appliance.commands().unwrap();
        let has = |kind: &str| {
            log.iter().any(|line| line.kind == kind && line.text == "ghe-config core.package-version")
        };
        assert!(has("exec") && has("command"), "{log:?}");
    });
}

#[test]
fn a_command_fails_on_demand_with_its_code_and_text() {
    with_both_doors(|door| {
        let fail = Action::Fail { code: 28, stderr: "No space left on device".to_owned() };
        door.appliance.set_faults(vec![Fault::in_command("ghe-export-settings", fail).times(1)]).unwrap();
        let output = door.run("ghe-export-settings", b"");
        assert_eq!((output.code, output.text()), (Some(28), String::new()));
        assert!(output.error().contains("No space left on device"), "{}", output.error());
        assert_eq!(door.run("ghe-export-settings", b"").code, Some(0));
    });
}

#[test]
fn a_connection_is_cut_after_the_wanted_number_of_bytes() {
    with_both_doors(|door| {
        door.appliance.set_faults(vec![Fault::at_door("head -c", Action::Cut).after(5000)]).unwrap();
        let output = door.run("head -c 100000 /dev/zero", b"");
        assert_eq!(output.code, Some(255), "ssh reports a lost connection");
        assert!(output.stdout.len() <= 5000, "{}", output.stdout.len());
    });
}

#[test]
fn an_output_is_truncated_and_yet_the_exit_code_is_0() {
    with_both_doors(|door| {
        door.appliance
            .set_faults(vec![Fault::in_command("ghe-export-mysql", Action::Truncate).after(100)])
            .unwrap();
        let output = door.run("ghe-export-mysql", b"");
        assert_eq!((output.stdout.len(), output.code), (100, Some(0)));
    });
}

#[test]
fn a_file_vanishes_while_it_is_read() {
    with_both_doors(|door| {
        let path = "/data/user/repositories/info/nw-layout";
        let vanish = Action::Vanish { paths: vec![path.to_owned()] };
        door.appliance.set_faults(vec![Fault::at_door("head -c", vanish).after(10)]).unwrap();
        let output = door.run("head -c 20 /dev/zero", b"");
        assert_eq!((output.stdout.len(), output.code), (20, Some(0)));
        assert!(!door.appliance.disk(path).exists());
    });
}

#[test]
fn a_hanging_command_ends_with_its_connection() {
    with_both_doors(|door| {
        door.appliance.set_faults(vec![Fault::at_door("ghe-version", Action::Hang)]).unwrap();
        let mut client = door.ssh().arg("ghe-version").stdin(Stdio::null()).spawn().unwrap();
        support::wait_until("the hanging command is in the log", || {
            door.appliance.commands().unwrap().iter().any(|line| line.text == "ghe-version")
        });
        assert!(client.try_wait().unwrap().is_none(), "it hangs");
        client.kill().unwrap();
        client.wait().unwrap();
    });
}

#[test]
fn an_imported_host_key_is_shown_to_the_next_connection() {
    with_both_doors(|door| {
        let before = door.appliance.host_key().unwrap();
        let keys = support::other_host_keys();
        let output = door.run("ghe-import-ssh-host-keys", &keys);
        assert_eq!(output.code, Some(0), "{}", output.error());
        assert_ne!(door.appliance.host_key().unwrap(), before);
        // The known_hosts file is written anew for each client, so this succeeds only with the new key.
        support::wait_until("the new host key is shown", || door.run("true", b"").code == Some(0));
    });
}

#[test]
fn a_stranger_s_key_is_refused() {
    with_both_doors(|door| {
        let folder = tempfile::tempdir().unwrap();
        let key = folder.path().join("stranger");
        ghevault_sim::doors::keys::write_ed25519(&key, &[9; 32], "stranger").unwrap();
        let output = Door::output(door.ssh_with(&key).arg("true"), b"");
        assert_eq!(output.code, Some(255));
        assert!(output.error().contains("Permission denied"), "{}", output.error());
    });
}

#[test]
fn a_banner_is_shown_before_authentication() {
    with_both_doors(|door| {
        door.appliance.set_banner(Some("Authorised use of GitHub Enterprise only\n")).unwrap();
        let output = door.run("true", b"");
        assert!(output.error().contains("Authorised use"), "{}", output.error());
    });
}

#[test]
fn on_the_sshd_door_the_admin_cannot_read_secrets_without_sudo() {
    support::with_sshd(|door| {
        assert_eq!(door.run("id -un", b"").text(), "admin\n");
        assert_ne!(door.run("cat /data/user/common/secrets.conf", b"").code, Some(0));
        assert_eq!(door.run("sudo cat /data/user/common/secrets.conf", b"").code, Some(0));
        assert_eq!(door.run("sudo -u git stat -c %U /data/user/repositories", b"").text(), "git\n");
        assert_eq!(door.run("stat -c %U /data/user/storage", b"").text(), "alambic\n");
    });
}

#[test]
fn nothing_is_left_of_a_closed_sshd_door() {
    support::with_sshd(|door| {
        let mut client = door.ssh().arg("sleep 1000").stdin(Stdio::null()).spawn().unwrap();
        support::wait_until("the command runs", || {
            door.appliance.commands().unwrap().iter().any(|line| line.text == "sleep 1000")
        });
        let root = door.appliance.place().root().to_owned();
        assert!(support::processes_of(&root) > 0);
        door.appliance.close();
        support::wait_until("all processes are gone", || support::processes_of(&root) == 0);
        client.wait().unwrap();
    });
}

#[test]
fn an_upload_is_cut_after_the_wanted_number_of_bytes() {
    with_both_doors(|door| {
        door.appliance
            .set_faults(vec![Fault::at_door("dd of=", Action::Cut).of_stdin().after(1_000_000)])
            .unwrap();
        let output = door.run("dd of=/tmp/ghevault-sim-upload bs=4096 status=none", &vec![7; 20_000_000]);
        assert_eq!(output.code, Some(255), "{}", output.error());
        door.appliance.set_faults(Vec::new()).unwrap();
        assert_eq!(door.run("rm -f /tmp/ghevault-sim-upload", b"").code, Some(0));
    });
}

#[test]
fn a_full_disk_ends_an_upload_with_the_programs_words() {
    with_both_doors(|door| {
        let full = Action::Fail { code: 2, stderr: "tar: No space left on device".to_owned() };
        door.appliance
            .set_faults(vec![Fault::at_door("cat >/dev/null", full).of_stdin().after(1000)])
            .unwrap();
        let output = door.run("cat >/dev/null", &vec![7; 2_000_000]);
        assert_eq!(output.code, Some(2));
        assert!(output.error().contains("No space left"), "{}", output.error());
    });
}

#[test]
fn many_channels_of_one_connection_move_bulk_at_once() {
    with_both_doors(|door| {
        let socket = tempfile::tempdir().unwrap();
        let path = format!("ControlPath={}", socket.path().join("s").display());
        let mut main = door.ssh();
        main.args(["-o", "ControlMaster=yes", "-o", &path, "cat"]).stdin(Stdio::piped());
        let mut main = main.stdout(Stdio::null()).spawn().unwrap();
        support::wait_until("the connection is shared", || socket.path().join("s").exists());
        std::thread::scope(|scope| {
            for number in 0..8_u8 {
                let mut shared = door.ssh();
                shared.args(["-o", "ControlMaster=no", "-o", &path, "cat | cat"]);
                scope.spawn(move || {
                    let bulk = vec![number; 3_000_000];
                    let output = Door::output(&mut shared, &bulk);
                    assert!(output.stdout == bulk, "channel {number}: {} bytes", output.stdout.len());
                    assert_eq!(output.code, Some(0));
                });
            }
        });
        drop(main.stdin.take());
        main.wait().unwrap();
    });
}

#[test]
fn a_signal_that_ends_a_command_is_told() {
    with_both_doors(|door| {
        // OpenSSH's client reports an exit signal as code 255, and a shell that saw one as 128 and the signal.
        let output = door.run("kill -TERM $$", b"");
        assert!(matches!(output.code, Some(255 | 143)), "{:?}", output.code);
    });
}

#[test]
fn several_sshd_doors_are_open_at_once_without_seeing_each_other() {
    support::with_sshd(|first| {
        support::with_sshd(|second| {
            assert_ne!(first.address.port(), second.address.port());
            first.run("sudo touch /data/user/tmp/mine", b"");
            assert_eq!(first.run("test -e /data/user/tmp/mine", b"").code, Some(0));
            assert_eq!(second.run("test -e /data/user/tmp/mine", b"").code, Some(1));
        });
    });
}

#[test]
fn nothing_is_left_when_the_program_that_opened_an_sshd_door_is_killed() {
    let folder = tempfile::tempdir().unwrap();
    let place = ghevault_sim::appliance::Place::new(folder.path().join("appliance"));
    ghevault_sim::build::Recipe::fresh(1).build(&place).unwrap();
    let mut program = std::process::Command::new(ghevault_sim::harness::program().unwrap())
        .arg("sshd")
        .arg(place.root())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    std::io::BufRead::read_line(&mut std::io::BufReader::new(program.stdout.take().unwrap()), &mut line)
        .unwrap();
    assert!(line.contains("\"port\""), "{line}");
    assert!(support::processes_of(place.root()) > 0);
    program.kill().unwrap();
    program.wait().unwrap();
    support::wait_until("all processes are gone", || support::processes_of(place.root()) == 0);
}
