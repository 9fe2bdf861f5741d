#!/usr/bin/env python3
"""What the proof costs beside a backup without changes: seal, ref digests, findings; and a drill that looks at everything.

    benches/proof_cost.py [--scale s|m] [--rounds N] [--results DIR] [--work DIR]

After a first backup come rounds of a backup without changes. Findings are the last part of a backup and can be asked for
alone: what the vault noted of the newest snapshot is taken out, and `ghevault findings` compares it again; what `findings --known`
costs, which only opens the vault and reads notes, is taken off. Ref digests and the seal (tally, manifest, signature) lie within
the backup: it says in its log how long they took. Shares are of what a backup would take without the three, by the clock and by
the processor time of both sides. `publish` is told beside: what `ghevault witness publish` does for a board that has all snapshots
but the newest, which backups do only when boards are configured. At the end one `ghevault drill --depth full`. Writes
proof_cost.json. Ends with 1 when a run fails, never because of a time. Needs root.
"""

import argparse
import json
import os
import statistics
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

HERE = Path(__file__).resolve().parent


def asked(product, door, label, *words):
    """Runs the product with these words."""
    return measure.run([product.program, *words, "--json", "--quiet"], door=door, keeps=product.vault,
                       log=product.work / label, env=product.env)


def files(folder):
    """All files below a folder, which need not be there."""
    return {path for path in folder.rglob("*") if path.is_file()}


def one_round(product, door, number):
    """A backup without changes, and its comparison once more."""
    notes = product.vault / "ghevault/findings"
    before = files(notes)
    [(_, backup)] = product.back_up(door, f"same-{number}")
    fresh = files(notes) - before
    if not fresh:
        raise measure.RunFailed(f"the backup noted no findings")
    for path in fresh:
        path.unlink()
    findings = asked(product, door, f"findings-{number}", "findings")
    known = asked(product, door, f"known-{number}", "findings", "--known")
    publish = asked(product, door, f"publish-{number}", "witness", "publish", "--board", product.work / "board")
    log = product.work / f"same-{number}.err"
    seal, digests = said_in(log, "sealed"), said_in(log, "ref digests kept")
    if not any(path.exists() for path in fresh):
        raise measure.RunFailed("nothing was compared again")
    shares = {}
    for name, of in (("cpu", lambda run: run.client_cpu_s + run.server_cpu_s), ("wall", lambda run: run.wall_s)):
        added = seal + digests + max(of(findings) - of(known), 0)
        shares[f"share_of_{name}"] = round(added / (of(backup) - added), 4)
    return {"backup": asdict(backup), "findings": asdict(findings), "publish": asdict(publish), "known": asdict(known),
            "seal_s": seal, "digests_s": digests} | shares


def said_in(log, what):
    """Seconds that a part took, as the backup's log says it."""
    for line in log.read_text().splitlines():
        fields = json.loads(line).get("fields", {}) if line.startswith("{") else {}
        if fields.get("message") == what:
            return fields["seconds"]
    raise measure.RunFailed(f"the backup's log does not say `{what}`")


def main():
    """See above."""
    words = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    words.add_argument("--scale", choices=("s", "m"), default="m")
    words.add_argument("--rounds", type=int, default=5)
    words.add_argument("--results", type=Path, default=HERE / "results")
    words.add_argument("--work", type=Path, help="where trees and vaults are made; a temporary folder without it")
    options = words.parse_args()
    contenders.required("git")
    ghevault, sim = appliance.programs()
    appliance.enter_private_network()
    result = appliance.circumstances(ghevault, sim) | {"scale": options.scale, "build": ghevault.parent.name}
    with tempfile.TemporaryDirectory(prefix="ghevault-proof.", dir=options.work) as scratch:
        work = Path(scratch)
        work.chmod(0o755)
        folder = work / "appliance"
        try:
            subprocess.run([sim, "create", folder, "--scale", options.scale, "--seed", "1", "--stored-databases"], check=True,
                           stdout=subprocess.DEVNULL)
            product = contenders.Ghevault(ghevault, work)
            with appliance.Door(str(sim), str(folder)) as door:
                product.prepare(door)
                product.env |= {"RUST_LOG": "error,ghevault_core::backup=debug", "GHEVAULT_LOG_FORMAT": "json"}
                (product.work / "board").mkdir()
                product.back_up(door, "initial")
                asked(product, door, "publish", "witness", "publish", "--board", product.work / "board")
                rounds = []
                for number in range(options.rounds):
                    rounds.append(one_round(product, door, number))
                    last = rounds[-1]
                    print(f"backup {last['backup']['wall_s']} s; seal {last['seal_s']:.4f} s, digests {last['digests_s']:.4f} s, findings "
                          f"{last['findings']['wall_s'] - last['known']['wall_s']:.3f} s: {last['share_of_wall']:.1%} of the wall, "
                          f"{last['share_of_cpu']:.1%} of the processor time", flush=True)
                drill = asked(product, door, "drill", "drill", "--depth", "full")
                print(f"drill {drill.wall_s} s, {drill.client_cpu_s} s CPU")
        except measure.RunFailed as failure:
            sys.exit(f"FAILED: {failure}")
    result |= {"rounds": rounds, "median_share_of_cpu": statistics.median(row["share_of_cpu"] for row in rounds),
               "median_share_of_wall": statistics.median(row["share_of_wall"] for row in rounds),
               "drill": asdict(drill), "load_1m_end": os.getloadavg()[0]}
    options.results.mkdir(parents=True, exist_ok=True)
    (options.results / "proof_cost.json").write_text(json.dumps(result, indent=1) + "\n")
    print(f"written: {options.results}/proof_cost.json, median share {result['median_share_of_wall']:.2%} of the wall, "
          f"{result['median_share_of_cpu']:.2%} of the processor time")


if __name__ == "__main__":
    main()
