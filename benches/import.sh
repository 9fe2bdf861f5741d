#!/bin/bash
# Measures an import of ten hard-linked snapshots of backup-utils: time, bytes read, and bytes stored against what the
# directory shows and what it takes on disk.
#
#   benches/import.sh [SCALE] [SNAPSHOTS]
#
# The directory is made from a simulated appliance: one export, then copies with hard links (`cp -al`, as backup-utils'
# `rsync --link-dest` leaves them), each with new packs and references and a new MySQL dump. Set GHEVAULT_BIN to a folder
# with both programs; otherwise release builds are made.
set -euo pipefail
scale=${1:-demo}
count=${2:-10}
here=$(cd "$(dirname "$0")/.." && pwd)
if [ -z "${GHEVAULT_BIN:-}" ]; then
  (cd "$here" && cargo build --quiet --release -p ghevault-sim -p ghevault)
  GHEVAULT_BIN=${CARGO_TARGET_DIR:-$here/target}/release
fi
work=$(mktemp -d "${TMPDIR:-/tmp}/ghevault-import.XXXXXX")
door=
finish() {
  [ -n "$door" ] && kill "$door" 2>/dev/null
  rm -rf "$work"
}
trap finish EXIT

"$GHEVAULT_BIN/ghevault-sim" create "$work/appliance" --seed 11 --scale "$scale" --stored-databases > /dev/null
"$GHEVAULT_BIN/ghevault-sim" serve "$work/appliance" > "$work/door" 2> "$work/door.err" &
door=$!
for _ in $(seq 600); do [ -s "$work/door" ] && break; sleep 0.05; done
host=$(jq -r '"\(.host):\(.port)"' "$work/door")
echo secret > "$work/password"
chmod 600 "$work/password"
export GHEVAULT_HOST=admin@$host GHEVAULT_SSH_KEY=file:$work/appliance/keys/client GHEVAULT_PASSWORD=file:$work/password
export GHEVAULT_STATE=$work/state GHEVAULT_VAULT=$work/first
"$GHEVAULT_BIN/ghevault" trust --accept "$(jq -r .host_key "$work/door")" > /dev/null
"$GHEVAULT_BIN/ghevault" init > /dev/null
"$GHEVAULT_BIN/ghevault" backup --quiet > /dev/null
"$GHEVAULT_BIN/ghevault" export latest "$work/data" --name 20260101T000000 --quiet > /dev/null
before=20260101T000000
for n in $(seq 1 $((count - 1))); do
  name=$(printf '20260101T%02d0000' "$n")
  cp -al "$work/data/$before" "$work/data/$name"
  repositories=$(find "$work/data/$name/repositories" -type d -name '*.git' | sort | awk -v n="$n" 'NR % 20 == n % 20')
  for repository in $repositories; do
    head -c 200000 /dev/urandom > "$repository/objects/pack/pack-$(head -c 20 /dev/urandom | od -An -tx1 | tr -d ' \n').pack"
    printf '%040d\n' "$n" > "$repository/refs/heads/hour-$n"
  done
  for file in mysql.sql.gz redis.rdb; do
    cp --remove-destination "$work/data/$before/$file" "$work/data/$name/$file.new"
    mv "$work/data/$name/$file.new" "$work/data/$name/$file"
  done
  zcat "$work/data/$before/mysql.sql.gz" | sed "1i -- hour $n" | gzip -1 > "$work/mysql"
  mv "$work/mysql" "$work/data/$name/mysql.sql.gz"
  before=$name
done
apparent=$(for name in "$work"/data/2*; do du -sb --apparent-size "$name" | cut -f1; done | paste -sd+ | bc)
on_disk=$(du -sB1 "$work/data" | cut -f1)
files=$(find "$work/data" -type f | wc -l)

export GHEVAULT_VAULT=$work/vault
"$GHEVAULT_BIN/ghevault" init > /dev/null
/usr/bin/env time -f '%e s, %M KiB of memory at most' -o "$work/time" \
  "$GHEVAULT_BIN/ghevault" import "$work/data" --json --quiet > "$work/report" || true
"$GHEVAULT_BIN/ghevault" import "$work/data" --json --quiet > "$work/again"
"$GHEVAULT_BIN/ghevault" verify --quiet > /dev/null && verified=yes || verified=no
"$GHEVAULT_BIN/ghevault" backup --json --quiet > "$work/backup" || true
jq -n --arg scale "$scale" --argjson apparent "$apparent" --argjson disk "$on_disk" --argjson files "$files" --arg time "$(cat "$work/time")" \
  --arg verified "$verified" --argjson vault "$(du -sB1 "$work/vault" | cut -f1)" \
  --slurpfile report "$work/report" --slurpfile again "$work/again" --slurpfile backup "$work/backup" '
  ($report[-1]) as $r | {scale: $scale, snapshots: ($r.snapshots | length), outcome: $r.outcome, files: $files, bytes_shown: $apparent, bytes_on_disk: $disk,
   bytes_read: $r.bytes_read, bytes_added: $r.bytes_added, vault_on_disk: $vault, run: $time,
   per_snapshot: [$r.snapshots[] | {name, seconds, bytes_read, bytes_added}], seconds_again: $again[-1].seconds, verified: $verified,
   next_backup: {outcome: $backup[-1].outcome, bytes_read: $backup[-1].bytes_read, bytes_added: $backup[-1].bytes_added}}'
