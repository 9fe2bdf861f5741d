#!/usr/bin/env python3
"""Throughput of backups to S3: ghevault's vault and stock restic, the same data, in turn, in the same run.

Needs `weed` and `restic` (`scripts/tools weed restic`). Starts SeaweedFS on loopback, makes a folder of files (half of the
bytes random, half text that compresses), and stores it with both into buckets of their own, who begins changing from round
to round. Each store is then read back whole. Prints a table; `--json FILE` keeps the figures. The comparison is of the two
programs on one machine with one server, not of anything against Amazon's S3.
"""

import argparse
import json
import os
import random
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SECRET = "bench-secret"


def free_port():
    """A port P such that P and P + 10000 are free."""

    def free(port):
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
                return True
            except OSError:
                return False

    return next(p for p in (random.randrange(20000, 32000) for _ in range(1000)) if free(p) and free(p + 10000))


def start_server(room):
    """SeaweedFS with one identity that may do everything."""
    identities = [{"name": "bench", "credentials": [{"accessKey": "BENCH", "secretKey": SECRET}], "actions": ["Admin"]}]
    (room / "s3.json").write_text(json.dumps({"identities": identities}))
    (room / "seaweed").mkdir()
    port = free_port()
    command = ["weed", "-logtostderr=true", "server", "-ip=127.0.0.1", "-ip.bind=127.0.0.1", f"-dir={room}/seaweed"]
    command += [f"-{part}.port={free_port()}" for part in ("master", "volume", "filer")]
    command += ["-master.volumeSizeLimitMB=1024", "-volume.max=200", "-volume.minFreeSpace=1"]
    command += ["-s3", f"-s3.port={port}", "-s3.port.lance=0", "-s3.port.iceberg=0", f"-s3.config={room}/s3.json"]
    environment = {**os.environ, "WEED_MASTER_VOLUME_GROWTH_COPY_1": "1"}
    with (room / "seaweed.log").open("w") as log:
        server = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
    for _ in range(240):
        if server.poll() is not None:
            break
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz", timeout=2)
            return server, f"http://127.0.0.1:{port}"
        except OSError:
            time.sleep(0.25)
    sys.exit(f"SeaweedFS does not answer:\n{(room / 'seaweed.log').read_text()[-2000:]}")


def make_data(folder, megabytes, seed):
    """Files of 4 MB, random and text in turn, and a thousand small ones."""
    source = random.Random(seed)
    words = [f"{source.getrandbits(30):x}" for _ in range(5000)]
    for number in range(max(megabytes // 4, 1)):
        place = folder / f"{number // 20:03}"
        place.mkdir(parents=True, exist_ok=True)
        text = " ".join(source.choice(words) for _ in range(600_000)).encode()[:4_000_000]
        (place / f"{number:05}").write_bytes(source.randbytes(4_000_000) if number % 2 else text)
    small = folder / "small"
    small.mkdir()
    for number in range(1000):
        (small / f"{number:04}").write_bytes(source.randbytes(200))
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def children_cpu():
    times = os.times()
    return times.children_user + times.children_system


def timed(command, environment):
    """Wall and CPU seconds of a command, and what it printed."""
    cpu, begun = children_cpu(), time.monotonic()
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{' '.join(command)} failed:\n{done.stdout}{done.stderr}")
    return time.monotonic() - begun, children_cpu() - cpu, done.stdout


def ghevault(bench, endpoint, bucket, data, environment):
    _, cpu, told = timed([bench, f"s3:{endpoint}/{bucket}/vault", str(data)], environment)
    told = json.loads(told)
    if not told["sound"]:
        sys.exit("the vault is not sound")
    # restic's figure includes opening; so does this one, and making the vault too
    return {"store_s": told["open_s"] + told["store_s"], "check_s": told["check_s"], "cpu_s": cpu, "stored": told["bytes_stored"]}


def restic(_bench, endpoint, bucket, data, environment):
    base = ["restic", "--no-cache", "--quiet", "-r", f"s3:{endpoint}/{bucket}/vault"]
    timed([*base, "init"], environment)
    store, store_cpu, _ = timed([*base, "backup", str(data)], environment)
    check, check_cpu, _ = timed([*base, "check", "--read-data"], environment)
    _, _, told = timed([*base, "stats", "--mode", "raw-data", "--json"], environment)
    return {"store_s": store, "check_s": check, "cpu_s": store_cpu + check_cpu, "stored": json.loads(told)["total_size"]}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--megabytes", type=int, default=400)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    bench = os.environ.get("GHEVAULT_STORE_FOLDER")
    if not bench:
        subprocess.run(["cargo", "build", "--quiet", "--release", "--workspace", "--example", "store_folder"], cwd=ROOT, check=True)
        bench = str(ROOT / "target/release/examples/store_folder")
    contenders = {"ghevault": ghevault, "restic": restic}
    figures = {name: [] for name in contenders}
    room = Path(tempfile.mkdtemp(prefix="bench-s3-"))
    server = None
    try:
        size = make_data(room / "data", options.megabytes, 1)
        server, endpoint = start_server(room)
        environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("AWS_")},
            "AWS_ACCESS_KEY_ID": "BENCH",
            "AWS_SECRET_ACCESS_KEY": SECRET,
            "AWS_REGION": "eu-central-1",
            "AWS_DEFAULT_REGION": "eu-central-1",
            "AWS_EC2_METADATA_DISABLED": "true",
            "RESTIC_PASSWORD": "bench",
            "TZ": "UTC",
        }
        for turn in range(options.rounds):
            order = list(contenders)[turn % 2 :] + list(contenders)[: turn % 2]
            for name in order:
                bucket = f"{name}-{turn}"
                make_bucket(endpoint, bucket, environment)
                figures[name].append(contenders[name](bench, endpoint, bucket, room / "data", environment))
                print(f"round {turn + 1}: {name}: {figures[name][-1]}", file=sys.stderr)
    finally:
        if server:
            server.kill()  # what it holds is scratch, and an orderly end takes it minutes
            server.wait()
        shutil.rmtree(room)
    report(figures, size, options)


def make_bucket(endpoint, bucket, environment):
    """restic makes a bucket that does not exist; ghevault wants one made on purpose."""
    probe = ["restic", "--no-cache", "--quiet", "-r", f"s3:{endpoint}/{bucket}/unused", "init"]
    timed(probe, environment)


def report(figures, size, options):
    print(f"{size / 1e6:.0f} MB, {options.rounds} round(s), load average {os.getloadavg()[0]:.1f}")
    print(f"{'contender':<10} {'store MB/s':>11} {'check MB/s':>11} {'CPU s':>7} {'stored MB':>10}")
    rates = {}
    for name, rounds in figures.items():
        store = statistics.median(size / 1e6 / one["store_s"] for one in rounds)
        check = statistics.median(one["stored"] / 1e6 / one["check_s"] for one in rounds)
        cpu = statistics.median(one["cpu_s"] for one in rounds)
        rates[name] = store
        print(f"{name:<10} {store:>11.1f} {check:>11.1f} {cpu:>7.1f} {rounds[0]['stored'] / 1e6:>10.0f}")
    print(f"ghevault stores at {rates['ghevault'] / rates['restic']:.2f} of restic's rate")
    if options.json:
        options.json.parent.mkdir(parents=True, exist_ok=True)
        options.json.write_text(json.dumps({"bytes": size, "figures": figures, "load": os.getloadavg()}, indent=1) + "\n")


if __name__ == "__main__":
    main()
