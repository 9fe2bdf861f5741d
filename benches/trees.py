"""Makes and changes what is on a simulated appliance's disk, without git: many small repositories, and pushes.

    trees.py grow APPLIANCE FILES      adds repositories until there are about FILES files
    trees.py push APPLIANCE FRACTION   one push to that share of the repositories (at least to one)

Repositories are valid: objects, packs and references fit together. Their content is drawn from their number, so a tree
of a given size is always the same. Networks lie where contract §2.11 says, and the simulator's route list learns them.
"""

import hashlib
import itertools
import json
import os
import random
import struct
import sys
import zlib
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

GIT = 5001  # the user `git` of the simulated appliance
FILES_EACH = 60
PACKS, BRANCHES = 3, 20
LOOSE = FILES_EACH - 6 - 2 * PACKS - 2 * BRANCHES - 1
WHO = "Bench <bench@example.com> 1700000000 +0000"
CONFIG = "[core]\n\trepositoryformatversion = 0\n\tfilemode = true\n\tbare = true\n\tlogallrefupdates = true\n"


def route(network):
    """Where the appliance puts a network: folders from the MD5 digest of its number."""
    digest = hashlib.md5(str(network).encode()).hexdigest()
    return f"{digest[0]}/nw/{digest[:2]}/{digest[2:4]}/{digest[4:6]}/{network}"


def named(kind, content):
    """An object's name, and its content with Git's header."""
    whole = f"{kind} {len(content)}\0".encode() + content
    return hashlib.sha1(whole).hexdigest(), whole


class Repository:
    """A bare repository on disk; all that is written belongs to the user `git`."""

    def __init__(self, folder):
        self.folder = Path(folder)
        self.made = set()

    def write(self, name, content):
        """Writes a file, and the folders above it."""
        path = os.path.join(self.folder, name)
        parent, missing = os.path.dirname(path), []
        while parent not in self.made and not os.path.isdir(parent):
            missing.append(parent)
            parent = os.path.dirname(parent)
        for folder in reversed(missing):
            os.mkdir(folder)
            os.chown(folder, GIT, GIT)
            self.made.add(folder)
        with open(path, "wb") as file:
            os.fchown(file.fileno(), GIT, GIT)
            file.write(content)

    def loose(self, kind, content):
        """Stores a loose object and returns its name."""
        name, whole = named(kind, content)
        self.write(f"objects/{name[:2]}/{name[2:]}", zlib.compress(whole, 1))
        return name

    def pack(self, content):
        """Stores a blob in a pack of its own, with an index of version 2."""
        name, _ = named("blob", content)
        size, head = len(content) >> 4, bytearray([0x30 | len(content) & 15])
        while size:
            head[-1] |= 0x80
            head.append(size & 127)
            size >>= 7
        entry = bytes(head) + zlib.compress(content, 1)
        body = b"PACK" + struct.pack(">II", 2, 1) + entry
        digest = hashlib.sha1(body).digest()
        first = int(name[:2], 16)
        index = (b"\377tOc" + struct.pack(">I", 2) + struct.pack(">256I", *[int(i >= first) for i in range(256)])
                 + bytes.fromhex(name) + struct.pack(">II", zlib.crc32(entry), 12) + digest)
        stem = f"objects/pack/pack-{digest.hex()}"
        self.write(f"{stem}.pack", body + digest)
        self.write(f"{stem}.idx", index + hashlib.sha1(index).digest())

    def commit(self, dice, parent, blob):
        """Stores a commit of one new file; returns its name."""
        tree = self.loose("tree", b"100644 file\0" + bytes.fromhex(self.loose("blob", blob)))
        above = f"parent {parent}\n" if parent else ""
        text = f"tree {tree}\n{above}author {WHO}\ncommitter {WHO}\n\nchange {dice.getrandbits(64):x}\n"
        return self.loose("commit", text.encode())


def make(task):
    """Makes one network with one repository of `FILES_EACH` files."""
    root, network = task
    dice = random.Random(network)
    repository = Repository(f"{root}/{route(network)}/{network}.git")
    for name, text in (("HEAD", "ref: refs/heads/main\n"), ("config", CONFIG), ("description", "bench\n"),
                       ("audit_log", ""), ("info/nwo", f"bench/repo{network}\n")):
        repository.write(name, text.encode())
    tip = None
    for _ in range(LOOSE // 3):
        tip = repository.commit(dice, tip, dice.randbytes(200))
    for _ in range(LOOSE % 3):
        repository.loose("blob", dice.randbytes(100))
    for _ in range(PACKS):
        repository.pack(dice.randbytes(1500))
    line = f"{'0' * 40} {tip} {WHO}\tpush\n".encode()
    for branch in range(BRANCHES):
        name = "main" if branch == 0 else f"topic{branch}"
        repository.write(f"refs/heads/{name}", f"{tip}\n".encode())
        repository.write(f"logs/refs/heads/{name}", line)
    repository.write("logs/HEAD", line)
    header = "# pack-refs with: peeled fully-peeled sorted \n"
    packed = "".join(f"{tip} refs/tags/v{number}\n" for number in range(5))
    repository.write("packed-refs", (header + packed).encode())
    return network


def grow(appliance, files):
    """Adds networks until the appliance has about `files` files, and tells the simulator's route list."""
    root = appliance / "disk/data/user/repositories"
    state = json.loads((appliance / "state.json").read_text())
    missing = files - sum(len(names) for _, _, names in os.walk(appliance / "disk/data/user"))
    free = (number for number in itertools.count(1, 10) if str(number) not in state["networks"])
    new = list(itertools.islice(free, max(0, round(missing / FILES_EACH))))
    with ProcessPoolExecutor() as pool:
        for network in pool.map(make, [(str(root), network) for network in new], chunksize=50):
            state["networks"][str(network)] = {"id": network, "path": route(network), "members": [network], "wikis": []}
    (appliance / "state.json").write_text(json.dumps(state))
    for path in root.glob("?/nw"):
        for folder in (path.parent, path, *path.glob("*"), *path.glob("*/*"), *path.glob("*/*/*")):
            os.chown(folder, GIT, GIT)


def tip_of(repository, name):
    """What a reference points to: the loose value, else the packed one, else None."""
    try:
        return (repository / name).read_text().strip()
    except FileNotFoundError:
        pass
    try:
        lines = (repository / "packed-refs").read_bytes().splitlines()
    except FileNotFoundError:
        return None
    return next((line[:40].decode() for line in lines if line[41:] == name.encode()), None)


def push(appliance, fraction):
    """Pushes one commit to `main` in a share of the repositories; returns how many."""
    state = json.loads((appliance / "state.json").read_text())
    root = appliance / "disk/data/user/repositories"
    repositories = [root / network["path"] / f"{member}.git" for network in state["networks"].values()
                    for member in network["members"]]
    dice = random.Random()
    count = max(1, round(len(repositories) * fraction))
    done = 0
    for folder in dice.sample(repositories, len(repositories)):
        if done == count:
            break
        if "objectformat" in (folder / "config").read_text():
            continue
        repository = Repository(folder)
        old = tip_of(folder, "refs/heads/main")
        new = repository.commit(dice, old, dice.randbytes(dice.randint(500, 4000)))
        log = folder / "logs/refs/heads/main"
        before = log.read_bytes() if log.exists() else b""
        repository.write("logs/refs/heads/main", before + f"{old or '0' * 40} {new} {WHO}\tpush\n".encode())
        repository.write("refs/heads/main", f"{new}\n".encode())
        done += 1
    return done


def main():
    """See above."""
    if len(sys.argv) != 4 or sys.argv[1] not in ("grow", "push"):
        sys.exit(__doc__)
    appliance = Path(sys.argv[2])
    if sys.argv[1] == "grow":
        grow(appliance, int(sys.argv[3]))
    else:
        print(push(appliance, float(sys.argv[3])))


if __name__ == "__main__":
    main()
