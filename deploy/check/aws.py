"""Holds deploy/aws together: python aws.py AWS-FOLDER PRODUCT

The two templates say the same: policies, user data, parameters. The bucket's policy is the one that the product prints, and the
configuration in the user data is one that the product accepts; identities may what the product prints for them. Writes the files of the user data below OUT, when a third argument
names a folder, for others to judge.
"""

import json
import pathlib
import re
import subprocess
import sys
import tempfile

import yaml
from template import ACCOUNT, REGION, Template

OTHER = "222222222222"
VAULT = f"ghevault-vault-{ACCOUNT}-{REGION}"
KEY = f"arn:aws:kms:{REGION}:{ACCOUNT}:key/11111111-2222-3333-4444-555555555555"
NAMES = {
    "Vault": f"arn:aws:s3:::{VAULT}",
    "Board": f"arn:aws:s3:::ghevault-board-{ACCOUNT}-{REGION}",
    "OtherBoard": f"arn:aws:s3:::ghevault-board-{OTHER}-{REGION}",
    "OtherRoot": f"arn:aws:iam::{OTHER}:root",
    "OtherRole": f"arn:aws:iam::{OTHER}:role/ghevault-runner",
    "Root": f"arn:aws:iam::{ACCOUNT}:root",
    "Key": KEY,
}
# file of Terraform -> resource of CloudFormation, where its policy stands there
POLICIES = {
    "runner": ("RunnerPolicy", "PolicyDocument"), "pruner": ("PrunerPolicy", "PolicyDocument"),
    "reader": ("ReaderPolicy", "PolicyDocument"), "locks": ("LocksPolicy", "PolicyDocument"),
    "report": ("RunnerReportPolicy", "PolicyDocument"), "other-board": ("RunnerNoticesPolicy", "PolicyDocument"),
    "vault": ("VaultPolicy", "PolicyDocument"), "board": ("BoardPolicy", "PolicyDocument"), "key": ("Key", "KeyPolicy"),
}



def snake(name):
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower()


def substituted(text, names):
    return re.sub(r"\$\{([A-Za-z]+)\}", lambda match: names[match.group(1)], text)


def policies(folder, template, alone):
    files = {path.stem for path in (folder / "terraform/policies").glob("*.json")}
    if files != set(POLICIES) | {"board-alone"}:
        yield f"policies of Terraform are {sorted(files)}"
    for name, (resource, where) in POLICIES.items():
        one = json.loads(substituted((folder / f"terraform/policies/{name}.json").read_text(), NAMES))
        if one != template.properties(resource)[where]:
            yield f"{name}: Terraform and CloudFormation differ"
    one = json.loads(substituted((folder / "terraform/policies/board-alone.json").read_text(), NAMES))
    if one != alone.properties("BoardPolicy")["PolicyDocument"]:
        yield "board-alone: Terraform and CloudFormation differ"


def parameters(folder, template):
    text = (folder / "terraform/variables.tf").read_text()
    blocks = re.findall(r'^variable "(\w+)" \{\n(.*?)^\}', text, re.M | re.S)
    there = {}
    for name, block in blocks:
        default = re.search(r"^  default\s+= (.*)$", block, re.M)
        there[name] = default.group(1).strip('"') if default else None
        if not re.search(r'^  description = "..+"$', block, re.M):
            yield f"variable {name} is not described"
    here = {snake(name): parameter for name, parameter in template.body["Parameters"].items()}
    if set(here) != set(there):
        yield f"only one of both has {sorted(set(here) ^ set(there))}"
    for name in set(here) & set(there):
        default = here[name].get("Default")
        if (None if default is None else str(default)) != there[name]:
            yield f"{name}: the default is {default} and {there[name]}"
        if not here[name].get("Description"):
            yield f"parameter {name} is not described"


def user_data(folder, template, product, out):
    raw, names = template.raw_user_data()
    text = (folder / "terraform/user-data.yaml").read_text()
    if raw != text:
        yield "the user data of CloudFormation is not that of Terraform"
    used = set(re.findall(r"\$\{([A-Za-z]+)\}", text))
    given = used & (set(names) | set(template.body["Parameters"]))
    block = (folder / "terraform/host.tf").read_text().partition('templatefile("${path.module}/user-data.yaml", {')[2].partition("})")[0]
    terraform = set(re.findall(r"^    (\w+)\s+=", block, re.M))
    for where, has in (("CloudFormation", given), ("Terraform", terraform)):
        if has != used:
            yield f"the user data uses {sorted(used ^ has)}, {where} does not, or the other way round"
    if re.search(r"\$\{(?![A-Za-z]+\})", text):
        yield "the user data has ${ that is no name"
    values = {name: template.value(names[name]) if name in names else template.ref(name) for name in given}
    config = yaml.safe_load(substituted(text, values))
    for file in config["write_files"]:
        target = out / file["path"].lstrip("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(file["content"])
        if file.get("permissions") == "0755":
            target.chmod(0o755)
    done = subprocess.run([product, "--config", out / "etc/ghevault/ghevault.toml", "--state", out / "state", "schedule"],
                          capture_output=True, text=True, timeout=60, env={"PATH": "/usr/bin:/bin", "HOME": str(out), "GHE_BACKUP_CONFIG": "none"})
    if done.returncode:
        yield f"ghevault.toml in the user data: {done.stderr.strip()}"


def bucket_policy(template, product):
    done = subprocess.run([product, "--vault", f"s3:{REGION}/{VAULT}/ghe", "vault", "policy", "bucket"],
                          capture_output=True, text=True, timeout=60, env={"PATH": "/usr/bin:/bin", "HOME": "/nonexistent", "GHE_BACKUP_CONFIG": "none"})
    if done.returncode:
        yield f"vault policy bucket: {done.stderr.strip()}"
    elif json.loads(done.stdout) != template.properties("VaultPolicy")["PolicyDocument"]:
        yield "the bucket's policy is not what `ghevault vault policy bucket` prints"


def identities(template, product):
    """What the product prints for each identity allows the same actions as the template, which are proven (policies.py)."""
    for whose, resource in (("runner", "RunnerPolicy"), ("maintenance", "PrunerPolicy"), ("locks", "LocksPolicy"), ("reader", "ReaderPolicy")):
        done = subprocess.run([product, "--vault", f"s3:{REGION}/{VAULT}/ghe", "vault", "policy", whose],
                              capture_output=True, text=True, timeout=60, env={"PATH": "/usr/bin:/bin", "HOME": "/nonexistent", "GHE_BACKUP_CONFIG": "none"})
        if done.returncode:
            yield f"vault policy {whose}: {done.stderr.strip()}"
            continue
        one, other = [actions(json.loads(done.stdout)), actions(template.properties(resource)["PolicyDocument"])]
        other.pop("Key", None)  # opens the vault, not the bucket
        if one != other:
            yield f"`vault policy {whose}` allows {one}, the template {other}"


def actions(document):
    """Of each statement what it allows, in order."""
    return {statement["Sid"]: sorted([statement["Action"]] if isinstance(statement["Action"], str) else statement["Action"])
            for statement in document["Statement"]}


def guards(template):
    """What no linter demands of these buckets and roles."""
    for bucket in ("Vault", "Board"):
        resource, properties = template.body["Resources"][bucket], template.properties(bucket)
        retention = properties.get("ObjectLockConfiguration", {}).get("Rule", {}).get("DefaultRetention", {})
        if properties.get("ObjectLockEnabled") is not True or retention.get("Mode") != "COMPLIANCE":
            yield f"{bucket} locks nothing"
        if properties.get("VersioningConfiguration") != {"Status": "Enabled"}:
            yield f"{bucket} keeps no versions"
        if resource.get("DeletionPolicy") != "Retain":
            yield f"{bucket} goes with the stack"
    if "KMSMasterKeyID" in json.dumps(template.properties("Vault")):
        yield "the vault's bucket is under KMS, so that the recovery kit would not open it"
    trusted = template.properties("Runner")["AssumeRolePolicyDocument"]["Statement"]
    if [statement["Principal"] for statement in trusted] != [{"Service": "ec2.amazonaws.com"}]:
        yield "somebody else than the host may be the runner"
    for name, document in template.policies().items():
        for statement in document["Statement"]:
            actions = statement["Action"] if isinstance(statement["Action"], list) else [statement["Action"]]
            if any("*" in action for action in actions):
                yield f"{name} allows a star"
            if statement["Resource"] == "*" and "Condition" not in statement:
                yield f"{name} allows it everywhere"
    for name in ("RunnerPolicy", "ReaderPolicy", "LocksPolicy"):
        if "Delete" in json.dumps(template.properties(name)):
            yield f"{name} lets delete"


def main():
    folder, product = pathlib.Path(sys.argv[1]), sys.argv[2]
    path = folder / "cloudformation/ghevault.yaml"
    template = Template(path, {"OtherAccount": OTHER, "OtherSealKey": "iojj3XQJ8ZX9UtstPLpdcspnCb8dlBIb83SIAbQPb1w=", "SshKey": "aws:kms:" + "QUJD" * 40}, KEY)
    alone = Template(path, {}, KEY)
    with tempfile.TemporaryDirectory() as scratch:
        out = pathlib.Path(sys.argv[3] if len(sys.argv) > 3 else scratch)
        faults = [*policies(folder, template, alone), *parameters(folder, template), *user_data(folder, template, product, out),
                  *bucket_policy(template, product), *identities(template, product), *guards(template)]
    print("\n".join(faults), file=sys.stderr)
    sys.exit(1 if faults else 0)


if __name__ == "__main__":
    main()
