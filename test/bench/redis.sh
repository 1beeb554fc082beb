#!/bin/bash
# redis.sh [--quick] LIBRARY - what a store on a Redis server can do, beside
# redis-benchmark on the same server through the same socket. The server is one
# of its own. Each line is the best of several rounds, in which both sides take
# turns: other work on the machine slows one down as much as the other.
set -eu
cd "$(dirname "$0")/../.."

rounds=5 seconds=1 sizes="1000 10000 100000 1000000"
if [ "${1:-}" = --quick ]; then
    rounds=3 seconds=0.5 sizes="1000 10000 100000"
    shift
fi
library=$1
for program in redis-server redis-benchmark redis-cli; do
    command -v $program >/dev/null || { echo "no $program: no Redis lines"; exit; }
done
mkdir -p build/bench
# shellcheck disable=SC2046 # words are wanted
${CC:-cc} -std=c11 -D_GNU_SOURCE -O2 -Wall -Wextra \
    -o build/bench/redis_bench test/bench/redis_bench.c \
    $(pkg-config --cflags --libs sqlite3)

dir=$(mktemp -d "${TMPDIR:-/tmp}/nadb-bench-redis.XXXXXX")
socket=$dir/s
redis-server --port 0 --unixsocket "$socket" --save '' --appendonly no \
    --dir "$dir" --logfile "$dir/log" &
server=$!
trap 'kill $server 2>/dev/null; wait $server 2>/dev/null; rm -rf "$dir"' EXIT
until redis-cli -s "$socket" PING >/dev/null 2>&1; do sleep 0.05; done

# Requests a second of one of redis-benchmark's tests, one at a time.
theirs() {
    redis-benchmark -s "$socket" -c 1 -n 20000 -r 100000 -d 3 -t "$1" --csv |
        awk -F'"' 'END { print $4 }'
}
piped() {
    redis-benchmark -s "$socket" -P 100 -n 500000 -r 100000 -d 3 -t set --csv |
        awk -F'"' 'END { print $4 }'
}
ours() { build/bench/redis_bench "$library" "$socket" "$@"; }
best() { awk -v a="$1" -v b="$2" 'BEGIN { print (a > b ? a : b) }'; }
middle() { sort -n | awk '{ x[NR] = $1 } END { print x[int((NR + 1) / 2)] }'; }
used() {
    redis-cli -s "$socket" INFO memory | tr -d '\r' |
        awk -F: '$1 == "used_memory" { print $2 }'
}
line() { printf '%-34s %10.0f  %s\n' "$1" "$2" "${3:-}"; }

set=0 get=0 put=0 got=0 pipe=0 buffered=0 batches=0
ours load 100000 1 >/dev/null
for ((i = 0; i < rounds; i++)); do
    set=$(best $set "$(theirs set)")
    put=$(best $put "$(ours put 100000 $seconds)")
    get=$(best $get "$(theirs get)")
    got=$(best $got "$(ours get 100000 $seconds)")
done
# A while after somebody has buffered, every commit looks who may write: so
# these come later.
for ((i = 0; i < rounds; i++)); do
    pipe=$(best $pipe "$(piped)")
    buffered=$(best $buffered "$(ours buffered 100000 $seconds)")
    batches=$(best $batches "$(ours batches 100000 $seconds)")
done
echo "a store on Redis, 100,000 rows, one client, unix socket:"
line "redis-benchmark SET /s" "$set"
line "put, each a COMMIT /s" "$put" \
    "$(awk -v a="$put" -v b="$set" 'BEGIN { printf("%.2f of SET", a / b) }')"
line "redis-benchmark GET /s" "$get"
line "get /s" "$got" \
    "$(awk -v a="$got" -v b="$get" 'BEGIN { printf("%.2f of GET", a / b) }')"
line "redis-benchmark -P 100 SET /s" "$pipe"
for how in "each a COMMIT:$buffered" "100 a COMMIT:$batches"; do
    line "buffered put, ${how%:*}, /s" "${how#*:}" \
        "$(awk -v a="${how#*:}" -v b="$pipe" \
            'BEGIN { printf("%.2f of -P 100 SET", a / b) }')"
done
for work in load in scan tagged tag; do
    rate=0
    for ((i = 0; i < rounds; i++)); do
        rate=$(best $rate "$(ours $work 100000 $seconds)")
    done
    case $work in
    load) line "load, 1,000 rows a COMMIT, rows/s" "$rate" ;;
    tagged) line "load with three tags a row, rows/s" "$rate" ;;
    in) line "get, 100 keys in a list, keys/s" "$rate" ;;
    scan) line "scan, rows/s" "$rate" ;;
    tag) line "50 rows with both of two tags /s" "$rate" ;;
    esac
done
# In short turns, and of the ratios the middle one.
echo "in 8 shards, on one server:"
redis-cli -s "$socket" FLUSHALL >/dev/null
ours tagged 100000 1 >/dev/null
ours tagged 100000 1 8 >/dev/null
for work in put get in begin first tag scan; do
    rate=0 ratios=
    for ((i = 0; i < rounds; i++)); do
        read -r eight ratio < <(ours $work 100000 $seconds 8 beside)
        rate=$(best $rate "$eight")
        ratios+="$ratio "
    done
    case $work in
    put | get) name=$work ;;
    in) name="get, 100 keys in a list, keys" ;;
    begin) name="first row from a key on" ;;
    first) name="first row with a tag from a key on" ;;
    tag) name="50 rows with both of two tags" ;;
    scan) name="scan, rows" ;;
    esac
    line "  $name /s" "$rate" \
        "$(tr ' ' '\n' <<<"${ratios% }" | middle |
            awk '{ printf("%.2f of one", $1) }') shard"
done
echo "memory of the server a row, keys of 16 bytes, values of 100:"
redis-cli -s "$socket" FLUSHALL >/dev/null
before=$(used)
awk 'BEGIN {
    value = sprintf("%100s", "")
    for (i = 0; i < 100000; i++)
        printf("*3\r\n$3\r\nSET\r\n$16\r\nkey:%012d\r\n$100\r\n%s\r\n", i, value)
}' | redis-cli -s "$socket" --pipe >/dev/null
plain=$((($(used) - before) / 100000))
line "  SET, bytes" $plain
while read -r work name; do
    redis-cli -s "$socket" FLUSHALL >/dev/null
    before=$(used)
    ours $work 100000 1 >/dev/null
    bytes=$((($(used) - before) / 100000))
    line "  a row $name, bytes" $bytes \
        "$(awk -v a=$bytes -v b=$plain 'BEGIN { printf("%.2f of SET", a / b) }')"
done <<END
sized without tags
few with two tags of 100 rows
two with two tags of many rows
END
echo "put /s as the store grows (the Python NADB: 94, 44, 20 at 200, 400, 800 keys):"
for rows in $sizes; do
    # nothing of the rows before is left to be removed
    redis-cli -s "$socket" FLUSHALL >/dev/null
    ours load "$rows" 1 >/dev/null
    put=0
    for ((i = 0; i < rounds; i++)); do
        put=$(best $put "$(ours put "$rows" $seconds)")
    done
    line "  $rows keys" "$put"
done
