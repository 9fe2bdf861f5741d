#!/usr/bin/env bash
# Copies an appliance as backup-utils' users know it: rsync with --link-dest against the last copy, repositories in the
# four passes of contract §3.1 so that references are read before objects; the rest in one pass each. No gate, no
# databases, no checks: less than any product may do, so a low bar for speed.
#
#   linkdest.sh DEST [PREVIOUS]      with RSYNC_RSH = an ssh command line, APPLIANCE = host
set -euo pipefail
dest=$1 previous=${2:-}
: "${RSYNC_RSH:?}" "${APPLIANCE:?}"
mkdir -p "$dest"

$RSYNC_RSH "$APPLIANCE" 'github-env ./bin/dgit-cluster-backup-routes' | cut -d ' ' -f 1 >"$dest.routes"
[ -s "$dest.routes" ] || { echo "the appliance lists no repositories" >&2; exit 1; }

# Where a bare repository may be: old layout, gist, network.
places=('/*/*.git' '/*/??/??/??/gist/*.git' '/*/nw/??/??/??/*/*.git')

rules() { # rules RULE...: a filter in which @ stands for each place; all folders above repositories are included
  printf '%s\n' '- /__*__/' '- /info/' '+ /*/' '+ /*/nw/' '+ /*/nw/??/' '+ /*/nw/??/??/' '+ /*/nw/??/??/??/' \
    '+ /*/nw/??/??/??/*/' '+ /*/??/' '+ /*/??/??/' '+ /*/??/??/??/' '+ /*/??/??/??/gist/'
  local place rule
  for place in "${places[@]}"; do
    echo "+ $place/"
    for rule in "$@"; do echo "${rule/@/$place}"; done
  done
}

pull() { # pull USER FOLDER OPTION...
  local user=$1 folder=$2
  shift 2
  rsync -a "$@" --rsync-path="sudo -u $user rsync" ${previous:+--link-dest="$previous/$folder"} \
    "$APPLIANCE:/data/user/$folder/" "$dest/$folder/"
}

pass() { # pass OPTION-OR-EMPTY RULE...
  local option=$1
  shift
  rules "$@" | pull git repositories -r ${option:+"$option"} --files-from="$dest.routes" --ignore-missing-args \
    --include-from=- --exclude='*'
}

pass '' '- @/objects' '- @/refs' '- @/packed-refs' '- @/logs' '+ @/**'
pass '' '+ @/packed-refs'
pass '' '+ @/refs' '+ @/refs/**' '+ @/logs' '+ @/logs/**'
pass -H '- @/objects/**/tmp_*' '+ @/objects' '+ @/objects/**'
pull git repositories --exclude=/__nodeload_archives__/ --exclude=/__gitmon__/ --exclude=/__render__/ \
  --exclude=/info/lost+found/ --include='/__*__/' --include='/__*__/**' --include=/info/ --include='/info/*' \
  --exclude='*'

pull git pages
pull alambic storage
pull git git-hooks
pull elasticsearch elasticsearch
