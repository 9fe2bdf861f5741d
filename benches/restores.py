#!/usr/bin/env python3
"""ghevault and backup-utils restore the same snapshot to configured simulated appliances through a real sshd, in turn.

    BACKUP_UTILS=/path/to/checkout benches/restores.py [--scale s|demo|m] [--seed N] [--results FILE.json]

Three rounds: onto an empty appliance, onto the restored one (nothing differs), and after 1 % of the repositories were
changed there. Each contender has a target of its own; both targets are compared with the source after each round.
Ends with 1 when a run fails or a target differs; never because of a time. Needs root; see README.md.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path

sys.dont_write_bytecode = True
# pylint: disable=wrong-import-position
import appliance
import contenders
import measure
import peers

ROUNDS = ("empty", "nothing differs", "1 % differs")
HERE = Path(__file__).resolve().parent


class Ghevault:
    """Restores out of its vault by its built-in SSH."""

    name = "ghevault"

    def __init__(self, side):
        self.program, self.env = side.program, dict(side.env)

    def restore(self, door, log):
        """The newest complete snapshot; everything must be given back."""
        host = f"admin@{door.host}:{door.port}"
        self.env["GHEVAULT_SSH_KEY"] = f"file:{door.client_key}"
        subprocess.run([self.program, "--host", host, "trust", "--accept", door.host_key], env=self.env, check=True,
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        words = [self.program, "restore", "latest", "--to", f"host:{host}", "--confirm", host, "--settings", "--json",
                 "--quiet"]
        return measure.run(words, door=door, keeps=door.folder / "disk", log=log, env=self.env)


class BackupUtils:
    """Unmodified `ghe-restore` out of an export of the same snapshot."""

    name = "ghe-restore"

    def __init__(self, checkout, work, data):
        self.program = Path(checkout, "bin/ghe-restore").resolve()
        if not self.program.exists():
            sys.exit(f"BACKUP_UTILS names no checkout of backup-utils: there is no `{self.program}`")
        contenders.required("rsync", "ssh", "jq", "gawk", "bc", "pigz", "sponge")
        self.work, self.data = work / "ghe-restore", data
        (self.work / "tmp").mkdir(parents=True)

    def restore(self, door, log):
        """The snapshot that `current` names."""
        config = self.work / "backup.config"
        config.write_text(
            f'GHE_HOSTNAME="{door.host}"\nGHE_DATA_DIR="{self.data}"\n'
            f'GHE_EXTRA_SSH_OPTS="-i {door.client_key} -o Port={door.port} -o UserKnownHostsFile={door.known_hosts}'
            ' -o IdentitiesOnly=yes"\n')
        env = contenders.environment(GHE_BACKUP_CONFIG=config, TMPDIR=self.work / "tmp")
        return measure.run([str(self.program), "-f", "-c", door.host], door=door, keeps=door.folder / "disk", log=log,
                           env=env)


def captured(ghevault, sim, source, work):
    """Backs the source up into a vault, and exports the snapshot for backup-utils."""
    side = contenders.Ghevault(ghevault, work)
    with appliance.Door(sim, source) as door:
        side.prepare(door)
        side.back_up(door, "backup")
    data = work / "data"
    subprocess.run([side.program, "export", "latest", str(data), "--quiet"], env=side.env, check=True,
                   stdout=subprocess.DEVNULL)
    return side, data


def restored(sim, source, target, side, log):
    """One measured restore; the target must then equal the source."""
    with appliance.Door(sim, target) as door:
        subprocess.run([*door.ssh(), door.host, "ghe-maintenance", "-s"], check=True, stdout=subprocess.DEVNULL)
        cost = side.restore(door, log)
    # backup-utils 3.11 does not give deleted repositories back.
    done = subprocess.run([sim, "compare", str(source), str(target), "--skip", "special"], stdout=subprocess.PIPE,
                          check=False)
    if done.returncode != 0:
        raise measure.RunFailed(f"{side.name} left a target that differs:\n{done.stdout.decode()}")
    return cost


def main():
    """See above."""
    words = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    words.add_argument("--scale", default="s", help="scale of the simulated appliance")
    words.add_argument("--seed", default="311")
    words.add_argument("--results", type=Path, default=HERE.parent / "target/bench/restores.json")
    options = words.parse_args()
    if not os.environ.get("BACKUP_UTILS"):
        sys.exit("name a checkout of backup-utils in BACKUP_UTILS")
    ghevault, sim = map(str, appliance.programs())
    appliance.enter_private_network()
    with tempfile.TemporaryDirectory(prefix="ghevault-restores.") as scratch:
        work = Path(scratch)
        work.chmod(0o755)
        source = work / "source"
        subprocess.run([sim, "create", source, "--scale", options.scale, "--seed", options.seed], check=True,
                       stdout=subprocess.DEVNULL)
        result = appliance.circumstances(Path(ghevault), Path(sim))
        print(json.dumps(result, indent=1))
        progress = Path("/tmp/backup-utils-progress")
        progress.mkdir(exist_ok=True)
        subprocess.run(["mount", "-t", "tmpfs", "tmpfs", str(progress)], check=True)
        vault, data = captured(ghevault, sim, source, work)
        sides = [Ghevault(vault), BackupUtils(os.environ["BACKUP_UTILS"], work, data)]
        for side in sides:
            target = work / side.name / "target"
            target.parent.mkdir(exist_ok=True)
            subprocess.run([sim, "create", target, "--seed", "312", "--scale", "s", "--empty"], check=True,
                           stdout=subprocess.DEVNULL)
            shutil.copy(source / "keys/authorized_keys", target / "keys/authorized_keys")
            for half in ("client", "client.pub"):
                shutil.copy(source / "keys" / half, target / "keys" / half)
        rows = result["rows"] = []
        print(f"{'run':<19} {'who':<22} {'wall s':>8} {'client s':>8} {'server s':>8} {'RSS MB':>8} {'stored MB':>10} "
              f"{'inodes':>8} {'wire MB':>9}")
        try:
            for number, name in enumerate(ROUNDS):
                for side in sides if number % 2 == 0 else sides[::-1]:
                    target = work / side.name / "target"
                    if name == "1 % differs":
                        subprocess.run([sys.executable, "-B", str(HERE / "trees.py"), "push", str(target), "0.01"],
                                       check=True, stdout=subprocess.DEVNULL)
                    cost = restored(sim, source, target, side, work / f"{side.name}.{number}")
                    rows.append({"round": name, "who": side.name, **asdict(cost)})
                    peers.print_row(rows[-1])
        except measure.RunFailed as failure:
            sys.exit(f"FAILED: {failure}")
    result["load_1m_end"] = os.getloadavg()[0]
    options.results.parent.mkdir(parents=True, exist_ok=True)
    options.results.write_text(json.dumps(result, indent=1) + "\n")
    for name in ROUNDS:
        ours, theirs = (next(row for row in rows if row["round"] == name and row["who"] == side.name) for side in sides)
        ratios = ", ".join(f"{key} {ours[key] / theirs[key]:.2f}" for key in ("wall_s", "client_cpu_s", "server_cpu_s")
                           if theirs[key])
        print(f"{name}: ghevault / ghe-restore: {ratios}")
    print(f"\nwritten: {options.results}")


if __name__ == "__main__":
    main()
