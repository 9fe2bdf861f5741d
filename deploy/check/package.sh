#!/usr/bin/env bash
# package.sh BUILD-DEB GHEVAULT ROOT.tar: the package in a clean Debian: installed, configured, upgraded, removed, purged. Needs root.
set -euo pipefail
build=$1 program=$2 tar=$3
room=$(mktemp -d)
trap 'umount --quiet "$room/root/proc" || true; rm -rf --one-file-system "$room"' EXIT
export DPKG_DEB_COMPRESSOR_TYPE=none
root=$room/root
mkdir "$root"
tar --extract --file "$tar" --directory "$root" --exclude './dev/*'
mkdir -p "$root/proc"
mount -t proc proc "$root/proc" # the program starts itself again by it

inside() { chroot "$root" /usr/bin/env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin DEBIAN_FRONTEND=noninteractive "$@"; }
fail() {
  echo "package: $*" >&2
  exit 1
}

one=$("$build" "$program" "$room" 1.0)
[ "$(sha256sum <"$one")" = "$(mkdir "$room/again" && sha256sum <"$("$build" "$program" "$room/again" 1.0)")" ] || fail 'two builds differ'
# the next version brings another default
cp -r "$(dirname "$build")" "$room/next"
mkdir -p "$room/x/y"
cp "$(dirname "$build")/../../LICENSE-MIT" "$room/x/" 2>/dev/null || true
mv "$room/next" "$room/x/y/systemd"
echo '# new' >>"$room/x/y/systemd/ghevault.toml"
two=$("$room/x/y/systemd/build-deb" "$program" "$room" 1.1)
cp "$one" "$two" "$root/tmp/"

inside dpkg --install "/tmp/$(basename "$one")" >"$room/log" 2>&1 || { cat "$room/log" >&2; fail 'it does not install'; }
inside ghevault --version >/dev/null || fail 'the program does not run'
[ "$(stat --format '%a %U' "$root/etc/ghevault/secrets")" = '700 root' ] || fail 'secrets are open'
for unit in "$(dirname "$build")"/*.service "$(dirname "$build")"/*.timer; do
  [ -f "$root/lib/systemd/system/$(basename "$unit")" ] || fail "$(basename "$unit") is missing"
done
[ -z "$(find "$root/etc/systemd/system" -name 'ghevault*')" ] || fail 'something is enabled by the installation'
mkdir -p "$root/var/lib/private/ghevault/vault"
sed -i 's/ghe.example.com/ghe.mine/' "$root/etc/ghevault/ghevault.toml"
inside ghevault schedule >/dev/null || fail 'the configuration is not accepted'

inside dpkg --force-confold --install "/tmp/$(basename "$two")" >"$room/log" 2>&1 || { cat "$room/log" >&2; fail 'it does not upgrade'; }
grep --quiet ghe.mine "$root/etc/ghevault/ghevault.toml" || fail 'the configuration was overwritten'
# shellcheck disable=SC2016 # for dpkg
[ "$(inside dpkg-query --show --showformat '${Version}' ghevault)" = 1.1 ] || fail 'it is not upgraded'

inside dpkg --remove ghevault >"$room/log" 2>&1 || fail 'it is not removed'
[ ! -e "$root/usr/bin/ghevault" ] || fail 'the program stays'
grep --quiet ghe.mine "$root/etc/ghevault/ghevault.toml" || fail 'the configuration is gone with the program'
inside dpkg --purge ghevault >"$room/log" 2>&1 || fail 'it is not purged'
[ ! -e "$root/etc/ghevault/ghevault.toml" ] || fail 'the configuration stays'
[ -d "$root/var/lib/private/ghevault/vault" ] || fail 'the vault is gone'
