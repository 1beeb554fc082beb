#!/bin/bash
# need.sh PACKAGE.. - installs the Debian packages that are missing.
#
# Does nothing when all are there, and nothing but warn where there is no apt:
# what is really missing is then reported by whatever needs it.
set -u

missing=()
for package in "$@"; do
    status=$(dpkg-query -W -f='${db:Status-Status}' "$package" 2>/dev/null)
    [ "$status" = installed ] || missing+=("$package")
done
[ ${#missing[@]} -gt 0 ] || exit 0

if ! command -v apt-get >/dev/null; then
    echo "need.sh: no apt-get here; may be missing: ${missing[*]}" >&2
    exit 0
fi
root=()
[ "$(id -u)" = 0 ] || root=(sudo)
export DEBIAN_FRONTEND=noninteractive
echo "installing ${missing[*]}"
install=("${root[@]}" env DEBIAN_FRONTEND=noninteractive
    apt-get -o DPkg::Lock::Timeout=600 install -y -q --no-install-recommends "${missing[@]}")
"${install[@]}" >/dev/null 2>&1 && exit 0
"${root[@]}" apt-get update -q >/dev/null
"${install[@]}" >/dev/null
