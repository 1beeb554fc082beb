#!/bin/bash
# limits.sh [--quick] [LIBRARY] - what max_size_mb costs: autocommit puts of new
# rows (16-byte keys, 100-byte values, main database in memory) into a store that
# is at its limit, so that each put makes another row go, beside a store without
# one; and gets. The data goes to $TMPDIR (default /tmp).
set -euo pipefail
cd "$(dirname "$0")/../.."
rows=200000
if [ "${1:-}" = --quick ]; then
    rows=20000
    shift
fi
library=$(realpath "${1:-build/nadb.so}")
dir=$(mktemp -d "${TMPDIR:-/tmp}/nadb-bench-limits.XXXXXX")
trap 'rm -rf "$dir"' EXIT
cd "$dir"

cat >limits.tcl <<'TCL'
package require sqlite3
lassign $argv library rows
set half [expr {$rows / 2}]
proc speed {n script} {
    set us [lindex [time {uplevel 1 $script}] 0]
    return [expr {$n * 1e6 / $us}]
}
foreach {name options} [list \
    "no limit" "" \
    "limit far away" ", max_size_mb=100000, eviction=lru" \
    "at the limit, lru" ", max_size_mb=[expr {$half * 116 / 1048576.0}], eviction=lru" \
    "at the limit, lfu" ", max_size_mb=[expr {$half * 116 / 1048576.0}], eviction=lfu" \
    "at the limit, fifo" ", max_size_mb=[expr {$half * 116 / 1048576.0}], eviction=fifo" \
] {
    sqlite3 db :memory:
    db enable_load_extension 1
    db eval {SELECT load_extension($library)}
    db eval "CREATE VIRTUAL TABLE kv USING nadb(path='[incr n]'$options)"
    db eval {INSERT INTO kv(key, value) WITH RECURSIVE n(i) AS (VALUES(1)
        UNION ALL SELECT i + 1 FROM n WHERE i < $half)
        SELECT printf('%016x', i * 2654435761 % 4294967296), randomblob(100)
        FROM n}
    set value [db onecolumn {SELECT randomblob(100)}]
    set puts [speed $half {
        for {set i 0} {$i < $half} {incr i} {
            set k [format n%015x [expr {$i * 2654435761 % 4294967296}]]
            db eval {INSERT OR REPLACE INTO kv(key, value) VALUES($k, $value)}
        }
    }]
    set gets [speed $half {
        for {set i 0} {$i < $half} {incr i} {
            set k [format n%015x [expr {$i * 40503 % $half * 2654435761
                                        % 4294967296}]]
            db eval {SELECT value FROM kv WHERE key = $k}
        }
    }]
    if {$n == 1} { set base [list $puts $gets] }
    puts [format "| %-20s | %8.0f | %5.2f | %8.0f | %5.2f |" $name $puts \
              [expr {$puts / [lindex $base 0]}] $gets \
              [expr {$gets / [lindex $base 1]}]]
    db close
}
TCL
echo "| limits, $rows rows | puts/s | ratio | gets/s | ratio |"
echo "|---|---:|---:|---:|---:|"
tclsh limits.tcl "$library" "$rows"
