#!/bin/bash
# packages.sh - what `make deb`, `npm`, `wheel` and `sqlpkg` make, looked at and
# put where their users put it: an empty project of Node, a virtual environment
# of Python. apt-get has its turn in test/fresh/machine.sh. Each prints its file,
# last. Ends with "N passed, N failed".
set -u
cd "$(dirname "$0")/../.." || exit 1
. test/support/tally.sh

unset MAKEFLAGS MAKELEVEL MFLAGS
bash test/support/need.sh lintian python3-venv || echo "cannot install packages"
log=$PWD/build/packages-test
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
rm -rf "$log"
mkdir -p "$log"
file=

say() { tell "$1" "$2" "$log/$1.log"; } # NAME STATUS

# make TARGET; $file is what it has made.
package() {
    file=$(${MAKE:-make} -s "$1" 2>"$log/make-$1.log" | tail -n 1)
    [ -s "$file" ]
    say "make-$1" $?
    file=$PWD/$file
}

version=$(sed -n 's/^#define NADB_VERSION "\(.*\)"$/\1/p' core/nadb.h)
[ "$(sqlite3 :memory: '.load ./build/nadb' 'SELECT nadb_version()' \
    2>"$log/version.log")" = "$version" ]
say version $?

package deb
lintian --allow-root --tag-display-limit 0 --fail-on warning,error "$file" \
    >"$log/lintian.log" 2>&1
say lintian $?
(dpkg-deb -x "$file" "$place/deb" && cd "$place"/deb/usr/lib/*-*/ &&
    [ "$(sqlite3 :memory: '.load ./mod_nadb' 'SELECT nadb_version()')" = \
        "$version" ] &&
    [ "$(sqlite3 :memory: '.load ./nadb' 'SELECT nadb_version()')" = \
        "$version" ] &&
    [ "$(dpkg-deb -f "$file" Version)" = "$version" ]) >"$log/deb.log" 2>&1
say deb $?

# With node:sqlite where Node has it, with better-sqlite3 where `make orms` has
# compiled it; and the path that it names with the shell.
if command -v npm >/dev/null; then
    package npm
    mkdir "$place/npm"
    (cd "$place/npm" && npm init -y && npm install --offline --no-audit \
        --no-fund "$file") >"$log/npm-install.log" 2>&1
    say npm-install $?
    cat >"$place/npm/test.js" <<'JS'
const nadb = require('sqlite-nadb');
let db;
try {
    const { DatabaseSync } = require('node:sqlite');
    db = new DatabaseSync('x.db', { allowExtension: true });
} catch {
    try {
        db = new (require('better-sqlite3'))('x.db');
    } catch {
        console.log('not run: nadb.load(db): this Node has neither',
            'node:sqlite nor better-sqlite3');
    }
}
if (db !== undefined) {
    nadb.load(db);
    db.exec('CREATE VIRTUAL TABLE kv USING nadb');
    db.prepare('INSERT INTO kv(key, value) VALUES(?, ?)').run('a', 'one');
    const row = db.prepare("SELECT value FROM kv WHERE key = 'a'").get();
    if (row.value !== 'one') throw new Error(JSON.stringify(row));
}
console.log(nadb.getLoadablePath());
JS
    (cd "$place/npm" && NODE_PATH=$log/../js/node_modules node test.js) \
        >"$log/npm.log" 2>&1
    say npm $?
    grep '^not run: ' "$log/npm.log"
    [ "$(sqlite3 :memory: ".load $(tail -n 1 "$log/npm.log")" \
        'SELECT nadb_version()' 2>>"$log/npm-path.log")" = "$version" ]
    say npm-path $?
else
    echo "not run: make npm: there is no npm"
fi

package wheel
# Debian's own Python: others may be built without loading of extensions.
python=/usr/bin/python3
[ -x $python ] || python=python3
($python -m venv "$place/venv" &&
    "$place/venv/bin/pip" install --no-index "$file") \
    >"$log/wheel-install.log" 2>&1
say wheel-install $?
cat >"$place/test.py" <<'PY'
import os
import sqlite3
from importlib.metadata import version

import nadb

db = sqlite3.connect("py.db")
nadb.load(db)
db.execute("CREATE VIRTUAL TABLE kv USING nadb")
db.execute("INSERT INTO kv(key, value) VALUES(?, ?)", ("a", b"\0one"))
assert list(db.execute("SELECT value FROM kv")) == [(b"\0one",)]
assert db.execute("SELECT nadb_version()").fetchone()[0] == version("nadb")
assert os.path.isfile(nadb.loadable_path())
PY
(cd "$place" && venv/bin/python test.py) >"$log/wheel.log" 2>&1
say wheel $?

package sqlpkg
python3 - "$file" "$version" "$place" >"$log/sqlpkg.log" 2>&1 <<'PY'
import json
import sys
import tarfile

path, version, place = sys.argv[1:4]
with open(path) as f:
    spec = json.load(f)
assert spec["version"] == version, spec
assert spec["owner"] and spec["name"] == "nadb", spec
for archive in spec["assets"]["files"].values():
    with tarfile.open(f"{spec['assets']['path']}/{archive}") as tar:
        assert tar.getnames() == ["nadb.so"], tar.getnames()
        tar.extractall(f"{place}/sqlpkg")
PY
code=$?
[ $code = 0 ] && [ "$(sqlite3 :memory: ".load $place/sqlpkg/nadb" \
    'SELECT nadb_version()' 2>>"$log/sqlpkg.log")" = "$version" ]
say sqlpkg $?

# The version is written down once: elsewhere it is an example at most.
git grep -nF "$version" -- . ':!docs' ':!*.md' ':!core/nadb.h' \
    ':!test/fixtures' 2>/dev/null |
    grep -vE "[0-9]\.?${version//./\\.}|${version//./\\.}\.?[0-9]" \
        >"$log/one-version.log"
[ ! -s "$log/one-version.log" ]
say one-version $?
tally
