#!/usr/bin/env bash
# volume.sh SCRIPT: what the host's user data does with volumes that are empty, known, foreign. Needs root and loop devices.
set -euo pipefail
script=$1
room=$(mktemp -d)
loops=()
leave() {
  umount --quiet "$room/data" || true
  for loop in "${loops[@]}"; do losetup --detach "$loop"; done
  rm -rf "$room"
}
trap leave EXIT

disk() { # disk NAME: an empty volume; its device is in $loop
  truncate --size 64M "$room/$1"
  loop=$(losetup --find --show "$room/$1")
  loops+=("$loop")
}
left_alone() { # left_alone WHAT: the script refuses the volume, and changes no byte of it
  local before
  before=$(sha256sum <"$loop")
  if "$script" "$loop" "$room/data" 10001 2>"$room/said"; then
    echo "$1 was mounted" >&2
    return 1
  fi
  grep --quiet 'left alone' "$room/said"
  if [ "$(sha256sum <"$loop")" != "$before" ]; then
    echo "$1 was changed" >&2
    return 1
  fi
}

disk empty
"$script" "$loop" "$room/data" 10001
mountpoint --quiet "$room/data"
[ "$(stat --format %u "$room/data/state")" = 10001 ]
echo kept >"$room/data/state/file"
"$script" "$loop" "$room/data" 10001 # a second time, mounted
umount "$room/data"
"$script" "$loop" "$room/data" 10001 # after a reboot
[ "$(cat "$room/data/state/file")" = kept ]
umount "$room/data"

disk swap
mkswap "$loop" >"$room/said"
left_alone 'another kind of volume'
disk parts
printf '\0\0\0\0\203\0\0\0\1\0\0\0\377\0\0\0' | dd of="$loop" bs=1 seek=446 conv=notrunc status=none
printf '\125\252' | dd of="$loop" bs=1 seek=510 conv=notrunc status=none
left_alone 'a volume with partitions'
disk unknown
echo precious | dd of="$loop" bs=512 seek=4000 conv=notrunc status=none
left_alone 'a volume with data that nobody knows'
