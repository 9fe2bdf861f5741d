#!/usr/bin/env python3
"""Compares figures with what the project wants to reach: for information, it never fails because of a figure.

    benches/verdict.py PEERS.json [SCALE.csv]
"""

import csv
import json
import sys

FIGURES = ("wall_s", "client_cpu_s", "server_cpu_s", "stored_bytes", "inodes_created", "wire_bytes")
OURS = "ghevault"
# Of the peers that ran, the first of these is the one that the targets were set against; the others are easier to beat
# in words and harder in figures, since they do less.
BARS = ("backup-utils", "rsync --link-dest")
# Run, figure, and the largest share of the peer's that is wanted.
SHARES = (
    ("no change", "wall_s", 1 / 5),
    ("no change", "client_cpu_s", 1 / 8),
    ("no change", "server_cpu_s", 3 / 5),
    ("1 % pushed", "wall_s", 1 / 5),
    ("1 % pushed", "client_cpu_s", 1 / 8),
    ("initial", "wall_s", 1 / 1.5),
    ("initial", "stored_bytes", 0.75),
)
# Run, figure, and the most that is wanted of our own.
LIMITS = (("no change", "stored_bytes", 1_000_000), ("no change", "inodes_created", 12))
# The same at a million files.
MILLION = (("no change", "peak_rss_mb", 400), ("initial", "peak_rss_mb", 400), ("no change", "client_cpu_s", 30))


def ratios(rows):
    """Our figures divided by each peer's, for each run."""
    found = []
    for ours in (row for row in rows if row["who"] == OURS):
        for peer in rows:
            if peer["round"] == ours["round"] and peer["who"] != OURS and not peer["part"]:
                shares = {}
                for figure in FIGURES:
                    known = peer[figure] and ours[figure] is not None
                    shares[figure] = round(ours[figure] / peer[figure], 4) if known else None
                found.append({"round": ours["round"], "peer": peer["who"], **shares})
    return found


def of_peers(result):
    """Lines of the verdict: what, wanted, measured, whether it is reached; of several rounds the worst one."""
    rows = result["rows"]
    present = {row["who"] for row in rows}
    bar = next(name for name in BARS if name in present)

    def values(who, run, figure):
        # "No change" was run twice.
        return [row[figure] for row in rows if row["who"] == who and row["round"].startswith(run)]

    for run, figure, share in SHARES:
        pairs = list(zip(values(OURS, run, figure), values(bar, run, figure), strict=True))
        ours, theirs = max(pairs, key=lambda pair: pair[0] / (pair[1] or 1e-9))
        measured = f"{ours:g} / {theirs:g} = {ours / (theirs or 1e-9):.3f}"
        yield f"{run}: {figure} / {bar}", f"{share:.3f}", measured, ours <= share * theirs
    for run, figure, most in LIMITS:
        ours = max(values(OURS, run, figure))
        yield f"{run}: {figure}", f"{most:g}", f"{ours:g}", ours <= most


def of_scale(rows):
    """The same for the largest tree, if it has a million files."""
    for run, figure, most in MILLION:
        for row in rows:
            if int(row["files"]) >= 990_000 and row["run"] == run:
                yield f"{row['files']} files, {run}: {figure}", f"{most:g}", row[figure], float(row[figure]) <= most


def print_ratios(found):
    """A table."""
    print(f"\n{'ghevault / peer':<19} {'peer':<22} {'wall':>8} {'client':>8} {'server':>8} {'stored':>8} {'inodes':>8} "
          f"{'wire':>8}")
    for line in found:
        shares = " ".join(f"{'-' if line[figure] is None else format(line[figure], '.3f'):>8}" for figure in FIGURES)
        print(f"{line['round']:<19} {line['peer']:<22} {shares}")


def print_verdict(lines):
    """A table."""
    print(f"\n{'wanted at most':<52} {'limit':>9} {'measured':>34}")
    for what, limit, measured, reached in lines:
        print(f"{what:<52} {limit:>9} {measured:>34}  {'reached' if reached else 'NOT reached'}")


def main():
    """See above."""
    if len(sys.argv) not in (2, 3):
        sys.exit(__doc__)
    with open(sys.argv[1], encoding="utf-8") as file:
        result = json.load(file)
    print_ratios(result["ratios"])
    lines = list(of_peers(result))
    if len(sys.argv) == 3:
        with open(sys.argv[2], encoding="utf-8", newline="") as file:
            lines += of_scale(list(csv.DictReader(file)))
    print_verdict(lines)


if __name__ == "__main__":
    main()
