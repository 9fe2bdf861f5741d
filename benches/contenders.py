"""Those who back up the appliance in turn: ghevault, rsync with --link-dest, restic on a mirror, and backup-utils.

Each one has `prepare` (once, not measured) and `back_up`, which returns its rows: pairs of name and measurement.
"""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import measure
from measure import RunFailed

HERE = Path(__file__).resolve().parent
TREES = ("repositories", "pages", "storage", "git-hooks", "elasticsearch")
# Caches and what is no data: nobody copies these.
NOT_COPIED = ("__nodeload_archives__", "__gitmon__", "__render__", "lost+found")


def environment(**more):
    """A small environment, so that settings of whoever runs the bench do not matter."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "RUST_LOG") if name in os.environ}
    kept["PATH"] = kept.get("PATH", "") + ":/usr/sbin:/sbin"
    return kept | {"TZ": "UTC", "TERM": "dumb"} | {name: str(value) for name, value in more.items()}


def required(*names):
    """Ends the bench where a program is missing: a peer that cannot run is no result."""
    missing = [name for name in names if shutil.which(name, path=os.environ.get("PATH", "") + ":/usr/sbin") is None]
    if missing:
        sys.exit(f"missing programs: {', '.join(missing)}")


class Ghevault:
    """The product, by its command line and its built-in SSH."""

    name = "ghevault"

    def __init__(self, program, work):
        self.program, self.work = str(program), work / self.name
        self.vault = self.work / "vault"

    def prepare(self, door):
        """Pins the host key and makes the vault."""
        self.vault.mkdir(parents=True)
        password = self.work / "password"
        password.touch(mode=0o600)
        password.write_text("bench\n")
        self.env = environment(GHEVAULT_HOST=f"admin@{door.host}:{door.port}", GHEVAULT_VAULT=self.vault,
                               GHEVAULT_STATE=self.work / "state", GHEVAULT_PASSWORD=f"file:{password}",
                               GHEVAULT_SSH_KEY=f"file:{door.client_key}", GHE_BACKUP_CONFIG="none",
                               HOME=self.work)
        for words in (["trust", "--accept", door.host_key], ["init"]):
            done = subprocess.run([self.program, *words], env=self.env, stdout=subprocess.PIPE,
                                  stderr=subprocess.STDOUT, check=False)
            if done.returncode != 0:
                raise RunFailed(f"ghevault {words[0]}: {done.stdout.decode(errors='replace')}")

    def back_up(self, door, label):
        """One snapshot; it must be complete."""
        log = self.work / label
        cost = measure.run([self.program, "backup", "--json", "--quiet"], door=door, keeps=self.vault, log=log,
                           env=self.env)
        self.report = json.loads(Path(f"{log}.out").read_text().strip().splitlines()[-1])
        if self.report.get("outcome") != "complete":
            raise RunFailed(f"ghevault's snapshot is {self.report.get('outcome')}: {self.report.get('warnings')}")
        return [(self.name, cost)]


def wanted_files(folder, trees):
    """Names of the files that a copy of the appliance's trees must have."""
    found = set()
    for tree in trees:
        for parent, folders, files in os.walk(folder / tree):
            place = os.path.relpath(parent, folder)
            folders[:] = [name for name in folders if name not in NOT_COPIED]
            found.update(f"{place}/{name}" for name in files if not name.startswith(("tmp_", ".sync_in_progress")))
    return found


def must_have_all(name, door, copy, trees=TREES):
    """Refuses a peer's copy that lacks a file: its figures would flatter it."""
    lacking = wanted_files(door.folder / "disk/data/user", trees) - wanted_files(copy, trees)
    if lacking:
        raise RunFailed(f"{name} left out {len(lacking)} files, such as {sorted(lacking)[:3]}")


class LinkDest:
    """Four passes of rsync with --link-dest; files only, no databases."""

    name = "rsync --link-dest"

    def __init__(self, work):
        required("rsync", "ssh")
        self.work, self.last = work / "linkdest", None

    def prepare(self, _door):
        """Makes its folder."""
        (self.work / "copies").mkdir(parents=True)

    def back_up(self, door, label):
        """One more copy beside the last."""
        copy = self.work / "copies" / label
        env = environment(RSYNC_RSH=" ".join(door.ssh()), APPLIANCE=door.host)
        words = ["bash", str(HERE / "linkdest.sh"), str(copy), *([str(self.last)] if self.last else [])]
        cost = measure.run(words, door=door, keeps=self.work / "copies", log=self.work / label, env=env)
        must_have_all(self.name, door, copy)
        self.last = copy
        return [(self.name, cost)]


class Restic:
    """Stock restic on a local mirror, which one plain rsync keeps up to date; files only, no databases."""

    name = "rsync mirror + restic"

    def __init__(self, work):
        required("rsync", "ssh", "restic")
        self.work = work / "restic"
        self.mirror, self.repository = self.work / "mirror", self.work / "repository"

    def prepare(self, _door):
        """Makes the mirror's folder and the repository."""
        self.mirror.mkdir(parents=True)
        self.env = environment(RESTIC_REPOSITORY=self.repository, RESTIC_PASSWORD="bench",
                               RESTIC_CACHE_DIR=self.work / "cache")
        subprocess.run(["restic", "--quiet", "init"], env=self.env, check=True)

    def back_up(self, door, label):
        """The mirror, then the snapshot; both rows and their sum."""
        copied = [f"{door.host}:/data/user/{TREES[0]}", *(f":/data/user/{tree}" for tree in TREES[1:])]
        words = ["rsync", "-aH", "--delete", "--rsync-path=sudo rsync", "-e", " ".join(door.ssh()),
                 "--exclude=.sync_in_progress", *(f"--exclude={name}/" for name in NOT_COPIED),
                 *copied, str(self.mirror)]
        mirror = measure.run(words, door=door, keeps=self.mirror, log=self.work / f"{label}.mirror", env=self.env)
        must_have_all(self.name, door, self.mirror)
        snapshot = measure.run(["restic", "--quiet", "backup", "."], door=door, keeps=self.repository,
                               log=self.work / label, env=self.env, cwd=self.mirror)
        return [("  the mirror alone", mirror), ("  restic alone", snapshot), (self.name, mirror + snapshot)]


class BackupUtils:
    """An unmodified checkout of GitHub's backup-utils, named by BACKUP_UTILS."""

    name = "backup-utils"

    def __init__(self, checkout, work):
        self.program = Path(checkout, "bin/ghe-backup").resolve()
        if not self.program.exists():
            sys.exit(f"BACKUP_UTILS names no checkout of backup-utils: there is no `{self.program}`")
        required("rsync", "ssh", "jq", "gawk", "bc", "pigz", "sponge")
        self.work = work / "backup-utils"

    def prepare(self, door):
        """Writes its configuration; its progress folder, a fixed path, is made private to this run."""
        for folder in ("data", "tmp"):
            (self.work / folder).mkdir(parents=True)
        config = self.work / "backup.config"
        config.write_text(
            f'GHE_HOSTNAME="{door.host}"\nGHE_DATA_DIR="{self.work / "data"}"\nGHE_NUM_SNAPSHOTS=100\n'
            f'GHE_EXTRA_SSH_OPTS="-i {door.client_key} -o Port={door.port} -o UserKnownHostsFile={door.known_hosts}'
            ' -o IdentitiesOnly=yes"\n')
        self.env = environment(GHE_BACKUP_CONFIG=config, TMPDIR=self.work / "tmp")
        if door.alone:
            progress = Path("/tmp/backup-utils-progress")
            progress.mkdir(exist_ok=True)
            subprocess.run(["mount", "-t", "tmpfs", "tmpfs", str(progress)], check=True)

    def back_up(self, door, label):
        """One more snapshot; all of them are kept."""
        cost = measure.run([str(self.program)], door=door, keeps=self.work / "data", log=self.work / label,
                           env=self.env)
        # Git hooks are kept in part, and search indices in another form: those two are not compared.
        must_have_all(self.name, door, self.work / "data/current", TREES[:3])
        return [(self.name, cost)]
