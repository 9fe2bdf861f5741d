"""The appliance under measurement: programs, a private network, and the simulator's door with a real OpenSSH sshd."""

import fcntl
import json
import os
import platform
import socket
import struct
import subprocess
import sys
from datetime import datetime, timezone
from pathlib import Path

import measure

ROOT = Path(__file__).resolve().parent.parent
INSIDE = "GHEVAULT_BENCH_INSIDE"


def programs():
    """Paths of `ghevault` and `ghevault-sim`: named by GHEVAULT_BIN and GHEVAULT_SIM, or built with --release."""
    names = {"GHEVAULT_BIN": "ghevault", "GHEVAULT_SIM": "ghevault-sim"}
    missing = [package for variable, package in names.items() if not os.environ.get(variable)]
    if missing:
        packages = [word for package in missing for word in ("--package", package)]
        subprocess.run(["cargo", "build", "--release", "--quiet", *packages], cwd=ROOT, check=True)
        text = subprocess.run(["cargo", "metadata", "--no-deps", "--format-version", "1"], cwd=ROOT, check=True,
                              stdout=subprocess.PIPE).stdout
        target = Path(json.loads(text)["target_directory"], "release")
        for variable, package in names.items():
            os.environ.setdefault(variable, str(target / package))
    found = [Path(os.environ[variable]).resolve() for variable in names]
    for program in found:
        if not os.access(program, os.X_OK):
            sys.exit(f"there is no program `{program}`")
    return found


def enter_private_network():
    """Goes on in a network and mount namespace of its own, whose only device is loopback.

    So port 122 is free, no traffic of others is counted, and none leaves the machine. Needs root, as the door does.
    """
    if os.geteuid() != 0:
        sys.exit("the bench needs root: it opens a real sshd in a namespace of its own")
    if os.environ.get(INSIDE) is None:
        alone = ["unshare", "--net", "--mount", "--propagation", "private", "--"]
        works = subprocess.run([*alone, "true"], stderr=subprocess.DEVNULL, check=False).returncode == 0
        os.environ[INSIDE] = "alone" if works else "shared"
        command = [sys.executable, *sys.argv]
        os.execvp(command[0] if not works else alone[0], [*(alone if works else []), *command])
    if os.environ[INSIDE] == "alone":
        # ioctl SIOCSIFFLAGS with IFF_UP | IFF_RUNNING.
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
            fcntl.ioctl(control, 0x8914, struct.pack("16sh14x", b"lo", 0x41))


class Door:
    """An open sshd door of the simulated appliance in `folder`; all of its processes are in one cgroup."""

    def __init__(self, sim, folder):
        self.folder = Path(folder)
        self.alone = os.environ.get(INSIDE) == "alone"
        self.group = measure.Cgroup("ghevault-bench-server")
        # pylint: disable-next=subprocess-popen-preexec-fn,consider-using-with
        self.process = subprocess.Popen(
            [sim, "sshd", folder, "--listen", f"127.0.0.1:{122 if self.alone else 0}", "--until-stdin-closes"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, preexec_fn=self.group.join)
        line = self.process.stdout.readline()
        if not line:
            self.close()
            sys.exit("the sshd door did not open")
        said = json.loads(line)
        self.host, self.port, self.host_key = said["host"], said["port"], said["host_key"]
        self.client_key = self.folder / "keys/client"
        self.known_hosts = self.folder / "bench.known_hosts"
        key = (self.folder / "disk/data/user/common/ssh_host_ed25519_key.pub").read_text().split()
        name = self.host if self.port == 22 else f"[{self.host}]:{self.port}"
        self.known_hosts.write_text(f"{name} {key[0]} {key[1]}\n")

    def ssh(self):
        """The words of an ssh command line that reaches this door without asking, up to the host."""
        return ["ssh", "-q", "-F", "/dev/null", "-i", str(self.client_key), "-o",
                f"UserKnownHostsFile={self.known_hosts}", "-o", "IdentitiesOnly=yes", "-o", "BatchMode=yes",
                "-p", str(self.port), "-l", "admin"]

    def cpu_seconds(self):
        """CPU seconds of the appliance's side so far."""
        return self.group.seconds() if self.group.usable else measure.tree_seconds(self.process.pid)

    def close(self):
        """Ends sshd and everything behind it."""
        self.process.stdin.close()
        try:
            self.process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process.stdout.close()
        self.group.remove()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def first_line(*argv):
    """First line that a program says about itself, or None."""
    try:
        done = subprocess.run(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    except OSError:
        return None
    return (done.stdout.decode(errors="replace").strip().splitlines() or [None])[0]


def circumstances(ghevault, sim):
    """Where, when and with what something was measured."""
    model = next((line.split(":", 1)[1].strip() for line in Path("/proc/cpuinfo").read_text().splitlines()
                  if line.startswith("model name")), platform.machine())
    memory = int(Path("/proc/meminfo").read_text().split()[1]) // 1024
    commit = first_line("git", "-C", str(ROOT), "rev-parse", "--short=10", "HEAD")
    return {
        "date": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "machine": f"{os.cpu_count()} x {model}, {memory} MB, Linux {platform.release()}",
        "load_1m": os.getloadavg()[0],
        "command": " ".join([Path(sys.argv[0]).name, *sys.argv[1:]]),
        "commit": commit,
        "versions": {
            "ghevault": first_line(str(ghevault), "--version"),
            "ghevault-sim": f"{first_line(str(sim), '--version')}, {sim.parent.name} build",
            "rsync": first_line("rsync", "--version"),
            "restic": first_line("restic", "version"),
            "ssh": first_line("ssh", "-V"),
            "git": first_line("git", "--version"),
        },
    }
