"""Servers on this machine for the proof of policies: moto plays KMS and IAM, SeaweedFS plays S3, the simulator an appliance."""

import json
import os
import pathlib
import random
import re
import socket
import subprocess
import time
import urllib.error
import urllib.request

import boto3
from botocore.config import Config


def free_ports(count):
    """Different ports P such that P and P + 10000 are free (some servers open a second one there), below those that clients get."""

    def free(port):
        try:
            for one in (port, port + 10000):
                with socket.socket() as probe:
                    probe.bind(("127.0.0.1", one))
        except OSError:
            return False
        return True

    found = [port for port in random.sample(range(20000, 22700), 1000) if free(port)]
    if len(found) < count:
        raise RuntimeError("no free ports")
    return found[:count]


class Servers:
    """Everything that is started, and ended together."""

    def __init__(self, room):
        self.room, self.running = pathlib.Path(room), []

    def start(self, name, command, **environment):
        log = open(self.room / f"{name}.log", "w")
        clean = {key: value for key, value in os.environ.items() if not key.startswith("AWS_")}
        process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, env=clean | environment)
        self.running.append(process)
        return process

    def wait_for(self, process, url):
        for _ in range(240):
            if process.poll() is not None:
                break
            try:
                urllib.request.urlopen(url, timeout=5).close()
                return
            except urllib.error.HTTPError:
                pass
            except OSError:
                pass
            time.sleep(0.25)
        raise RuntimeError(f"no answer from {url}; see {self.room}")

    def stop(self):
        for process in self.running:
            process.terminate()
        for process in self.running:
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def moto(self):
        """IAM, STS, KMS; who may do what is checked only after `enforce`."""
        (port,) = free_ports(1)
        process = self.start("moto", ["moto_server", "-H", "127.0.0.1", "-p", str(port)], INITIAL_NO_AUTH_ACTION_COUNT="99999")
        url = f"http://127.0.0.1:{port}"
        self.wait_for(process, f"{url}/moto-api/")
        return url

    def seaweed(self, identities, policies):
        """S3 with identities and policies."""
        (self.room / "s3.json").write_text(json.dumps({"identities": identities, "policies": policies}))
        (self.room / "seaweed").mkdir()
        port, master, volume, filer = free_ports(4)
        process = self.start(
            "seaweed",
            ["weed", "-logtostderr=true", "server", "-ip=127.0.0.1", "-ip.bind=127.0.0.1", f"-dir={self.room}/seaweed",
             f"-master.port={master}", f"-volume.port={volume}", f"-filer.port={filer}",
             "-master.volumeSizeLimitMB=1024", "-volume.max=400", "-volume.minFreeSpace=1",
             "-s3.port.lance=0", "-s3.port.iceberg=0", "-s3", f"-s3.port={port}", f"-s3.config={self.room}/s3.json"],
            WEED_MASTER_VOLUME_GROWTH_COPY_1="1",
        )
        url = f"http://127.0.0.1:{port}"
        self.wait_for(process, f"{url}/healthz")
        return url

    def appliance(self, sim, folder, seed):
        """A simulated appliance: its address and the fingerprint of its host key."""
        subprocess.run([sim, "create", folder, "--seed", str(seed), "--scale", "s"], check=True, capture_output=True, timeout=120)
        process = self.start("appliance", [sim, "serve", folder])
        for _ in range(300):
            said = (self.room / "appliance.log").read_text()
            found = re.search(r'"port":(\d+)', said)
            if found:
                return f"127.0.0.1:{found.group(1)}", re.search(r'"host_key":"([^"]+)"', said).group(1)
            if process.poll() is not None:
                break
            time.sleep(0.1)
        raise RuntimeError(f"the appliance does not come up; see {self.room}")


def client(service, url, access, secret, token=None):
    """A client of one of the servers."""
    return boto3.client(
        service, endpoint_url=url, region_name="eu-central-1", aws_access_key_id=access, aws_secret_access_key=secret,
        aws_session_token=token, config=Config(retries={"max_attempts": 2}, s3={"addressing_style": "path"}),
    )


def enforce(moto):
    """From here on moto asks IAM."""
    request = urllib.request.Request(f"{moto}/moto-api/reset-auth", data=b"0", headers={"Content-Type": "text/plain"})
    urllib.request.urlopen(request, timeout=30).close()
