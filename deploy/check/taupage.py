"""What Taupage would do with a rendered Senza definition: python taupage.py RENDERED.json GHEVAULT"""

import json
import pathlib
import re
import subprocess
import sys
import tempfile

import yaml


def words(node):
    """The text of a node in which references stand as parameters' names."""
    if isinstance(node, dict):
        (function, operand), = node.items()
        if function == "Fn::Join":
            return operand[0].join(words(part) for part in operand[1])
        if function == "Fn::Base64":
            return words(operand)
        return f"<{operand}>"
    return str(node)


def faults(rendered, program):
    resources = rendered["Resources"].values()
    kinds = {resource["Type"]: resource["Properties"] for resource in resources}
    group = kinds["AWS::AutoScaling::AutoScalingGroup"]
    if (int(group["MinSize"]), int(group["MaxSize"])) != (1, 1):
        yield "more than one machine: a vault has one writer"
    text = words(kinds["AWS::AutoScaling::LaunchConfiguration"]["UserData"])
    if not text.startswith("#taupage-ami-config"):
        yield "the user data is not Taupage's"
    config = yaml.safe_load(text)
    if config.get("root") or not config.get("read_only"):
        yield "the container is root, or may write its root file system"
    if not re.fullmatch(r"[a-z0-9.-]+/[a-z0-9-]+/[a-z0-9-]+:(?!latest$)(?!.*SNAPSHOT).+", config["source"]):
        yield f"Taupage refuses the image {config['source']}"
    if config.get("health_check_path") != "/healthz" or config.get("health_check_port") not in config.get("ports", {}):
        yield "Taupage does not see whether it works"
    if "erase_on_boot" in text:
        yield "the volume is formatted at each boot"
    if "/data" not in config.get("mounts", {}) or not config.get("volumes", {}).get("ebs"):
        yield "nothing is mounted at /data"
    if any(re.search("key|password|secret", name, re.I) for name in config["environment"]):
        yield "a secret is in the environment, and so in `docker inspect`"
    with tempfile.TemporaryDirectory() as folder:
        # the program with Taupage's environment and its file, and nothing else
        pathlib.Path(folder, "taupage.yaml").write_text("#taupage-ami-config\n" + yaml.safe_dump(config))
        pathlib.Path(folder, "ghevault.toml").write_text('[schedule]\nbackup = "business-hours"\n')
        environment = {name: str(value).replace("/data/", f"{folder}/") for name, value in config["environment"].items()}
        environment |= {"PATH": "/usr/bin:/bin", "GHE_BACKUP_CONFIG": "none", "GHEVAULT_META": folder}
        done = subprocess.run([program, "schedule"], env=environment, capture_output=True, text=True, timeout=60)
        if done.returncode:
            yield f"the program refuses it: {done.stderr.strip()}"
        # the key must be found in Taupage's file: without credentials it is KMS that is asked for
        environment |= {"AWS_REGION": "eu-central-1", "AWS_ENDPOINT_URL": "http://127.0.0.1:9", "AWS_ACCESS_KEY_ID": "none", "AWS_SECRET_ACCESS_KEY": "none"}
        done = subprocess.run([program, "key", "public"], env=environment, capture_output=True, text=True, timeout=120)
        if "KMS" not in done.stderr:
            yield f"the SSH key is not looked for in taupage.yaml: {done.stderr.strip()}"


def main():
    found = [*faults(json.loads(pathlib.Path(sys.argv[1]).read_text()), sys.argv[2])]
    print("\n".join(found), file=sys.stderr)
    sys.exit(1 if found else 0)


if __name__ == "__main__":
    main()
