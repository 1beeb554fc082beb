#!/bin/bash
# run.sh [--quick] [--rows N] [--runs N] [--only TEXT] - make bench.
#
# Builds the library and test/bench, runs every line on nadb and on plain
# SQLite, prints the table, and leaves the numbers in build/bench/result.json.
# Then what a store on a Redis server does beside redis-benchmark (redis.sh).
# The data goes to $TMPDIR (default /tmp): a real disk tells more than tmpfs.
set -eu
cd "$(dirname "$0")/../.."

bash test/support/need.sh gcc make pkg-config libc6-dev libsqlite3-dev \
    zlib1g-dev
make -s build/nadb.so
mkdir -p build/bench
# shellcheck disable=SC2046 # words are wanted
${CC:-cc} -std=c11 -D_GNU_SOURCE -O2 -Wall -Wextra -o build/bench/sql_bench \
    test/bench/sql_*.c $(pkg-config --cflags --libs sqlite3)

data=$(mktemp -d "${TMPDIR:-/tmp}/nadb-bench.XXXXXX")
trap 'rm -rf "$data"' EXIT
# what is measured stays the same, whatever is built meanwhile
cp build/nadb.so "$data/nadb.so"
build/bench/sql_bench --dir "$data/run" --json build/bench/result.json "$@" \
    "$data/nadb.so"
quick=()
for option in "$@"; do [ "$option" = --quick ] && quick=(--quick); done
case " $* " in
*" --only "*) ;;
*)
    bash test/bench/redis.sh "${quick[@]}" "$data/nadb.so"
    bash test/bench/backup.sh "${quick[@]}" "$data/nadb.so"
    # A Python that loads extensions: not each one that comes first does.
    loads='import sqlite3; sqlite3.connect("").enable_load_extension(1)'
    for python in python3 /usr/bin/python3; do
        "$python" -c "$loads" 2>/dev/null || continue
        "$python" test/bench/wait.py "$data/nadb.so"
        break
    done
    bash test/bench/limits.sh "${quick[@]}" "$data/nadb.so"
    ;;
esac
