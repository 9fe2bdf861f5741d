#!/bin/sh
# S3 of both accounts: SeaweedFS, with the identities that cloud.py has written down.
set -eu
until [ -e /accounts/ready ]; do sleep 1; done
mkdir -p /tmp/seaweed
export WEED_MASTER_VOLUME_GROWTH_COPY_1=1
exec weed -logtostderr=true server -ip.bind=0.0.0.0 -dir=/tmp/seaweed -master.volumeSizeLimitMB=1024 -volume.max=200 \
  -volume.minFreeSpace=1 -s3 -s3.port=8333 -s3.config=/accounts/s3.json
