#!/usr/bin/env python3
"""What it takes to give one repository back out of a vault that holds thousands.

    [REPOSITORIES=3000] benches/one_repository.py [--results DIR] [--work DIR]

The appliance is the simulator's behind a real sshd: its own repositories, made by git, among many from trees.py. After one
backup, repositories of both kinds are restored by name to folders, each by its own process, and beside each stock restic
restores the same paths out of the same vault. Every result is checked by git. Writes one_repository.json. Ends with 1 when
a run fails or a repository is not whole, never because of a time. Needs root.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

sys.dont_write_bytecode = True
# pylint: disable=wrong-import-position
import appliance
import contenders
import measure

HERE = Path(__file__).resolve().parent
FILES_EACH = 60
COLUMNS = ("repository", "bytes", "bytes_read", "index_bytes", "ratio", "wall_s", "cpu_s", "restic_wall_s", "restic_cpu_s")


def names(folder, count):
    """Some repositories of the appliance by name: `count` of each kind, with their paths below `repositories`."""
    root = folder / "disk/data/user/repositories"
    found = {"bench": [], "git": [], "large": []}
    for file in sorted(root.glob("?/nw/*/*/*/*/*.git/info/nwo")):
        name = file.read_text().strip()
        repository = file.parent.parent
        if repository.name.endswith(".wiki.git") or repository.name == "network.git":
            continue
        kind = "bench" if name.startswith("bench/") else "git"
        if any(pack.stat().st_size > 1_000_000 for pack in repository.parent.glob("*.git/objects/pack/*.pack")):
            kind = "large"
        found[kind].append((name, repository.relative_to(root).parent))
    spread = lambda rows: rows[:: max(1, len(rows) // count)][:count]  # noqa: E731
    return found["large"][:1] + spread(found["git"]) + spread(found["bench"])


def whole(repository):
    """Whether git finds everything that the references need."""
    checked = subprocess.run(["git", "-c", "safe.directory=*", "-C", repository, "fsck", "--connectivity-only"],
                             stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    if checked.returncode != 0:
        raise measure.RunFailed(f"{repository}: {checked.stdout.decode(errors='replace')}")


def one(product, door, name, network, out):
    """Restores one repository with both programs; returns a row."""
    log = out / "log"
    cost = measure.run([product.program, "restore", "repo", name, "--to", out / "ours", "--json", "--quiet"], door=door,
                       keeps=out, log=log, env=product.env)
    report = json.loads(Path(f"{log}.out").read_text().strip().splitlines()[-1])
    for repository in (out / "ours").glob("*.git"):
        whole(repository)
    env = product.env | {"RESTIC_PASSWORD_FILE": str(product.work / "password"), "RESTIC_REPOSITORY": str(product.vault)}
    peer = measure.run(["restic", "--no-cache", "--quiet", "restore", "latest", "--include", f"/repositories/{network}",
                        "--target", out / "theirs"], door=door, keeps=out, log=out / "restic", env=env)
    size = sum(file.stat().st_size for file in (out / "ours").rglob("*") if file.is_file())
    read = report["bytes_read"]
    return {"repository": name, "bytes": size, "bytes_read": read, "index_bytes": report["index_bytes"],
            "ratio": round((read - report["index_bytes"]) / size, 2), "wall_s": cost.wall_s, "cpu_s": cost.client_cpu_s,
            "restic_wall_s": peer.wall_s, "restic_cpu_s": peer.client_cpu_s}


def main():
    """See above."""
    words = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    words.add_argument("--results", type=Path, default=HERE / "results")
    words.add_argument("--work", type=Path, help="where trees and vaults are made; a temporary folder without it")
    options = words.parse_args()
    contenders.required("restic", "git")
    wanted = int(os.environ.get("REPOSITORIES") or 3000)
    ghevault, sim = appliance.programs()
    appliance.enter_private_network()
    result = appliance.circumstances(ghevault, sim)
    with tempfile.TemporaryDirectory(prefix="ghevault-one.", dir=options.work) as scratch:
        work = Path(scratch)
        work.chmod(0o755)
        folder = work / "appliance"
        try:
            subprocess.run([sim, "create", folder, "--scale", "s", "--seed", "1", "--stored-databases",
                            "--big-pack-bytes", "30000000"], check=True, stdout=subprocess.DEVNULL)
            subprocess.run([sys.executable, "-B", HERE / "trees.py", "grow", folder, str(wanted * FILES_EACH)], check=True,
                           stdout=subprocess.DEVNULL)
            repositories = sum(1 for _ in (folder / "disk/data/user/repositories").glob("?/nw/*/*/*/*/*.git"))
            product = contenders.Ghevault(ghevault, work)
            with appliance.Door(str(sim), str(folder)) as door:
                product.prepare(door)
                product.back_up(door, "initial")
                packs = sum(file.stat().st_size for file in (product.vault / "data").rglob("*") if file.is_file())
                print(f"{repositories} repositories, vault of {packs} bytes")
                rows = []
                for number, (name, network) in enumerate(names(folder, 4)):
                    out = work / f"out-{number}"
                    out.mkdir()
                    rows.append(one(product, door, name, network, out))
                    print(" ".join(f"{column} {rows[-1][column]}" for column in COLUMNS), flush=True)
        except measure.RunFailed as failure:
            sys.exit(f"FAILED: {failure}")
    result |= {"repositories": repositories, "vault_bytes": packs, "rows": rows, "load_1m_end": os.getloadavg()[0]}
    options.results.mkdir(parents=True, exist_ok=True)
    (options.results / "one_repository.json").write_text(json.dumps(result, indent=1) + "\n")
    print(f"written: {options.results}/one_repository.json")


if __name__ == "__main__":
    main()
