#!/usr/bin/env python3
"""What an update of the container image sends: ghevault's, beside an image in the manner of those around backup-utils.

    benches/image_update.py --program FILE --tools DIR [--results DIR]

FILE is a static ghevault (`scripts/release build` makes one), DIR a checkout of backup-utils. The other image is a Debian with what
backup-utils needs (git, rsync, an SSH client, cron, jq, and Python with boto3 for KMS), DIR, and a start script of its own: the layers from
what changes least to what changes most. Both are built three times: at first; after a change of the code that is ours to change (the program;
the start script); and after a security update of the distribution (a newer base; of ghevault's image only its list of certificate authorities
comes from there). An update sends the layers that the version before did not have, compressed as `docker push` compresses them. Writes
image_update.json. Needs root, a Docker engine and Debian's packages.
"""

import argparse
import hashlib
import json
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zlib
from pathlib import Path

SOURCE = Path(__file__).resolve().parent.parent
NEEDS = "git rsync openssh-client cron jq curl ca-certificates python3 python3-yaml python3-boto3"
OTHER = f"""
ARG BASE
FROM ${{BASE}}
RUN apt-get update && apt-get install --yes --no-install-recommends {NEEDS} && rm -rf /var/lib/apt/lists/*
COPY tools /opt/backup-utils
COPY start /usr/local/bin/start
CMD ["/usr/local/bin/start"]
"""


def call(*words, **more):
    return subprocess.run([str(word) for word in words], check=True, stdout=subprocess.PIPE, text=True, **more).stdout.strip()


def layers(image):
    """Digest and compressed size of each layer."""
    with tempfile.TemporaryDirectory(dir="/var/tmp") as room:
        archive = Path(room) / "image.tar"
        call("docker", "image", "save", "--output", archive, image)
        with tarfile.open(archive) as read:
            manifest = json.load(read.extractfile("manifest.json"))
            found = {}
            for name in manifest[0]["Layers"]:
                digest, packed, size = hashlib.sha256(), zlib.compressobj(6, wbits=31), 0
                content = read.extractfile(name)
                while piece := content.read(1 << 20):
                    digest.update(piece)
                    size += len(packed.compress(piece))
                found[digest.hexdigest()] = size + len(packed.flush())
            return found


def base(tag, mark):
    """A fresh Debian; the mark stands for what an update of it changes."""
    with tempfile.TemporaryDirectory(dir="/var/tmp") as room:
        with open(Path(room) / "debian.tar", "wb") as archive:
            hook = f'--customize-hook=echo {mark} > "$1"/etc/updated'
            subprocess.run([SOURCE / "scripts/debian", "--variant=minbase", hook], check=True, stdout=archive)
        call("docker", "import", archive.name, tag)


def other(tag, own_base, tools, start):
    with tempfile.TemporaryDirectory(dir="/var/tmp") as room:
        room = Path(room)
        (room / "Dockerfile").write_text(OTHER)
        shutil.copytree(tools, room / "tools", ignore=shutil.ignore_patterns(".git", "test"))
        (room / "start").write_text(start)
        (room / "start").chmod(0o755)
        call("docker", "build", "--network", "host", "--quiet", "--build-arg", f"BASE={own_base}", "--tag", tag, room)


def ours(tag, program):
    call(SOURCE / "scripts/image", "--local", "--binary", program, "--tag", tag)


def report(name, first, code, distribution):
    def fresh(image, before):
        return sum(size for digest, size in image.items() if digest not in before)

    row = {"image": name, "first": sum(first.values()), "code": fresh(code, first), "distribution": fresh(distribution, code)}
    print(f"{name:14} first pull {row['first'] / 1e6:7.1f} MB, change of the code {row['code'] / 1e6:6.1f} MB, "
          f"update of the distribution {row['distribution'] / 1e6:6.1f} MB")
    return row


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--program", type=Path, required=True)
    parser.add_argument("--tools", type=Path, required=True)
    parser.add_argument("--results", type=Path, default=SOURCE / "target/bench")
    given = parser.parse_args()
    tags = ["image-update-base-1", "image-update-base-2", "image-update-other", "image-update-ours"]
    with tempfile.TemporaryDirectory(dir="/var/tmp") as room:
        changed = Path(room) / "ghevault"
        # Another build of a program differs all over, and a layer is sent as a whole: a byte more is enough to measure it.
        changed.write_bytes(given.program.read_bytes() + b"\n")
        changed.chmod(0o755)
        try:
            base(tags[0], "first")
            base(tags[1], "second")
            versions = []
            for own_base, start in [(tags[0], "#!/bin/sh\nexec cron -f\n"), (tags[0], "#!/bin/sh\n# mended\nexec cron -f\n"),
                                    (tags[1], "#!/bin/sh\n# mended\nexec cron -f\n")]:
                other(tags[2], own_base, given.tools, start)
                versions.append(layers(tags[2]))
            rows = [report("backup-utils", *versions)]
            versions = []
            for program in [given.program, changed, changed]:
                ours(tags[3], program)
                versions.append(layers(tags[3]))
            rows.append(report("ghevault", *versions))
        finally:
            for tag in tags:
                subprocess.run([SOURCE / "scripts/image", "--remove", tag], check=False, stdout=subprocess.DEVNULL)
    given.results.mkdir(parents=True, exist_ok=True)
    (given.results / "image_update.json").write_text(json.dumps({"bytes": rows}, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
