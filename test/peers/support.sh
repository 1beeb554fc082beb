# support.sh - what the run.sh of each peer begins with:
#
#     source "$(dirname "$0")/../support.sh"
#
# It goes to the project's folder and sets `here`, the peer's folder, `lib`, the
# library (the first argument, or build/nadb.so), and `work`, a folder that is
# removed in the end. A peer ends with `finish PASSED FAILED`.
# shellcheck shell=bash disable=SC2034 # variables for those who source it
set -u
here=$(cd "$(dirname "$0")" && pwd)
lib=$(realpath "${1:-$here/../../../build/nadb.so}")
cd "$here/../../.." || exit 1
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
js=$PWD/build/peers/js

need() { bash test/support/need.sh "$@" >&2; }

finish() {
    echo "$1 passed, $2 failed"
    [ "$2" -eq 0 ]
    exit
}

# tap COMMAND.. - runs a program that prints TAP, and ends with its counts.
tap() {
    local code passed failed
    "$@" >"$work/log" 2>&1
    code=$?
    grep -A 12 '^not ok' "$work/log"
    passed=$(grep '^ok ' "$work/log" | grep -civ '# *\(skip\|todo\)')
    failed=$(grep -c '^not ok ' "$work/log")
    grep -i '^ok .*# *skip' "$work/log" | sed 's/^ok [^#]*# */excluded: /'

    [ $code -eq 0 ] || [ "$failed" -gt 0 ] || {
        tail -n 20 "$work/log"
        failed=1
    }
    finish "$passed" "$failed"
}

# Ends a peer that cannot run on this machine.
not_run() {
    echo "not run: $*"
    exit 77
}

# npm_packages PACKAGE.. - into build/peers/js, without their scripts but that
# of better-sqlite3, which is compiled where no binary fits, or taken from the
# bindings' tests.
npm_packages() {
    local driver=$js/node_modules/better-sqlite3
    local other=build/js/node_modules/better-sqlite3
    command -v npm >/dev/null || need nodejs npm
    mkdir -p "$js"
    {
        [ -e "$js/package.json" ] || (cd "$js" && npm init -y)
        # npm 9 of Debian 12 and 13 stumbles over the peers of vitest.
        (cd "$js" && npm install --ignore-scripts --legacy-peer-deps \
            --no-audit --no-fund better-sqlite3@12 "$@")
    } >"$work/npm.log" 2>&1 || {
        tail -n 5 "$work/npm.log" >&2
        not_run "npm cannot install $*"
    }
    if ! [ -d "$driver/build/Release" ]; then
        if cmp -s "$driver/package.json" "$other/package.json" &&
            [ -d "$other/build/Release" ]; then
            cp -r "$other/build" "$driver"
        else
            command -v g++ >/dev/null || need g++ make python3
            (cd "$js" && npm install-scripts approve better-sqlite3
                npm rebuild better-sqlite3) >"$work/npm.log" 2>&1
        fi
    fi
    (cd "$js" && node -e "new (require('better-sqlite3'))(':memory:')") ||
        not_run "no better-sqlite3 works with $(node --version)"
}

# apt_of RELEASE deb|deb-src - knows the packages of a release of Debian, in
# `place`, with `options` for apt-get; the system's own lists stay as they are.
apt_of() {
    local mirror
    place=$work/apt-$1
    mkdir -p "$place/parts" "$place/lists/partial" \
        "$place/cache/archives/partial"
    mirror=$(apt-get indextargets \
        --format '$(REPO_URI) $(COMPONENT) $(ORIGIN)' |
        awk '$2 == "main" && $3 == "Debian" && $1 !~ /security/ \
            { print $1; exit }')
    echo "$2 $mirror $1 main" >"$place/parts/peers.list"
    options=(-q -o "Dir::Etc::SourceList=$place/none"
        -o "Dir::Etc::SourceParts=$place/parts"
        -o "Dir::State::Lists=$place/lists" -o "Dir::Cache=$place/cache"
        -o "APT::Sandbox::User=")
    apt-get "${options[@]}" update >"$place/log" 2>&1
}

# debian_source PACKAGE - unpacks a source package, of this system's release of
# Debian or of the next one, into build/peers/PACKAGE, and sets `source` to that
# folder.
debian_source() {
    local release
    source=$PWD/build/peers/$1
    [ -d "$source" ] && return
    for release in "$(. /etc/os-release && echo "$VERSION_CODENAME")" trixie; do
        apt_of "$release" deb-src && (cd "$place" &&
            apt-get "${options[@]}" source --download-only --tar-only "$1") \
            >"$place/log" 2>&1 || continue
        mkdir -p "$source.new" &&
            tar -xf "$place"/*.orig.tar.* -C "$source.new" \
                --strip-components=1 && mv "$source.new" "$source" && return
    done
    tail -n 3 "$place/log" >&2
    not_run "apt cannot fetch the source package $1"
}

# debian_package PACKAGE - unpacks a package of the next release of Debian into
# build/peers/PACKAGE, and sets `package` to that folder.
debian_package() {
    package=$PWD/build/peers/$1
    [ -d "$package" ] && return
    apt_of trixie deb &&
        (cd "$place" && apt-get "${options[@]}" download "$1") \
            >"$place/log" 2>&1 && mkdir -p "$package.new" &&
        dpkg-deb -x "$place/$1"_*.deb "$package.new" &&
        mv "$package.new" "$package" && return
    tail -n 3 "$place/log" >&2
    not_run "apt cannot fetch the package $1"
}

# junit COMMAND.. - runs a program that writes its results into the JUnit file
# $work/junit.xml, and ends with its counts.
junit() {
    local code passed failed
    (cd "$work" && "$@") >"$work/log" 2>&1
    code=$?
    read -r passed failed < <(/usr/bin/python3 - "$work/junit.xml" <<'PY'
import sys
import xml.etree.ElementTree as tree
suite = next(tree.parse(sys.argv[1]).iter("testsuite"))
count = {name: int(suite.get(name, 0))
         for name in ("tests", "failures", "errors", "skipped")}
failed = count["failures"] + count["errors"]
print(count["tests"] - failed - count["skipped"], failed)
PY
    )
    [ "$code" -eq 0 ] || tail -n 60 "$work/log"
    [ "$code" -eq 0 ] || [ "${failed:-0}" -gt 0 ] || failed=1
    finish "${passed:-0}" "$failed"
}

# pytest_of FILE [OPTION ..] - runs it with Debian's Python, and ends with its
# counts.
pytest_of() {
    PYTHONDONTWRITEBYTECODE=1 junit /usr/bin/python3 -m pytest -q \
        -p no:cacheprovider --rootdir "$work" --junit-xml junit.xml "$@"
}
