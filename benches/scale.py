#!/usr/bin/env python3
"""What ghevault costs as an appliance grows: initial, no change and 1 % pushed, at 1 k, 10 k, 100 k (and 1 M) files.

    [SCALE_MAX=1000000] benches/scale.py [--results DIR] [--work DIR]

Writes scale.csv, scale.json (circumstances) and scale.svg (plot) to the results folder. The appliance is the simulator's
behind a real sshd; its repositories come from trees.py. Ends with 1 when a run fails or is not complete, never because of
a time. Needs root; a million files need about 9 GB and some minutes to make.
"""

import argparse
import csv
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

sys.dont_write_bytecode = True
# pylint: disable=wrong-import-position
import appliance
import chart
import contenders
import measure
import verdict

HERE = Path(__file__).resolve().parent
SIZES = (1_000, 10_000, 100_000, 1_000_000)
RUNS = ("initial", "no change", "1 % pushed", "no change after it")
COLUMNS = ("files", "entries", "repositories", "pushed", "run", "wall_s", "client_cpu_s", "server_cpu_s", "peak_rss_mb",
           "stored_bytes", "inodes_created", "wire_bytes", "bytes_read", "gate_held_s")


def trees(*words):
    """Runs the tree generator as its own process, so that this one stays small."""
    done = subprocess.run([sys.executable, "-B", str(HERE / "trees.py"), *map(str, words)], check=True,
                          stdout=subprocess.PIPE)
    return done.stdout.decode().strip()


def count(folder):
    """Files, and all entries, below a folder."""
    files = entries = 0
    for _, folders, names in os.walk(folder):
        files += len(names)
        entries += len(names) + len(folders)
    return files, entries


def at_size(files, work, ghevault, sim):
    """The four runs at one size; yields rows."""
    folder = work / f"appliance-{files}"
    subprocess.run([sim, "create", folder, "--scale", "s", "--seed", "1", "--stored-databases"], check=True,
                   stdout=subprocess.DEVNULL)
    trees("grow", folder, files)
    found, entries = count(folder / "disk/data/user")
    repositories = len(json.loads((folder / "state.json").read_text())["networks"])
    product = contenders.Ghevault(ghevault, work / f"size-{files}")
    with appliance.Door(str(sim), str(folder)) as door:
        product.prepare(door)
        for run in RUNS:
            pushed = int(trees("push", folder, 0.01)) if run == "1 % pushed" else 0
            (_, cost), = product.back_up(door, run.replace(" ", "-"))
            row = {"files": found, "entries": entries, "repositories": repositories, "pushed": pushed, "run": run,
                   **vars(cost), "bytes_read": product.report["bytes_read"],
                   "gate_held_s": round(product.report["gate_held_seconds"], 2)}
            print(" ".join(f"{row[column]!s:>{max(len(column), 9)}}" for column in COLUMNS), flush=True)
            yield row


def report(result, rows, target):
    """Writes the three files and prints the verdict."""
    result["load_1m_end"] = os.getloadavg()[0]
    target.mkdir(parents=True, exist_ok=True)
    with open(target / "scale.csv", "w", encoding="utf-8", newline="") as file:
        table = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        table.writeheader()
        table.writerows(rows)
    (target / "scale.json").write_text(json.dumps(result, indent=1) + "\n")
    chart.draw(target / "scale.csv", target / "scale.svg")
    verdict.print_verdict(verdict.of_scale(rows))
    print(f"\nwritten: {target}/scale.csv, scale.json, scale.svg")


def main():
    """See above."""
    words = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    words.add_argument("--results", type=Path, default=HERE / "results")
    words.add_argument("--work", type=Path, help="where trees and vaults are made; a temporary folder without it")
    options = words.parse_args()
    largest = int(os.environ.get("SCALE_MAX") or 100_000)
    ghevault, sim = appliance.programs()
    appliance.enter_private_network()
    result = appliance.circumstances(ghevault, sim) | {"scale_max": largest}
    print(json.dumps(result, indent=1))
    print(" ".join(f"{column:>{max(len(column), 9)}}" for column in COLUMNS))
    rows = []
    with tempfile.TemporaryDirectory(prefix="ghevault-scale.", dir=options.work) as scratch:
        Path(scratch).chmod(0o755)
        try:
            for files in (size for size in SIZES if size <= largest):
                rows += at_size(files, Path(scratch), ghevault, sim)
        except measure.RunFailed as failure:
            sys.exit(f"FAILED: {failure}")
        report(result, rows, options.results)


if __name__ == "__main__":
    main()
