#!/bin/bash
# backup.sh [--quick] [LIBRARY] - what backups cost: a million rows with 16-byte
# keys and 100-byte values, half compressible. Each line is a time, beside the
# time of what it is compared with. The data goes to $TMPDIR (default /tmp).
set -euo pipefail
cd "$(dirname "$0")/../.."
rows=1000000
if [ "${1:-}" = --quick ]; then
    rows=100000
    shift
fi
library=$(realpath "${1:-build/nadb.so}")
# The file must be named nadb.so, because SQLite makes the entry point of it.
sqlite3 -bail -batch :memory: ".load $library" "SELECT 1" >/dev/null
dir=$(mktemp -d "${TMPDIR:-/tmp}/nadb-bench-backup.XXXXXX")
trap 'rm -rf "$dir"' EXIT
cd "$dir"

# Seconds that the shell's statements take, without those before the last one.
# seconds SETUP STATEMENT
seconds() {
    printf '.load %s\n%s;\n.timer on\n%s;\n' "$library" "$1" "$2" |
        sqlite3 -batch :memory: 2>&1 | sed -n 's/^Run Time: real \([0-9.]*\).*/\1/p' |
        tail -n 1
}
line() { # NAME SECONDS OTHER SECONDS
    printf '| %-44s | %8.3f | %-32s | %8.3f | %5.2f |\n' "$1" "$2" "$3" "$4" \
        "$(awk "BEGIN{print ($2 > 0 ? $4 / $2 : 0)}")"
}
kv="CREATE VIRTUAL TABLE kv USING nadb(path='store', namespace='kv')"
row="randomblob(50) || zeroblob(50)"
numbers="WITH RECURSIVE n(i) AS (VALUES(1) UNION ALL SELECT i + 1 FROM n
    WHERE i < $rows)"

load=$(seconds "$kv" "INSERT INTO kv(key, value) $numbers
    SELECT printf('%016d', i * 7), $row FROM n")
sqlite3 -batch :memory: ".load $library" "$kv" "SELECT nadb_compact('kv')" >out
read_files() {
    local start end
    start=$(date +%s.%N)
    cat store/main/kv/*.sst store/main/kv/*.val 2>/dev/null | sha256sum >out
    end=$(date +%s.%N)
    echo "$start $end" | awk '{print $2 - $1}'
}
files=$(read_files)
scan=$(seconds "$kv" "SELECT sum(length(value)) FROM kv")
plain=$(seconds "$kv" "SELECT nadb_backup('kv', 'b', 'plain', NULL, 'off')")
full=$(seconds "$kv" "SELECT nadb_backup('kv', 'b', 'full')")
sqlite3 -batch :memory: ".load $library" "$kv" "UPDATE kv SET value = $row
    WHERE key IN ($numbers SELECT printf('%016d', i * 700) FROM n)"
inc=$(seconds "$kv" "SELECT nadb_backup('kv', 'b', 'inc', 'full')")
verify=$(seconds "SELECT 1" "SELECT nadb_verify_backup('b', 'inc')")
restore=$(seconds "CREATE VIRTUAL TABLE r USING nadb(path='r')" \
    "SELECT nadb_restore('r', 'b', 'inc', 'clear')")
compare=$(seconds "CREATE VIRTUAL TABLE r USING nadb(path='r')" \
    "SELECT nadb_restore('r', 'b', 'inc')")
size() { stat -c %s "b/$1/rows"; }

echo "| backups, $rows rows | s | compared with | s | ratio |"
echo "|---|---:|---|---:|---:|"
line "full, compression off" "$plain" "reading the store's files, SHA-256" "$files"
line "full" "$full" "reading the store's files, SHA-256" "$files"
line "full, compression off" "$plain" "scan of all values" "$scan"
line "incremental, 1 % changed" "$inc" "full" "$full"
line "verify, both" "$verify" "full" "$full"
line "restore, both, into an empty store" "$restore" "load in key order" "$load"
line "restore where it is the same" "$compare" "load in key order" "$load"
printf '| %-44s | %8s | %-32s | %8s | %5s |\n' "bytes: incremental" \
    "$(size inc)" full "$(size full)" \
    "$(awk "BEGIN{printf \"%.1f\", $(size full) / $(size inc)}")"
