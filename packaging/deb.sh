#!/bin/bash
# deb.sh LIBRARY VERSION FOLDER - a Debian package, libsqlite3-mod-nadb: after
# it `.load mod_nadb` and `.load nadb` work. Prints its path, last.
set -eu
library=$1 version=$2 folder=$3
cd "$(dirname "$0")/.."

bash test/support/need.sh dpkg-dev binutils
name=libsqlite3-mod-nadb
arch=$(dpkg --print-architecture)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
root=$work/$name
libdir=$root/usr/lib/$(dpkg-architecture -qDEB_HOST_MULTIARCH)
docdir=$root/usr/share/doc/$name
mkdir -p "$libdir/nadb" "$docdir" "$root/usr/share/man/man7" "$root/DEBIAN"
maintainer="nadb developers <nadb@localhost.invalid>"

# It is nothing to link with, so it has a folder of its own; the names that
# SQLite looks for lead there.
install -m 644 "$library" "$libdir/nadb/mod_nadb.so"
ln -s nadb/mod_nadb.so "$libdir/mod_nadb.so"
ln -s nadb/mod_nadb.so "$libdir/nadb.so"
gzip -9n <docs/nadb.7 >"$root/usr/share/man/man7/nadb.7.gz"
gzip -9n <CHANGELOG.md >"$docdir/CHANGELOG.md.gz"
seconds=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct 2>/dev/null ||
    stat -c %Y CHANGELOG.md)}
gzip -9n >"$docdir/changelog.gz" <<CHANGELOG
$name ($version) unstable; urgency=medium

  * What has changed is in CHANGELOG.md.

 -- $maintainer  $(LC_ALL=C date -u -R -d "@$seconds")
CHANGELOG
{
    echo "Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/"
    echo
    echo "Files: *"
    sed -n 's/^Copyright (c) /Copyright: /p' LICENSE
    echo "License: Expat"
    sed -n '/^Permission/,$p' LICENSE | sed 's/^$/./; s/^/ /'
} >"$docdir/copyright"

# What the library needs, as Debian's own tool finds it.
mkdir "$work/debian"
printf 'Source: nadb\n\nPackage: %s\nArchitecture: any\n' $name \
    >"$work/debian/control"
depends=$(cd "$work" && dpkg-shlibdeps -O --ignore-missing-info \
    "$libdir/nadb/mod_nadb.so" 2>/dev/null | sed -n 's/^shlibs:Depends=//p')
size=$(du -sk --exclude=DEBIAN "$root" | cut -f1)
cat >"$root/DEBIAN/control" <<CONTROL
Package: $name
Version: $version
Section: libs
Priority: optional
Architecture: $arch
Multi-Arch: same
Maintainer: $maintainer
Depends: ${depends:-libc6}
Enhances: sqlite3
Installed-Size: $size
Description: key-value store as a virtual table of SQLite
 A table USING nadb has keys, values, tags and expiry, and takes part in
 SQLite's transactions. Its rows are in a log-structured store beside the
 database file, in memory, or on a Redis server.
CONTROL
echo "activate-noawait ldconfig" >"$root/DEBIAN/triggers"
find "$root" -type d -exec chmod 755 {} +
find "$root" -type f -exec chmod 644 {} +
dpkg-deb --root-owner-group --build "$root" \
    "$folder/${name}_${version}_$arch.deb" >/dev/null
echo "$folder/${name}_${version}_$arch.deb"
