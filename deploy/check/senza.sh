#!/usr/bin/env bash
# senza.sh DEPLOY SENZA-BIN CFN-LINT GHEVAULT: the Senza definition rendered against an emulator of AWS, and judged.
set -euo pipefail
definition=$1/senza/ghevault.yaml senza=$2 lint=$3 program=$4
room=$(mktemp -d)
server=
leave() {
  [ -z "$server" ] || { kill "$server" 2>/dev/null && wait "$server" 2>/dev/null; } || true
  rm -rf "$room"
}
trap leave EXIT
fail() {
  echo "senza: $*" >&2
  exit 1
}

# a machine image of Taupage, whose root lies on EBS
cat >"$room/amis.json" <<'JSON'
[{"ami_id": "ami-0a0b0c0d0e0f01020", "name": "Taupage-AMI-20200324-121820", "description": "Taupage", "owner_id": "123456789012", "public": false,
  "state": "available", "virtualization_type": "hvm", "architecture": "x86_64", "image_type": "machine", "hypervisor": "xen",
  "root_device_name": "/dev/sda1", "root_device_type": "ebs", "sriov": "simple", "platform": null}]
JSON
unset "${!AWS_@}"
export AWS_ACCESS_KEY_ID=none AWS_SECRET_ACCESS_KEY=none AWS_DEFAULT_REGION=eu-central-1 AWS_CONFIG_FILE=/dev/null AWS_EC2_METADATA_DISABLED=true HOME=$room
port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
export AWS_ENDPOINT_URL=http://127.0.0.1:$port
MOTO_AMIS_PATH=$room/amis.json moto_server -H 127.0.0.1 -p "$port" >"$room/moto.log" 2>&1 &
server=$!
for _ in $(seq 240); do
  if curl --fail --silent --output /dev/null "$AWS_ENDPOINT_URL/moto-api/"; then break; fi
  kill -0 "$server" 2>/dev/null || fail "the emulator does not start: $(tail -3 "$room/moto.log")"
  sleep 0.25
done
"$senza/python" - <<'PYTHON'
import boto3
boto3.client("iam").create_role(RoleName="ghevault-runner", AssumeRolePolicyDocument="{}")
ec2 = boto3.client("ec2")
ec2.create_security_group(GroupName="app-ghevault", Description="ghevault", VpcId=ec2.describe_vpcs()["Vpcs"][0]["VpcId"])
PYTHON
"$senza/senza" print --force "$definition" 1 0.1.0 --region eu-central-1 >"$room/out.json" 2>"$room/said" || fail "it does not render: $(head -3 "$room/said" "$room/out.json")"
code=0
"$lint" --regions eu-central-1 -- "$room/out.json" >"$room/findings" || code=$?
# 4: warnings alone; Senza still makes launch configurations (W3697), parameters of what it
# has put into the text itself (W2001), and mappings that nothing uses (W7001)
if [ $code != 0 ] && { [ $code != 4 ] || grep -E '^[WE][0-9]' "$room/findings" | grep -qvE '^W(2001|3697|7001) '; }; then
  cat "$room/findings" >&2
  fail 'cfn-lint refuses it'
fi
"$senza/python" "$(dirname "$0")/taupage.py" "$room/out.json" "$program"
