"""Proves the policies of deploy/aws: python policies.py TEMPLATE PRODUCT SIMULATOR [ROLE...]

Each role's policy is taken from the template and given to an identity of its own; the product does that role's work under it and must
succeed. Then, for each single action, once more with that action taken away; the work must fail. So the policies are enough, and
nothing in them is too much. The templates of Terraform have the same policies (aws.py compares them).

S3 is played by SeaweedFS with the statements as they are. KMS and CloudWatch are played by moto with IAM on; it matches KMS statements by
the resource "*" only, so that the key's ARN is replaced there. What the notice board's bucket allows to the other account's runner is given
to anybody, since SeaweedFS does not match the principals of other accounts. Conditions of policies are not proven here.
"""

import concurrent.futures
import copy
import datetime
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import time

import servers
from botocore.exceptions import ClientError
from template import ACCOUNT, REGION, Template

OTHER = "222222222222"
# Where the policies of a role stand.
POLICIES = {"Runner": ["RunnerPolicy", "RunnerReportPolicy", "RunnerNoticesPolicy"], "OtherRunner": ["BoardPolicy"]}
ROLES = sys.argv[4:] or ["Runner", "OtherRunner", "Pruner", "Reader", "Locks"]
# An identity must have some policy, else SeaweedFS lets it do everything.
NOTHING = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::nowhere/*"}]}


def variants(document):
    """The document itself, and one for each action that it could lack: (name, document)."""
    yield "whole", document
    for at, statement in enumerate(document["Statement"]):
        actions = [statement["Action"]] if isinstance(statement["Action"], str) else statement["Action"]
        for action in actions:
            less = copy.deepcopy(document)
            rest = [one for one in actions if one != action]
            if rest:
                less["Statement"][at]["Action"] = rest
            else:
                del less["Statement"][at]
            yield f"without {action} ({statement['Sid']})", less


def document_of(role, template):
    """All that a role may, as one policy."""
    documents = [template.properties(name)["PolicyDocument"] for name in POLICIES.get(role, [f"{role}Policy"])]
    allowed = [statement for document in documents for statement in document["Statement"] if statement["Effect"] == "Allow"]
    return documents[0] | {"Statement": allowed}


def part(document, *services):
    """The statements of these services; those of KMS and CloudWatch for moto, which calls the latter by its old name."""
    chosen = []
    for statement in document["Statement"]:
        actions = [statement["Action"]] if isinstance(statement["Action"], str) else statement["Action"]
        if all(action.partition(":")[0] in services for action in actions):
            for_moto = {"kms": {"Resource": "*"}, "cloudwatch": {"Action": [action.replace("cloudwatch:", "monitoring:") for action in actions]}}
            chosen.append(statement | for_moto.get(actions[0].partition(":")[0], {}))
    return {"Version": document["Version"], "Statement": chosen}


class Work:
    """One identity with a bucket of its own, and what it does there."""

    def __init__(self, proof, role, name, access, secret, bucket, board="", other=""):
        self.proof, self.role, self.name, self.bucket, self.board, self.other = proof, role, name, bucket, board, other
        self.access, self.secret = access, secret
        self.folder = proof.room / bucket

    def run(self, *arguments):
        """The product as this identity; its exit code and what it printed."""
        environment = {
            "PATH": os.environ["PATH"], "HOME": str(self.folder), "TZ": "UTC", "GHE_BACKUP_CONFIG": "none",
            "GHEVAULT_HOST": self.proof.host, "GHEVAULT_SSH_KEY": self.proof.ssh_key, "GHEVAULT_META": "/nonexistent",
            "GHEVAULT_VAULT": f"s3:{self.proof.s3}/{self.bucket}/ghe", "GHEVAULT_STATE": str(self.folder / "state"),
            "AWS_REGION": REGION, "AWS_ENDPOINT_URL_KMS": self.proof.moto, "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_CONFIG_FILE": "/dev/null", "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
            "AWS_ACCESS_KEY_ID": self.access, "AWS_SECRET_ACCESS_KEY": self.secret,
        }
        done = subprocess.run([self.proof.product, *arguments, "--quiet", "--json"], env=environment, capture_output=True, text=True, timeout=300)
        try:
            value = json.loads(done.stdout.strip().splitlines()[-1] if arguments[0] == "backup" else done.stdout)
        except (ValueError, IndexError):
            value = None
        return done.returncode, value, done.stderr.strip() or done.stdout.strip()[-300:]

    def must(self, *arguments, judge=lambda value: True):
        code, value, words = self.run(*arguments)
        if code != 0:
            raise Refused(f"{' '.join(arguments)}: exit code {code}: {words[:300]}", denied=code == 14)
        if not judge(value):
            raise Refused(f"{' '.join(arguments)}: not what it should be: {json.dumps(value)[:600]}")
        return value

    def runner(self):
        self.must("snapshots", judge=lambda value: len(value) == 2)
        self.must("backup", judge=lambda value: value["outcome"] == "complete")
        self.must("verify", "--depth", "2")
        self.must("restore", "latest", "--to", str(self.folder / "restored"))
        theirs = ["--board", f"read:{self.proof.place(self.other)}", "--key", f"{self.proof.other_key}=other"]
        self.must("witness", "run", "--board", self.proof.place(self.board), *theirs,
                  judge=lambda value: {pathlib.Path(file).suffix for file in value["created"]} == {".note", ".cosigned", ".refs"})
        self.must("compare", *theirs)
        self.report()

    def otherrunner(self):
        self.must("witness", "verify", "--board", f"read:{self.proof.place(self.board)}", "--key", f"{self.proof.other_key}=owner",
                  judge=lambda value: len(value["origins"]) == 1)

    def report(self):
        """What the aws program does for the alarm."""
        try:
            servers.client("cloudwatch", self.proof.moto, self.access, self.secret).put_metric_data(
                Namespace="ghevault", MetricData=[{"MetricName": "ObjectiveMet", "Dimensions": [{"Name": "Host", "Value": "ghevault"}], "Value": 1}])
        except ClientError as refused:
            raise Refused(f"put-metric-data: {refused}") from refused

    def pruner(self):
        self.must("forget", "--keep-daily", "1")
        self.must("prune", "--max-unused", "0", judge=lambda value: value["versions_removed"] > 0 and value["locked_versions"] > 0 and value["locked_until"])
        self.must("verify")

    def reader(self):
        self.must("snapshots", judge=lambda value: len(value) == 1)
        self.must("snapshots", "--as-of", self.proof.before, judge=lambda value: len(value) == 2)
        self.must("verify", "--as-of", self.proof.before, "--depth", "2")
        code, value, words = self.run("vault", "check")
        if code == 1 or not value or any(demand["state"] == "unknown" for demand in value["demands"]):
            raise Refused(f"vault check: exit code {code}: {words[:300]}")

    def locks(self):
        self.must("vault", "extend-locks", "--for", "2d")
        self.must("vault", "extend-locks", "--check", "--for", "1d")


class Refused(Exception):
    """The work did not succeed; `denied` when that is because something was not allowed."""

    def __init__(self, words, denied=True):
        super().__init__(words)
        self.denied = denied


class Proof:
    """The servers, the vault that every bucket begins with, and the identities."""

    def __init__(self, room, template, product, sim):
        self.room, self.product, self.sim = pathlib.Path(room), product, sim
        self.servers = servers.Servers(room)
        self.template_path = template
        self.works, self.of_boards = [], {}

    def prepare(self):
        self.moto = self.servers.moto()
        sts = servers.client("sts", self.moto, "anyone", "anything")
        taken = sts.assume_role(RoleArn=f"arn:aws:iam::{ACCOUNT}:role/admin", RoleSessionName="proof")["Credentials"]
        session = (taken["AccessKeyId"], taken["SecretAccessKey"], taken["SessionToken"])
        kms, iam = servers.client("kms", self.moto, *session), servers.client("iam", self.moto, *session)
        key = kms.create_key()["KeyMetadata"]["Arn"]
        identities, policies = [], []

        def identity(name, policy, s3):
            iam.create_user(UserName=name)
            if policy["Statement"]:
                iam.put_user_policy(UserName=name, PolicyName="only", PolicyDocument=json.dumps(policy))
            made = iam.create_access_key(UserName=name)["AccessKey"]
            access, secret = made["AccessKeyId"], made["SecretAccessKey"]
            identities.append({"name": name, "account": {"id": ACCOUNT}, "credentials": [{"accessKey": access, "secretKey": secret}]} | s3)
            return access, secret

        everything = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "kms:*", "Resource": "*"}]}
        self.admin = identity("admin", everything, {"actions": ["Admin", "Read", "Write", "List", "Tagging"]})
        for role in ROLES:
            whole = document_of(role, Template(self.template_path, {"OtherAccount": OTHER}, key))
            for number, (name, _) in enumerate(variants(whole)):
                # buckets for each, so that the statements stand as they are in the template, but for the buckets' names
                user = f"{role.lower()}-{number}"
                template = Template(self.template_path, {"Name": user, "OtherAccount": OTHER}, key)
                document = list(variants(document_of(role, template)))[number][1]
                boards = [template.ref("Board"), f"{user}-board-{OTHER}-{REGION}"] if role in POLICIES else []
                if role == "OtherRunner":
                    # nothing of its own: the board's bucket says it
                    policies.append({"name": user, "content": json.dumps(NOTHING)})
                    self.of_boards[user] = document
                else:
                    policies.append({"name": user, "content": json.dumps(part(document, "s3"))})
                access, secret = identity(user, part(document, "kms", "cloudwatch"), {"policyNames": [user]})
                self.works.append(Work(self, role, name, access, secret, template.ref("Vault"), *boards))
        self.s3 = self.servers.seaweed(identities, policies)
        self.host, host_key = self.servers.appliance(self.sim, self.room / "appliance", 7)
        servers.enforce(self.moto)
        self.bucket = servers.client("s3", self.s3, *self.admin)
        self.first_vault(key, host_key)
        for work in self.works:
            self.furnish(work)
        self.hide()

    def first_vault(self, key, host_key):
        """A vault with two snapshots, of which one needs what the other does not."""
        self.bucket.create_bucket(Bucket="first", ObjectLockEnabledForBucket=True)
        self.ssh_key = f"file:{self.room}/appliance/keys/client"
        first = Work(self, "admin", "admin", *self.admin, "first")
        first.folder.mkdir()
        self.ssh_key = first.must("key", "encrypt", "--kms-key", key, "--from", self.ssh_key)["secret"]
        first.must("trust", "--accept", host_key)
        first.must("init", "--kms-key", key)
        for seed in (1, 2):
            first.must("backup")
            subprocess.run([self.sim, "mutate", self.room / "appliance", "--rounds", "40", "--seed", str(seed)], check=True, capture_output=True, timeout=120)
        self.files = self.content("first")
        if set(ROLES) & set(POLICIES):
            self.other_account(key, host_key)

    def other_account(self, key, host_key):
        """What the other account's host hangs on its board."""
        for bucket in ("other", "notices"):
            self.bucket.create_bucket(Bucket=bucket, ObjectLockEnabledForBucket=True)
        other = Work(self, "admin", "admin", *self.admin, "other")
        other.folder.mkdir()
        other.must("trust", "--accept", host_key)
        other.must("init", "--kms-key", key)
        other.must("backup")
        other.must("witness", "publish", "--board", self.place("notices"))
        self.other_key = re.search("[A-Za-z0-9+/]{43}=", json.dumps(other.run("doctor")[1])).group()
        self.notices = self.content("notices")

    def place(self, bucket):
        """A notice board in a bucket."""
        return f"s3:{self.s3}/{bucket}/ghe"

    def content(self, bucket):
        """Names and bytes of a bucket's files."""
        pages = self.bucket.get_paginator("list_objects_v2").paginate(Bucket=bucket)
        names = [found["Key"] for page in pages for found in page.get("Contents", [])]
        return [(name, self.bucket.get_object(Bucket=bucket, Key=name)["Body"].read()) for name in names]

    def furnish(self, work):
        """A copy of the first vault, and of the state beside it; for the other account's runner a board to read."""
        if work.role == "OtherRunner":
            work.folder.mkdir()
            self.bucket.create_bucket(Bucket=work.board)
            for name, content in self.notices:
                self.bucket.put_object(Bucket=work.board, Key=name, Body=content)
            document = self.of_boards[work.board.partition("-board-")[0]]
            statements = [{key: value for key, value in one.items() if key != "Condition"} | {"Principal": "*"} for one in document["Statement"]]
            if statements:
                self.bucket.put_bucket_policy(Bucket=work.board, Policy=json.dumps(document | {"Statement": statements}))
            return
        subprocess.run(["cp", "-r", self.room / "first", work.folder], check=True)
        self.bucket.create_bucket(Bucket=work.bucket, ObjectLockEnabledForBucket=True)
        for name, content in self.files:
            self.bucket.put_object(Bucket=work.bucket, Key=name, Body=content)
        if work.role == "Runner":
            for bucket in (work.board, work.other):
                self.bucket.create_bucket(Bucket=bucket, ObjectLockEnabledForBucket=True)
            for name, content in self.notices:
                self.bucket.put_object(Bucket=work.other, Key=name, Body=content)
        if work.role == "Pruner":
            # what a lock holds must be told, and stay
            tomorrow = datetime.datetime.now(datetime.UTC) + datetime.timedelta(days=1)
            for name, _ in self.files:
                if name.startswith("ghe/data/"):
                    self.bucket.put_object_retention(Bucket=work.bucket, Key=name, Retention={"Mode": "COMPLIANCE", "RetainUntilDate": tomorrow})
        if work.role == "Reader":
            everybody = {"Effect": "Deny", "Principal": "*", "Action": "s3:PutObject", "Resource": f"arn:aws:s3:::{work.bucket}/never/*"}
            self.bucket.put_bucket_policy(Bucket=work.bucket, Policy=json.dumps({"Version": "2012-10-17", "Statement": [everybody]}))

    def hide(self):
        """Behind a delete marker goes one snapshot of each reader's vault, some time after everything was written."""
        self.before = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 1))
        time.sleep(2.5)
        newest = sorted(name for name, _ in self.files if name.startswith("ghe/snapshots/"))[0]
        for work in self.works:
            if work.role == "Reader":
                self.bucket.delete_object(Bucket=work.bucket, Key=newest)


def attempt(work):
    try:
        getattr(work, work.role.lower())()
    except Refused as refused:
        return work, refused
    return work, None


def main():
    template, product, sim = sys.argv[1:4]
    faults = 0
    with tempfile.TemporaryDirectory() as room:
        proof = Proof(room, template, product, sim)
        try:
            proof.prepare()
            with concurrent.futures.ThreadPoolExecutor(2) as pool:
                for work, refused in pool.map(attempt, proof.works):
                    good = refused is None if work.name == "whole" else refused is not None and refused.denied
                    faults += not good
                    print(f"{'' if good else 'WRONG: '}{work.role} {work.name}: {' '.join(str(refused or 'all its work is done').split())}"[:230 if good else 900], flush=True)
        finally:
            proof.servers.stop()
    print(f"{len(proof.works)} identities, {faults} wrong")
    sys.exit(1 if faults else 0)


if __name__ == "__main__":
    main()
