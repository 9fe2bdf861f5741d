#!/usr/bin/env bash
# services.sh PACKAGE.deb ROOT.tar: the package in a container whose first process is systemd. Needs docker.
# PrivateUsers is off there: such a container may make no user namespaces.
set -euo pipefail
package=$1 tar=$2
name=ghevault-services-$$
leave() {
  docker rm --force "$name" >/dev/null 2>&1 || true
  docker rmi "$name:test" >/dev/null 2>&1 || true
}
trap leave EXIT
fail() {
  echo "services: $*" >&2
  inside journalctl --no-pager --lines 15 >&2 || true
  exit 1
}
inside() { timeout 120 docker exec "$name" "$@"; }
until_true() { # until_true COMMAND...: at most 30 s
  local n
  for n in $(seq 60); do
    if inside "$@" >/dev/null 2>&1; then return 0; fi
    sleep 0.5
  done
  echo "waited $n times for: $*" >&2
  return 1
}

docker import "$tar" "$name:test" >/dev/null
docker run --detach --name "$name" --cap-add SYS_ADMIN --security-opt seccomp=unconfined --security-opt apparmor=unconfined \
  --cgroupns=private --tmpfs /run --tmpfs /tmp --network none "$name:test" /lib/systemd/systemd >/dev/null
until_true systemctl is-system-running || fail 'systemd does not come up'
inside mount --make-rshared / # as on a machine; secrets are handed over by a mount
docker cp "$package" "$name:/root.deb"
inside dpkg --install /root.deb >/dev/null || fail 'it does not install'
# shellcheck disable=SC2016 # for the shell inside
inside sh -c 'for unit in ghevault ghevault@; do
    mkdir -p "/etc/systemd/system/$unit.service.d"
    printf "[Service]\nPrivateUsers=no\n" >"/etc/systemd/system/$unit.service.d/container.conf"
  done
  umask 077; echo correct horse >/etc/ghevault/secrets/password; echo none >/etc/ghevault/secrets/ssh_key
  systemctl daemon-reload'

inside ghevault-once init >/dev/null || fail 'init as the service does not make a vault'
inside systemctl start --no-block ghevault
until_true bash -c 'exec 3<>/dev/tcp/127.0.0.1/9122; printf "GET /healthz HTTP/1.0\r\n\r\n" >&3; grep -q "200 OK" <&3' || fail 'the daemon does not answer'
process=$(inside systemctl show --property=MainPID --value ghevault)
inside sh -c "grep -q '^CapEff:.*0000000000000000' /proc/$process/status && ! grep -q '^Uid:.0' /proc/$process/status" || fail 'the daemon has rights'
# a run beside the daemon: same user, same folder, the secret in memory; the vault opens, and is empty
inside systemctl start --no-block ghevault@verify
until_true sh -c 'journalctl --no-pager --unit ghevault@verify | grep -q " 0 snapshots"' || fail 'verify does not open the vault'
[ "$(inside sh -c 'stat --format %u /var/lib/private/ghevault/vault /var/lib/private/ghevault/state | sort -u | wc -l')" = 1 ] || fail 'they are different users'
[ "$process" = "$(inside systemctl show --property=MainPID --value ghevault)" ] || fail 'the daemon was disturbed'
inside systemctl stop ghevault || fail 'it does not stop'
[ "$(inside systemctl show --property=ExecMainStatus --value ghevault)" = 0 ] || fail 'the daemon ended badly'
inside sh -c '! grep -rqs "correct horse" /var/lib/private/ghevault/state /var/log' || fail 'the password is on disk'
inside dpkg --remove ghevault >/dev/null 2>&1 || fail 'it is not removed'
inside test -d /var/lib/private/ghevault/vault || fail 'the vault is gone'
