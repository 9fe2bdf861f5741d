"""Measures one command from outside: wall and CPU time, memory, bytes on the wire, and what it left on disk.

CPU time is that of every process of a side, children and grandchildren included: from a cgroup (v1 or v2) where one can
be made, otherwise from what the kernel adds up for waited-for children.
"""

import atexit
import itertools
import os
import resource
import signal
import subprocess
import threading
import time
from dataclasses import dataclass
from pathlib import Path

TICKS = os.sysconf("SC_CLK_TCK")


class Cgroup:
    """A cgroup of its own that counts CPU time; `usable` is false where none can be made."""

    made = itertools.count()

    def __init__(self, name):
        self.folder = None
        for parent in ("/sys/fs/cgroup/cpuacct", "/sys/fs/cgroup/cpu,cpuacct", "/sys/fs/cgroup"):
            folder = Path(parent, f"{name}-{os.getpid()}-{next(self.made)}")
            try:
                folder.mkdir()
            except OSError:
                continue
            if (folder / "cgroup.procs").exists() and self._clock(folder) is not None:
                self.folder = folder
                return
            folder.rmdir()

    @property
    def usable(self):
        return self.folder is not None

    def join(self):
        """Puts the calling process, and so all that it starts, into this group."""
        if self.folder:
            (self.folder / "cgroup.procs").write_text(str(os.getpid()))

    @staticmethod
    def _clock(folder):
        try:
            names = ("cpuacct.usage_user", "cpuacct.usage_sys")
            return sum(int((folder / name).read_text()) for name in names) / 1e9
        except OSError:
            pass
        try:
            for line in (folder / "cpu.stat").read_text().splitlines():
                if line.startswith("usage_usec "):
                    return int(line.split()[1]) / 1e6
        except OSError:
            pass
        return None

    def seconds(self):
        """CPU seconds, user and system, of all that ever ran in this group."""
        return self._clock(self.folder)

    def remove(self, patience_s=1):
        """Removes the group, once what is left in it has ended; what outlives that is removed with the bench."""
        until = time.monotonic() + patience_s
        while self.folder:
            try:
                self.folder.rmdir()
                return
            except OSError:
                if time.monotonic() > until:
                    break
                time.sleep(0.05)
        if self.folder and patience_s:
            # A shared ssh connection, for example: it ends with the appliance's door.
            atexit.register(self.remove, 0)


def tree_seconds(root):
    """CPU seconds of a process, its living descendants, and all that those have waited for."""
    parents, used = {}, {}
    for entry in os.scandir("/proc"):
        if entry.name.isdigit():
            try:
                words = Path(entry.path, "stat").read_text().rsplit(")", 1)[1].split()
            except OSError:
                continue
            parents[int(entry.name)] = int(words[1])
            used[int(entry.name)] = sum(map(int, words[11:15])) / TICKS
    total = 0
    for pid, seconds in used.items():
        ancestor = pid
        while ancestor not in (root, 0, None):
            ancestor = parents.get(ancestor)
        total += seconds if ancestor == root else 0
    return total


def loopback_bytes():
    """Bytes that passed the loopback device of this network namespace, both directions together."""
    for line in Path("/proc/net/dev").read_text().splitlines():
        name, _, rest = line.partition(":")
        if name.strip() == "lo":
            return int(rest.split()[0])
    return 0


def inventory(folder):
    """Everything below a folder: inode number to allocated bytes; a file with several links counts once."""
    found = {}
    waiting = [folder]
    while waiting:
        try:
            entries = list(os.scandir(waiting.pop()))
        except FileNotFoundError:
            continue
        for entry in entries:
            status = entry.stat(follow_symlinks=False)
            found[status.st_ino] = status.st_blocks * 512
            if entry.is_dir(follow_symlinks=False):
                waiting.append(entry.path)
    return found


@dataclass
class Measured:
    """What one command cost."""

    wall_s: float
    client_cpu_s: float
    server_cpu_s: float
    peak_rss_mb: float  # of the largest process
    wire_bytes: int | None  # both directions; None without a network namespace of its own
    stored_bytes: int  # allocated on disk
    inodes_created: int  # files and folders; further hard links are none

    def __add__(self, other):
        """Two commands one after the other."""
        wire = None if self.wire_bytes is None else self.wire_bytes + other.wire_bytes
        return Measured(
            self.wall_s + other.wall_s,
            self.client_cpu_s + other.client_cpu_s,
            self.server_cpu_s + other.server_cpu_s,
            max(self.peak_rss_mb, other.peak_rss_mb),
            wire,
            self.stored_bytes + other.stored_bytes,
            self.inodes_created + other.inodes_created,
        )


class RunFailed(Exception):
    """A measured command ended with another exit code than 0, or its outcome was not what it must be."""


def run(argv, *, door, keeps, log, env, cwd=None, limit_s=7200):
    """Runs `argv` against the open `door` and measures it; `keeps` is the folder in which it stores.

    Stdout goes to `log`.out and stderr to `log`.err. It is killed after `limit_s` seconds.
    """
    before = inventory(keeps)
    group = Cgroup("ghevault-bench-client")
    out, err = Path(f"{log}.out"), Path(f"{log}.err")
    with open(out, "wb") as stdout, open(err, "wb") as stderr:
        server, wire, begin = door.cpu_seconds(), loopback_bytes(), time.monotonic()
        # pylint: disable-next=subprocess-popen-preexec-fn,consider-using-with
        child = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=stdout, stderr=stderr, env=env, cwd=cwd,
                                 start_new_session=True, preexec_fn=group.join)
        alarm = threading.Timer(limit_s, os.killpg, (child.pid, signal.SIGKILL))
        alarm.start()
        _, status, usage = os.wait4(child.pid, 0)
        wall = time.monotonic() - begin
        alarm.cancel()
        child.returncode = os.waitstatus_to_exitcode(status)
    # What both sides still have to end belongs to this run.
    time.sleep(0.3)
    client = group.seconds() if group.usable else usage.ru_utime + usage.ru_stime
    group.remove()
    server, wire = door.cpu_seconds() - server, loopback_bytes() - wire
    if child.returncode != 0:
        words = " ".join(map(str, argv))
        raise RunFailed(f"`{words}` ended with {child.returncode}:\n{err.read_text(errors='replace')[-3000:]}"
                        f"{out.read_text(errors='replace')[-1000:]}")
    after = inventory(keeps)
    return Measured(
        wall_s=round(wall, 3),
        client_cpu_s=round(client, 3),
        server_cpu_s=round(server, 3),
        peak_rss_mb=round(usage.ru_maxrss / 1024, 1),
        wire_bytes=wire if door.alone else None,
        stored_bytes=sum(after.values()) - sum(before.values()),
        inodes_created=len(after.keys() - before.keys()),
    )


def own_rss_mb():
    """Peak memory of this process: a forked child starts with it, so `peak_rss_mb` never reads less."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
