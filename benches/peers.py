#!/usr/bin/env python3
"""ghevault and its peers back up the same simulated appliance through a real sshd, in turn, in the same run.

    benches/peers.py [--scale s|demo|m] [--seed N] [--results FILE.json] [--keep DIR]

Four rounds: initial, no change, 1 % of the repositories pushed to, no change. Peers: rsync with --link-dest in four
passes, restic on a mirror, and backup-utils where BACKUP_UTILS names a checkout. Prints a table, ratios and a verdict;
writes all as JSON. Ends with 1 when a run fails, an outcome is not complete, or a copy lacks a file; never because
of a time. Needs root; see README.md.
"""

import argparse
import json
import os
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
import verdict

ROUNDS = ("initial", "no change", "1 % pushed", "no change after it")
HERE = Path(__file__).resolve().parent


def look_at(door):
    """What there is to back up; reading it all puts every contender before a warm cache."""
    files = folders = size = 0
    for parent, below, names in os.walk(door.folder / "disk/data/user"):
        folders += len(below)
        for name in names:
            path = os.path.join(parent, name)
            if not os.path.islink(path):
                files += 1
                with open(path, "rb") as file:
                    while block := file.read(1 << 20):
                        size += len(block)
    state = json.loads((door.folder / "state.json").read_text())
    networks = state["networks"].values()
    repositories = sum(len(network["members"]) + len(network["wikis"]) for network in networks) + len(state["gists"])
    return {"files": files, "folders": folders, "bytes": size, "repositories": repositories}


def megabytes(count):
    """For the table."""
    return "-" if count is None else f"{count / 1e6:.2f}"


def print_row(row):
    """One line of the table."""
    print(f"{row['round']:<19} {row['who']:<22} {row['wall_s']:>8.2f} {row['client_cpu_s']:>8.2f} "
          f"{row['server_cpu_s']:>8.2f} {row['peak_rss_mb']:>8.0f} {megabytes(row['stored_bytes']):>10} "
          f"{row['inodes_created']:>8} {megabytes(row['wire_bytes']):>9}", flush=True)


def measured(door, sides):
    """Rounds and contenders, one after the other; who begins changes from round to round."""
    rows = []
    print(f"{'run':<19} {'who':<22} {'wall s':>8} {'client s':>8} {'server s':>8} {'RSS MB':>8} {'stored MB':>10} "
          f"{'inodes':>8} {'wire MB':>9}")
    for side in sides:
        side.prepare(door)
    for number, name in enumerate(ROUNDS):
        if name == "1 % pushed":
            subprocess.run([sys.executable, "-B", str(HERE / "trees.py"), "push", str(door.folder), "0.01"], check=True,
                           stdout=subprocess.DEVNULL)
        turn = number % len(sides)
        for side in sides[turn:] + sides[:turn]:
            for who, cost in side.back_up(door, f"round{number}"):
                rows.append({"round": name, "who": who.strip(), "part": who.startswith(" "), **asdict(cost)})
                print_row(rows[-1])
    return rows


def report(result, target):
    """Prints what the rows say, and writes all of it to the file `target`."""
    result["load_1m_end"] = os.getloadavg()[0]
    result["ratios"] = verdict.ratios(result["rows"])
    result["floor_rss_mb"] = round(measure.own_rss_mb())
    verdict.print_ratios(result["ratios"])
    verdict.print_verdict(verdict.of_peers(result))
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(json.dumps(result, indent=1) + "\n")
    print(f"\nwritten: {target}")


def main():
    """See above."""
    words = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    words.add_argument("--scale", default="s", help="scale of the simulated appliance")
    words.add_argument("--seed", default="311")
    words.add_argument("--results", type=Path, default=HERE.parent / "target/bench/peers.json")
    words.add_argument("--keep", type=Path, help="an empty or missing folder to work in, which stays")
    options = words.parse_args()
    ghevault, sim = appliance.programs()
    appliance.enter_private_network()
    with tempfile.TemporaryDirectory(prefix="ghevault-peers.") as scratch:
        work = options.keep.resolve() if options.keep else Path(scratch)
        work.mkdir(parents=True, exist_ok=True)
        work.chmod(0o755)
        sides = [contenders.Ghevault(ghevault, work), contenders.LinkDest(work), contenders.Restic(work)]
        if os.environ.get("BACKUP_UTILS"):
            sides.append(contenders.BackupUtils(os.environ["BACKUP_UTILS"], work))
        folder = work / "appliance"
        subprocess.run([sim, "create", folder, "--scale", options.scale, "--seed", options.seed], check=True,
                       stdout=subprocess.DEVNULL)
        result = appliance.circumstances(ghevault, sim)
        with appliance.Door(str(sim), str(folder)) as door:
            result["appliance"] = {"scale": options.scale, "seed": options.seed, **look_at(door)}
            print(json.dumps(result, indent=1))
            try:
                result["rows"] = measured(door, sides)
            except measure.RunFailed as failure:
                sys.exit(f"FAILED: {failure}")
        report(result, options.results)


if __name__ == "__main__":
    main()
