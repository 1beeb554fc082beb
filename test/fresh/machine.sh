#!/bin/bash
# machine.sh [RELEASE..] - make, make demo and make test on new machines.
#
# For each release (bookworm and trixie, which are Debian 12 and 13) debootstrap
# makes the smallest system there is in build/fresh/RELEASE, with root as the
# only user, LANG=C and without /sys. Into it goes what git has of this folder,
# and then what README.md says is done there:
#
#   build    `make` with exactly the packages that the README names, a program
#            that uses the library, REDIS=0 that sticks to `make install`, and
#            `.load nadb` after it
#   demo     `make demo` with nothing installed but make
#   test     `make test`, likewise
#
# Any other target of the Makefile is a step, too: `make site`, `make test-bindings`
# and `make peers` (these two take packages from npm) are done in the end.
#
# Packages come from where this machine's apt gets its own. Needs root and
# debootstrap. Prints "ok NAME" or "not ok NAME: ..", and a count at the end.
# NADB_FRESH_STEPS names the steps to take instead of all.
set -u
cd "$(dirname "$0")/../.." || exit 1
. test/support/tally.sh
[ "$(id -u)" = 0 ] || {
    echo "machine.sh must be root, as chroot and debootstrap ask for it"
    exit 1
}
# What is mounted here is seen by nobody else, and what is started ends with it.
[ -n "${NADB_FRESH_INSIDE:-}" ] || NADB_FRESH_INSIDE=1 exec unshare --mount \
    --pid --fork --kill-child --propagation private "$BASH" "$0" "$@"

releases=("$@")
[ $# -gt 0 ] || releases=(bookworm trixie)
steps=${NADB_FRESH_STEPS:-build demo test site test-bindings peers}
here=$PWD/build/fresh
bash test/support/need.sh debootstrap git

# Where this machine's apt finds packages of Debian itself.
mirror=$(apt-get indextargets --format '$(REPO_URI) $(ORIGIN) $(LABEL)' \
    'Created-By: Packages' | awk '$2 == "Debian" && $3 == "Debian" {
        print $1; exit}')
[ -n "$mirror" ] || {
    echo "apt of this machine has no mirror of Debian"
    exit 1
}

# at RELEASE COMMAND: in the new machine, with nothing of this one around it.
at() {
    local root=$here/$1
    shift
    env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LANG=C TERM=dumb \
        ${NADB_JOBS:+NADB_JOBS=$NADB_JOBS} \
        NODE_EXTRA_CA_CERTS=/etc/ssl/certs/ca-certificates.crt chroot "$root" bash -c "$*"
}

# The system alone is kept as an archive: it is the same for each step.
machine() {
    local root=$here/$1
    umount "$root"/{proc,dev/pts,dev/shm} 2>/dev/null
    rm -rf --one-file-system "$root" || return 1
    mkdir -p "$root"
    if [ -e "$here/$1.tar" ]; then
        tar -C "$root" -xf "$here/$1.tar" || return 1
    else
        debootstrap --variant=minbase "$1" "$root" "$mirror" || return 1
        tar -C "$root" -cf "$here/$1.tar" . || return 1
    fi
    # How this machine reaches the mirror, and how sure it is of its clock.
    apt-config dump | grep -E '^Acquire::(http|https|Check|Retries)' \
        >"$root/etc/apt/apt.conf.d/90here"
    cp -L /etc/resolv.conf /etc/hosts "$root/etc/" 2>/dev/null
    # Certificates that somebody has added to this machine, and Debian's.
    mkdir -p "$root/usr/local/share" "$root/etc/ssl/certs"
    cp -r /usr/local/share/ca-certificates "$root/usr/local/share/" 2>/dev/null
    cp -L /etc/ssl/certs/ca-certificates.crt "$root/etc/ssl/certs/" 2>/dev/null
    mkdir -p "$root/dev/pts" "$root/dev/shm"
    mount -t proc proc "$root/proc" &&
        mount -t devpts -o newinstance,ptmxmode=0666 devpts "$root/dev/pts" &&
        mount -t tmpfs tmpfs "$root/dev/shm" || return 1
    mkdir -p "$root/root/nadb"
    git archive HEAD | tar -C "$root/root/nadb" -x || return 1
    at "$1" "apt-get update -q && apt-get install -y -q \
        --no-install-recommends make"
}

# Before the first line of sense there is no noise of programs that are missing.
quiet() { # LOG
    ! head -n 1 "$1" | grep -qi 'not found\|no such file\|error'
}

step_build() {
    local log=$here/$1.build.log
    # The packages as the README names them, from the comment behind `make`.
    local packages
    packages=$(sed -n 's/^ *make  *# \(.*\) are all it needs$/\1/p' README.md |
        sed 's/,//g; s/ and / /g')
    at "$1" "apt-get install -y -q --no-install-recommends $packages" \
        >"$log.packages" 2>&1
    tell "$1 packages of the README: $packages" $? "$log.packages"
    at "$1" "cd /root/nadb && make" >"$log" 2>&1
    tell "$1 make" $? "$log"
    quiet "$log" && ! grep -qi 'warning:\|not found' "$log"
    tell "$1 make is quiet" $? "$log"
    at "$1" "cd /root/nadb && make install && apt-get install -y -q \
        --no-install-recommends sqlite3 libhiredis-dev && cd / &&
        sqlite3 :memory: '.load nadb' 'SELECT nadb_debug()'" \
        >"$log.install" 2>&1
    tell "$1 make install, .load nadb" $? "$log.install"
    at "$1" "cd / && sqlite3 :memory: '.load mod_nadb' 'SELECT nadb_version()' &&
        man=/usr/local/share/man/man7/nadb.7 && [ -s \$man ] &&
        grep -q '^Version: [0-9]' /usr/local/lib/pkgconfig/nadb.pc &&
        [ -e /usr/local/include/nadb/plugin.h ]" >"$log.mod" 2>&1
    tell "$1 .load mod_nadb, man page, pkg-config, headers" $? "$log.mod"
    at "$1" "cd /root/nadb && sqlite3 :memory: '.load nadb' 'SELECT nadb_debug()'" \
        >"$log.debug" 2>&1
    grep -q sqlite: "$log.debug" && ! grep -q 'redis (' "$log.debug"
    tell "$1 no Redis without hiredis" $? "$log.debug"
    at "$1" "cd /root/nadb && make && make REDIS=0 && make install && cd / &&
        sqlite3 :memory: '.load nadb' 'SELECT nadb_debug()'" >"$log.redis0" 2>&1
    [ $? = 0 ] && grep -q sqlite: "$log.redis0" &&
        ! grep -q 'redis (' "$log.redis0"
    tell "$1 REDIS=0 sticks to make install" $? "$log.redis0"
    at "$1" "cd /root/nadb && make && sqlite3 :memory: '.load ./nadb' \
        'SELECT nadb_debug()'" >"$log.redis1" 2>&1
    grep -q 'redis (' "$log.redis1"
    tell "$1 Redis with hiredis" $? "$log.redis1"
    at "$1" "cd /root/nadb && make uninstall && ! find /usr/local | grep nadb" \
        >"$log.uninstall" 2>&1
    tell "$1 make uninstall" $? "$log.uninstall"
    at "$1" "cd /root/nadb && make deb && cp build/*.deb /tmp && cd /tmp &&
        apt-get install -y -q ./libsqlite3-mod-nadb*.deb &&
        sqlite3 x.db '.load mod_nadb' 'SELECT nadb_version()' &&
        sqlite3 x.db '.load nadb' 'SELECT nadb_version()' &&
        apt-get remove -y -q libsqlite3-mod-nadb &&
        ! sqlite3 x.db '.load mod_nadb' 'SELECT nadb_version()'" >"$log.deb" 2>&1
    tell "$1 make deb, installed and removed" $? "$log.deb"
    at "$1" "cd /root/nadb && apt-get install -y -q --no-install-recommends \
        python3-venv && make wheel && python3 -m venv /tmp/v &&
        /tmp/v/bin/pip install --no-index build/nadb-*.whl && cd / &&
        /tmp/v/bin/python \
        -c 'import sqlite3, nadb; nadb.load(sqlite3.connect(\":memory:\"))' &&
        cd /tmp && /tmp/v/bin/python -c 'from nadb import KeyValueStore
with KeyValueStore(\"data\", \"app\", 1, \"ns\") as store:
    store.set(\"hello\", b\"world\")
    assert store.get(\"hello\") == b\"world\"
import nakv, storage_backends.redis, logging_config'" \
        >"$log.wheel" 2>&1
    tell "$1 make wheel, installed" $? "$log.wheel"
    at "$1" "cd /root/nadb && apt-get install -y -q --no-install-recommends \
        npm && make npm && mkdir /tmp/n && cd /tmp/n && npm init -y &&
        npm install --offline --no-audit --no-fund /root/nadb/build/nadb-*.tgz &&
        sqlite3 :memory: \".load \$(node -p \
            'require(\"sqlite-nadb\").getLoadablePath()')\" \
            'SELECT nadb_version()'" >"$log.npm" 2>&1
    tell "$1 make npm, installed" $? "$log.npm"
}

step_make() { # RELEASE TARGET
    local log=$here/$1.$2.log
    at "$1" "cd /root/nadb && make $2" >"$log" 2>&1
    tell "$1 make $2" $? "$log"
    quiet "$log"
    tell "$1 make $2 is quiet" $? "$log"
    [ "$2" != test ] || tail -n 1 "$log" | sed "s/^/    $1: /"
}

mkdir -p "$here"
for release in "${releases[@]}"; do
    for step in $steps; do
        machine "$release" >"$here/$release.machine.log" 2>&1
        code=$?
        tell "$release from nothing" $code "$here/$release.machine.log"
        [ $code = 0 ] || continue
        case $step in
        build) step_build "$release" ;;
        *) step_make "$release" "$step" ;;
        esac
    done
done
tally
