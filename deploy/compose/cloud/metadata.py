"""The metadata service of an instance, version 2: region and role credentials, against a token only. Listens where Amazon's does.

Says of the instance what the file of its role says (first argument)."""

import fcntl
import json
import os
import secrets
import socket
import struct
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socketserver import TCPServer

ADDRESS = "169.254.169.254"
SIOCSIFADDR, SIOCSIFNETMASK = 0x8916, 0x891C
tokens = {}


def take_address():
    """Gives this machine the address, on an alias of its loopback interface."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as handle:
        for request, address in [(SIOCSIFADDR, ADDRESS), (SIOCSIFNETMASK, "255.255.255.255")]:
            value = struct.pack("HH4s8s", socket.AF_INET, 0, socket.inet_aton(address), b"")
            fcntl.ioctl(handle, request, struct.pack("16s16s8s", b"lo:0", value, b""))


class Metadata(BaseHTTPRequestHandler):
    role = {}

    def answers(self):
        role = self.role
        name = role["role"]
        at = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        until = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 6 * 3600))
        credentials = {
            "Code": "Success", "Type": "AWS-HMAC", "LastUpdated": at, "Expiration": until,
            "AccessKeyId": role["access_key"], "SecretAccessKey": role["secret_key"], "Token": role["token"],
        }
        document = {"accountId": role["account"], "region": role["region"], "availabilityZone": role["region"] + "a", "version": "2017-09-30"}
        return {
            "/latest/meta-data/placement/region": role["region"],
            "/latest/meta-data/placement/availability-zone": role["region"] + "a",
            "/latest/meta-data/iam/security-credentials": name,
            f"/latest/meta-data/iam/security-credentials/{name}": json.dumps(credentials),
            "/latest/dynamic/instance-identity/document": json.dumps(document),
        }

    def do_PUT(self):
        wanted = self.headers.get("X-aws-ec2-metadata-token-ttl-seconds", "")
        if self.path != "/latest/api/token":
            return self.say(404)
        if self.headers.get("X-Forwarded-For"):
            return self.say(403)
        if not wanted.isdigit() or not 1 <= int(wanted) <= 21600:
            return self.say(400)
        token = secrets.token_urlsafe(32)
        tokens[token] = time.monotonic() + int(wanted)
        return self.say(200, token, {"X-aws-ec2-metadata-token-ttl-seconds": wanted})

    def do_GET(self):
        if tokens.get(self.headers.get("X-aws-ec2-metadata-token"), 0) < time.monotonic():
            return self.say(401)
        answer = self.answers().get(self.path.rstrip("/"))
        return self.say(404) if answer is None else self.say(200, answer)

    def say(self, code, text="", headers=None):
        body = text.encode()
        self.send_response(code)
        for name, value in {"Content-Type": "text/plain", "Content-Length": str(len(body)), **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        """Nobody needs a line for each request."""


class Server(ThreadingHTTPServer):
    def server_bind(self):
        """Without asking for the address's name, which takes long where nobody answers."""
        TCPServer.server_bind(self)
        self.server_name, self.server_port = self.server_address


def main():
    while not os.path.exists(sys.argv[1]):
        time.sleep(0.2)
    with open(sys.argv[1], encoding="utf-8") as file:
        Metadata.role = json.load(file)
    take_address()
    server = Server((ADDRESS, 80), Metadata)
    print("the metadata service is ready", flush=True)
    server.serve_forever()


main()
