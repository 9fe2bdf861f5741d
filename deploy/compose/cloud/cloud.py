"""KMS, STS and IAM of two accounts, played by moto with policies enforced; and what must be in them before anything else.

Writes into /accounts, for each account: *-role.json (credentials of the role under which the backup host runs: it may decrypt, nothing else),
*-runner.profile (a user with the same rights), *-operator.env (whoever sets up: may also make keys); and s3.json (who may do what in S3)."""

import json
import os
import secrets
import subprocess
import sys
import time
import urllib.request

import boto3

KMS = "http://127.0.0.1:5000"
PLACE = "/accounts"
REGION = "eu-central-1"
ACCOUNTS = {"a": "111111111111", "b": "222222222222"}
# moto compares statements about KMS with this resource only.
RUNNER = ["kms:Decrypt", "sts:GetCallerIdentity"]
OPERATOR = ["kms:*", "sts:GetCallerIdentity"]


def client(service, credentials):
    return boto3.client(
        service,
        endpoint_url=KMS,
        region_name=REGION,
        aws_access_key_id=credentials["AccessKeyId"],
        aws_secret_access_key=credentials["SecretAccessKey"],
        aws_session_token=credentials.get("SessionToken"),
    )


def assume(number, role):
    nobody = {"AccessKeyId": "x", "SecretAccessKey": "x"}
    arn = f"arn:aws:iam::{number}:role/{role}"
    return client("sts", nobody).assume_role(RoleArn=arn, RoleSessionName="host")["Credentials"]


def policy(actions, *resources):
    statement = {"Effect": "Allow", "Action": actions, "Resource": list(resources) or "*"}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def write(name, text):
    """Whole or not at all: others wait for these files."""
    path = os.path.join(PLACE, name)
    with open(path + ".new", "w", encoding="utf-8") as file:
        file.write(text)
    os.rename(path + ".new", path)


def account(name, number):
    """Role, users and KMS key of one account; returns who the users are for S3.

    The role is what the instance's metadata gives. The S3 server knows no session tokens, so whoever keeps a vault there is a user with the
    same rights."""
    root = assume(number, "root")
    iam = client("iam", root)
    iam.create_role(RoleName="runner", AssumeRolePolicyDocument=policy("sts:AssumeRole"))
    iam.put_role_policy(RoleName="runner", PolicyName="only", PolicyDocument=policy(RUNNER))
    made = {}
    for user, actions in [("runner", RUNNER), ("operator", OPERATOR)]:
        iam.create_user(UserName=user)
        iam.put_user_policy(UserName=user, PolicyName="only", PolicyDocument=policy(actions))
        made[user] = iam.create_access_key(UserName=user)["AccessKey"]
    key = client("kms", root).create_key(Description="ghevault")["KeyMetadata"]["Arn"]
    role, operator = assume(number, "runner"), made["operator"]
    write(f"{name}-role.json", json.dumps({
        "account": number,
        "region": REGION,
        "role": "runner",
        "access_key": role["AccessKeyId"],
        "secret_key": role["SecretAccessKey"],
        "token": role["SessionToken"],
    }))
    write(f"{name}-runner.profile", "[default]\naws_access_key_id = {AccessKeyId}\naws_secret_access_key = {SecretAccessKey}\n".format(**made["runner"]))
    write(f"{name}-operator.env", "".join(f"{key}={value}\n" for key, value in {
        "AWS_ACCESS_KEY_ID": operator["AccessKeyId"],
        "AWS_SECRET_ACCESS_KEY": operator["SecretAccessKey"],
        "KMS_KEY": key,
    }.items()))
    return [s3_identity(name, role, number, made[user]) for role, user in [("runner", "runner"), ("operator", "operator")]]


def s3_identity(name, role, number, key):
    """Both may put, get and list in the account's buckets; whoever sets up may also delete what was not locked."""
    actions = [f"{action}:{name}-vault" for action in ["Read", "Write", "List"]]
    return {
        "name": f"{name}-{role}",
        "account": {"id": number},
        "credentials": [{"accessKey": key["AccessKeyId"], "secretKey": key["SecretAccessKey"]}],
        **({"policyNames": [f"{name}-runner"]} if role == "runner" else {"actions": actions}),
    }


def s3_policy(name):
    """What a runner may do: no deletion among it."""
    arn = f"arn:aws:s3:::{name}-vault"
    statements = [
        {"Effect": "Allow", "Action": ["s3:PutObject", "s3:GetObject"], "Resource": arn + "/*"},
        {"Effect": "Allow", "Action": ["s3:ListBucket"], "Resource": arn},
    ]
    return {"name": f"{name}-runner", "content": json.dumps({"Version": "2012-10-17", "Statement": statements})}


def main():
    os.umask(0o022)
    environment = {**os.environ, "INITIAL_NO_AUTH_ACTION_COUNT": "9999", "MOTO_S3_ALLOW_CROSSACCOUNT_ACCESS": "false"}
    server = subprocess.Popen(["moto_server", "-H", "0.0.0.0", "-p", "5000"], env=environment)
    for _ in range(240):
        try:
            urllib.request.urlopen(KMS + "/moto-api/", timeout=5).read()
            break
        except OSError:
            if server.poll() is not None:
                sys.exit("moto does not start")
            time.sleep(0.25)
    admin = {"accessKey": "ADMIN", "secretKey": secrets.token_hex(20)}
    identities = [{"name": "admin", "credentials": [admin], "actions": ["Admin", "Read", "Write", "List", "Tagging"]}]
    for name, number in ACCOUNTS.items():
        identities += account(name, number)
    write("s3.json", json.dumps({"identities": identities, "policies": [s3_policy(name) for name in ACCOUNTS]}))
    # From here on policies hold.
    request = urllib.request.Request(KMS + "/moto-api/reset-auth", data=b"0", headers={"Content-Type": "text/plain"})
    urllib.request.urlopen(request, timeout=5).read()
    write("ready", "")
    print("the accounts are ready", flush=True)
    sys.exit(server.wait())


main()
