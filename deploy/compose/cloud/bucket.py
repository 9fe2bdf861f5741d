"""Makes a bucket that keeps versions and locks what is written for a day, as an administrator of S3 would. Argument: its name."""

import json
import sys

import boto3
from botocore.config import Config

with open("/accounts/s3.json", encoding="utf-8") as file:
    admin = next(one for one in json.load(file)["identities"] if one["name"] == "admin")["credentials"][0]
s3 = boto3.client(
    "s3",
    endpoint_url="http://s3:8333",
    region_name="eu-central-1",
    aws_access_key_id=admin["accessKey"],
    aws_secret_access_key=admin["secretKey"],
    config=Config(connect_timeout=3, read_timeout=10, retries={"max_attempts": 1}, s3={"addressing_style": "path"}),
)
name = sys.argv[1]
s3.create_bucket(Bucket=name, ObjectLockEnabledForBucket=True)
s3.put_object_lock_configuration(
    Bucket=name,
    ObjectLockConfiguration={"ObjectLockEnabled": "Enabled", "Rule": {"DefaultRetention": {"Mode": "COMPLIANCE", "Days": 1}}},
)
