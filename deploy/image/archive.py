"""Writes an image as a file: python archive.py TAG FILE SECONDS

The file is what `docker image save` writes, and an OCI layout at the same time, so `docker load`, `podman load` and `skopeo` read it. Two
things are put right in the image's configuration, since the engine that built it only knows itself: the time of creation is SECONDS (since
1970), so that the same program gives the same image to the byte, and the machine is the one that the program `/ghevault` in it is for.
Layers stay as they are. Prints the machine and the image's id.
"""

import gzip
import hashlib
import io
import json
import pathlib
import subprocess
import sys
import tarfile
import tempfile
import time

PROGRAM = "ghevault"
# The two bytes of an ELF file that name its machine, and how images say it.
MACHINES = {0x3E: {"architecture": "amd64"}, 0xB7: {"architecture": "arm64", "variant": "v8"}}
# What the engine says of itself and of containers that are gone.
LEFT_OUT = {"container", "container_config", "docker_version", "id", "parent", "config", "history", "created", "architecture", "variant"}
# Fields of the container's configuration that the engine fills in for every image; the OCI names the others.
CONFIG = ["User", "ExposedPorts", "Env", "Entrypoint", "Cmd", "Volumes", "WorkingDir", "Labels", "StopSignal", "Healthcheck"]


def fail(words):
    sys.exit(f"archive.py: {words}")


def machine_of(layers):
    """Which machine the program in the topmost layer that has one is for."""
    for layer in reversed(layers):
        with tarfile.open(fileobj=io.BytesIO(layer)) as files:
            if PROGRAM in files.getnames():
                head = files.extractfile(PROGRAM).read(20)
                if head[:4] != b"\x7fELF":
                    fail(f"/{PROGRAM} in the image is not a program")
                kind = int.from_bytes(head[18:20], "little")
                if kind not in MACHINES:
                    fail(f"/{PROGRAM} in the image is for a machine of kind {kind:#x}, known are {', '.join(hex(one) for one in MACHINES)}")
                return MACHINES[kind]
    fail(f"no layer of the image has /{PROGRAM}")


def saved(tag):
    """The configuration and the layers of an image of the engine."""
    with tempfile.TemporaryFile() as room:
        if subprocess.run(["docker", "image", "save", tag], stdout=room, check=False).returncode != 0:
            fail(f"docker does not give {tag}")
        room.seek(0)
        with tarfile.open(fileobj=room) as files:
            (manifest,) = json.load(files.extractfile("manifest.json"))
            config = json.load(files.extractfile(manifest["Config"]))
            # Alike layers are links to the first one.
            return config, [files.extractfile(layer).read() for layer in manifest["Layers"]]


def right(config, machine, created):
    """The configuration as it is published."""
    kept = {name: value for name, value in config.items() if name not in LEFT_OUT}
    inner = {name: config["config"][name] for name in CONFIG if config["config"].get(name)}
    history = [{name: value for name, value in step.items() if name in ("created_by", "empty_layer", "comment")} | {"created": created} for step in config["history"]]
    return kept | machine | {"created": created, "config": inner, "history": history}


def packed(value):
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()


def main():
    tag, out, seconds = sys.argv[1], pathlib.Path(sys.argv[2]), int(sys.argv[3])
    config, layers = saved(tag)
    stated = [f"sha256:{hashlib.sha256(layer).hexdigest()}" for layer in layers]
    if stated != config["rootfs"]["diff_ids"]:
        fail("the layers are not those that the image's configuration names")
    machine = machine_of(layers)
    created = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))

    files = {}

    def blob(content, kind):
        digest = hashlib.sha256(content).hexdigest()
        files[f"blobs/sha256/{digest}"] = content
        return {"mediaType": f"application/vnd.oci.image.{kind}", "digest": f"sha256:{digest}", "size": len(content)}

    of_config = blob(packed(right(config, machine, created)), "config.v1+json")
    of_layers = [blob(layer, "layer.v1.tar") for layer in layers]
    manifest = blob(packed({"schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json", "config": of_config, "layers": of_layers}), "manifest.v1+json")
    name, _, version = tag.rpartition(":")
    manifest |= {"platform": machine | {"os": "linux"}, "annotations": {"io.containerd.image.name": f"docker.io/library/{name}:{version}", "org.opencontainers.image.ref.name": version}}
    files["index.json"] = packed({"schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json", "manifests": [manifest]})
    files["oci-layout"] = packed({"imageLayoutVersion": "1.0.0"})
    path = "blobs/sha256/{}".format
    files["manifest.json"] = packed([{"Config": path(of_config["digest"][7:]), "RepoTags": [tag], "Layers": [path(one["digest"][7:]) for one in of_layers]}])

    with open(out, "wb") as raw, gzip.GzipFile(fileobj=raw, mode="wb", filename="", mtime=0, compresslevel=6) as file, tarfile.open(fileobj=file, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for name, content in sorted(files.items()):
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode, entry.mtime = len(content), 0o644, seconds
            archive.addfile(entry, io.BytesIO(content))
    print(f"{machine['architecture']} {of_config['digest']}")


main()
