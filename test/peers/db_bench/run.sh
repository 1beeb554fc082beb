#!/bin/bash
# run.sh [LIBRARY] - LevelDB's benchmark of SQLite, of Debian's sources, over an
# nadb table, and over SQLite's own. A benchmark that ends without an error has
# passed. NUM is the number of rows.
source "$(dirname "$0")/../support.sh"
need g++ libsqlite3-dev libgtest-dev libgmock-dev
debian_source leveldb
num=${NUM:-100000}
program=$work/db_bench
(cd "$source" && g++ -std=c++14 -O2 -DNDEBUG -DLEVELDB_PLATFORM_POSIX=1 -I. \
    -Iinclude -include "$here/nadb_bench.h" -o "$program" \
    benchmarks/db_bench_sqlite3.cc util/{coding,env,env_posix,hash}.cc \
    util/{histogram,logging,options,status,comparator,testutil}.cc \
    -lsqlite3 -lgtest -lpthread) >"$work/log" 2>&1 || {
    tail -n 20 "$work/log"
    finish 0 1
}
synced=fillseqsync,fillrandsync
others=fillseq,fillseqbatch,fillrandom,fillrandbatch,overwrite,overwritebatch
others+=,readrandom,readseq,fillrand100K,fillseq100K,readrand100K

# bench NAME OPTIONS BENCHMARKS: into $work/NAME
bench() {
    mkdir "$work/db"
    TEST_TMPDIR=$work/db NADB_OPTIONS=$2 "$program" --num="$num" \
        --benchmarks="$3" 2>>"$work/$1.log" |
        awk '$2 == ":" { print $1, $3 }' >>"$work/$1"
    rm -r "$work/db"
}
for name in sqlite nadb; do
    [ "$name" = sqlite ] || export NADB_LIB=${lib%.so}
    bench "$name" synchronous=full "$synced"
    bench "$name" synchronous=off "$others"
done

printf '%-16s %10s %10s   microseconds an operation\n' '' nadb sqlite
join <(sort "$work/nadb") <(sort "$work/sqlite") |
    while read -r name ours theirs; do
        printf '%-16s %10s %10s\n' "$name" "$ours" "$theirs"
    done
passed=$(wc -l <"$work/nadb")
failed=$(($(tr , '\n' <<<"$synced,$others" | wc -l) - passed))
[ $failed -eq 0 ] || tr '\r' '\n' <"$work/nadb.log" | grep error
finish "$passed" "$failed"
