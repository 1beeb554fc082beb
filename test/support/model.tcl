# model.tcl - runs a script of SQL on a nadb store and on an ordinary table at
# once, compares after each step, and cuts a failing script down.
#
# An episode is a configuration and a list of operations:
#
#   {c sql TEXT}        the same SQL on both sides; c is connection 1 or 2
#   {c both TEXT REF}   SQL of ours, and what it means for the ordinary table
#   {c reopen}          closes and opens the connection
#   {c recreate}        DROP and CREATE of our table: the data stay, but go with
#                       a store that belongs to its file
#   {0 clock N}         turns the clock by N hours
#
# On our side connection c is n1 or n2, on the other r1 or r2; n2 may be in
# another process. Both databases have a table kv (with the same columns) and
# an ordinary table o; `kvb` is a second table on the store of kv, and simply kv
# on the other side.
#
# Isolation is that of the ordinary table: a transaction reads one snapshot,
# and whoever writes after another has committed is told SQLITE_BUSY_SNAPSHOT.
# What counts as "has committed" may differ: a change of the store alone does
# not move our file. So when one side says it, both roll back; it may only be
# said if the other connection has committed since the transaction began. A
# backend without snapshots shows what is committed until the first write, so
# such reads are compared with connection rx, which never begins a
# transaction. With a rollback journal readers and writers exclude each other,
# and both sides must report the same SQLITE_BUSY at the same moment.
#
# Time: an hour is the unit. The clock stands at about half past an hour, and
# rows expire at the full hour, so that the time a test takes plays no part.

array set M {}

# --- one episode ---

# config: main wal|delete|memory, conns 1|2, options text, encoding, twin 0|1
proc model_start {config} {
    global M
    array unset M
    array set M [list main wal conns 1 options "" encoding UTF-8 twin 0 like 0 \
        remote 0]
    array set M $config
    array set M {wrote,1 0 wrote,2 0 clock 0 told 0}
    fresh -main $M(main) -encoding $M(encoding)
    close_db db
    for {set c 1} {$c <= $M(conns)} {incr c} {
        model_open $c
    }
    if {$M(conns) > 1 || $M(main) eq "wal"} {
        open_db rx [model_ref_file]
        rx eval "PRAGMA case_sensitive_like=$M(like)"
    }
    set ns "namespace='model'"
    # two tables share a store that has a path of its own
    if {$M(twin) && $::H(backend) in {fs files}} { append ns ", path='$::dir/twin'" }
    set M(snapshots) [has_snapshots]
    array set M {moved,1 0 moved,2 0}
    if {$M(options) ne ""} { append ns ", $M(options)" }
    set M(create) [store_options $ns]
    # The clock begins at the same time in every run, half past an hour.
    set M(zero) [expr {555600 * 3600}]
    model_turn [expr {$M(zero) + 1800 - [clock seconds] - $::model_turned}]
    n1 eval "CREATE VIRTUAL TABLE kv USING nadb($M(create))"
    if {$M(twin)} {
        n1 eval "CREATE VIRTUAL TABLE kvb USING nadb($M(create))"
    }
    n1 eval {CREATE TABLE o(a PRIMARY KEY, b)}
    # cache_spill=OFF hides whether a transaction has written: the first statement
    # of each connection is outside one (docs/transactions.md).
    for {set c 1} {$c <= $M(conns)} {incr c} {
        n$c eval {SELECT count(*) FROM kv}
    }
    # Bytes of the value; texts are ASCII in a UTF-16 database (model_gen.tcl).
    set length [expr {$M(encoding) eq "UTF-8"
                      ? "length(CAST(value AS BLOB))" : "length(value)"}]
    r1 eval "CREATE TABLE o(a PRIMARY KEY, b);
        CREATE TABLE kv(key TEXT PRIMARY KEY NOT NULL, value, tags TEXT,
            expires_at REAL, created_at REAL,
            size AS (CASE typeof(value) WHEN 'null' THEN 0
                     WHEN 'integer' THEN 8 WHEN 'real' THEN 8
                     ELSE $length END)) WITHOUT ROWID"
}

proc model_ref_file {} {
    global M
    if {$M(main) eq "memory"} { return ":memory:" }
    return [file join $::dir ref.db]
}

proc model_open {c} {
    global M
    if {$M(remote) && $c == 2} {
        open_remote n2
        n2 eval "SELECT test_advance_clock($::model_turned)"
    } else {
        open_db n$c
    }
    open_db r$c [model_ref_file]
    foreach db [list n$c r$c] {
        $db eval "PRAGMA encoding='$M(encoding)'"
        if {$M(main) ne "memory"} { $db eval "PRAGMA journal_mode=$M(main)" }
        $db eval "PRAGMA case_sensitive_like=$M(like)"
        $db eval "PRAGMA synchronous=OFF"
        # An ordinary table whose changes spill from the cache locks readers
        # out before COMMIT; a store does not.
        $db eval "PRAGMA cache_spill=OFF"
    }
}

# The time at which something expires: the k-th hour from now.
proc model_hour {k} { return [expr {$::M(zero) + 3600 * ($::M(clock) + $k)}] }

# Turns the clock, which outlives episodes.
set model_turned 0
proc model_turn {seconds} {
    global M
    advance_clock $seconds n1
    if {$M(remote)} { advance_clock $seconds n2 }
    incr ::model_turned $seconds
}

proc model_stop {} { close_all }

# --- one step ---

# Runs an operation on both sides. Returns "" or what differs.
proc model_step {op} {
    global M
    lassign $op c kind text ref
    switch $kind {
        sql { set diff [model_sql $c $text [model_meaning $text]] }
        both { set diff [model_both $c $text $ref] }
        reopen { set diff [model_reopen $c] }
        recreate {
            # not with changes: DROP is refused then
            if {![model_autocommit $c]} { return "" }
            set create "CREATE VIRTUAL TABLE kv USING nadb($M(create))"
            hold_store kv $::H_file(n$c) [list $create]
            # a store that belongs to its file goes with its table
            set goes [expr {$::H(backend) in {fs files} && !$M(twin)
                            && $M(main) ne "memory"}]
            set diff [model_both $c "DROP TABLE kv; $create" \
                          [expr {$goes ? "DELETE FROM kv" : "SELECT 1"}]]
            release_store
        }
        clock { set diff [model_clock $text] }
    }
    if {$diff ne ""} { return $diff }
    for {set d 1} {$d <= $M(conns)} {incr d} {
        set diff [model_compare $d]
        if {$diff ne ""} { return $diff }
    }
    return ""
}

# What SQL of ours means for the ordinary table: it has one name, and its tags
# are asked for with json_each() (gen_matches in model_gen.tcl).
proc model_meaning {text} {
    # A number from a column means the keys that equal it as numbers.
    set text [string map {kvb kv
        "kv.key = o.a" "(kv.key = o.a OR typeof(o.a) IN ('integer', 'real')
                          AND kv.key = CAST(o.a AS NUMERIC))"
        "o.b = kv.key" "(kv.key = o.b OR typeof(o.b) IN ('integer', 'real')
                          AND kv.key = CAST(o.b AS NUMERIC))"} $text]
    while {[regexp {\((\w+\.)?tags MATCH '([^']*)'\)} $text term p expr]} {
        set meaning [string map [list %p $p] [dict get $::gen_matches $expr]]
        set text [string map [list $term $meaning] $text]
    }
    set has {(EXISTS (SELECT 1 FROM json_each(\1tags) WHERE value \2))}
    regsub -all {\((\w+\.)?tag (= '[^']*')\)} $text $has text
    regsub -all {\((\w+\.)?tag (IN \([^()]*\))\)} $text $has text
    return [string map {nadb_tags('kv') {(SELECT j.value AS tag, count(*) AS count
        FROM kv, json_each(kv.tags) AS j GROUP BY 1)}} $text]
}

proc model_run {db sql} {
    set rc [catch {$db eval $sql} rows]
    return [list $rc [string map {kvb. kv.} $rows] [errcode $db]]
}

proc has_snapshots {} {
    return [n1 onecolumn "SELECT snapshots FROM nadb_backends
                          WHERE name = '$::H(backend)'"]
}

# Connection c has committed: the snapshots of the others are older.
proc model_committed {c} {
    global M
    for {set d 1} {$d <= $M(conns)} {incr d} {
        if {$d != $c && ![model_autocommit $d]} { set M(moved,$d) 1 }
    }
    if {[model_autocommit $c]} { set M(moved,$c) 0 }
}

# One side says that the data have moved: true, and both have rolled back.
proc model_moved {c got want} {
    global M
    set said 0
    foreach answer [list $got $want] {
        lassign $answer rc message code
        if {$rc && [string match BUSY* $code]
            && [regexp {snapshot|another transaction|is locked} $message]} {
            set said 1
        }
    }
    if {!$said || !$M(moved,$c)
        || [lrange $got 0 0] eq [lrange $want 0 0] && $M(main) ne "wal"} {
        return 0
    }
    catch {n$c eval ROLLBACK}
    catch {r$c eval ROLLBACK}
    set M(wrote,$c) 0
    set M(moved,$c) 0
    incr M(told)
    return 1
}

# Which connection of the other side answers a read of connection c.
proc model_reader {c} {
    global M
    if {!$M(snapshots) && $M(main) eq "wal" && !$M(wrote,$c)} { return rx }
    return r$c
}

proc model_sql {c text ref} {
    global M
    regexp {^\s*(\w+)} $text - word
    # WITH .. INSERT is a write
    regexp {^WITH.*\) +(INSERT|REPLACE)} $text - word
    set got [model_run n$c $text]
    if {$word in {SELECT WITH VALUES}} {
        set want [model_run [model_reader $c] $ref]
        if {![string match "*ORDER BY*" $text]} {
            lset got 1 [lsort [lindex $got 1]]
            lset want 1 [lsort [lindex $want 1]]
        }
        if {[model_moved $c $got $want]} { return "" }
        return [model_diff $got $want]
    }
    # An UPDATE that writes what was there changes nothing in an ordinary table,
    # and is a change to a store: then the other side could commit.
    if {$word in {COMMIT END RELEASE} && [model_moved $c $got {0 {} OK}]} {
        return ""
    }
    set want [model_run r$c $ref]
    if {[model_moved $c $got $want]} { return "" }
    set diff [model_diff $got $want]
    if {$diff ne ""} { return $diff }
    lassign $got rc message code
    if {$word in {INSERT REPLACE UPDATE DELETE} && $rc == 0} {
        set a [n$c changes]
        set b [r$c changes]
        if {$a != $b} { return "changes(): got $a, expected $b" }
    }
    set a [n$c onecolumn {SELECT last_insert_rowid()}]
    set b [r$c onecolumn {SELECT last_insert_rowid()}]
    if {$a != $b} { return "last_insert_rowid(): got $a, expected $b" }
    if {$word ni {BEGIN SAVEPOINT RELEASE COMMIT END ROLLBACK}
        && ![string match BUSY* $code]} {
        set M(wrote,$c) 1
        # BUSY after a statement that failed: there is nothing to purge.
        catch {model_purge r$c}
    }
    if {[model_autocommit $c]} {
        set M(wrote,$c) 0
        model_committed $c
    }
    if {$word in {ROLLBACK} && $M(conns) == 1} { model_purge r1 }
    return ""
}

# Whether connection c has no transaction open: SAVEPOINT, BEGIN and errors
# change that, so the other side is asked.
proc model_autocommit {c} { return [autocommit r$c] }

proc model_both {c text ref} {
    global M
    set got [model_run n$c $text]
    set want [model_run r$c $ref]
    if {[model_moved $c $got $want]} { return "" }
    if {[lindex $got 0] != [lindex $want 0]} {
        return [model_diff $got $want]
    }
    if {[model_autocommit $c]} { model_committed $c }
    if {$ref eq "SELECT 'ok'"} { return [model_diff $got $want] }
    if {![string match SELECT* $ref] && [lindex $got 0] == 0} {
        set M(wrote,$c) [expr {![model_autocommit $c]}]
    }
    return ""
}

proc model_diff {got want} {
    if {$got eq $want} { return "" }
    return "got      [shown $got]\nexpected [shown $want]"
}

# On the other side, what has expired is deleted.
proc model_purge {db} {
    $db eval "DELETE FROM kv WHERE expires_at <= [model_hour 0]"
}

proc model_clock {hours} {
    global M
    incr M(clock) $hours
    # The snapshot of the other side would show what has expired.
    for {set c 1} {$M(snapshots) && $M(conns) > 1 && $c <= $M(conns)} {incr c} {
        if {$M(wrote,$c) || [model_autocommit $c]} continue
        n$c eval ROLLBACK
        r$c eval ROLLBACK
    }
    foreach c {1 2} { set M(moved,$c) 1 }
    model_turn [expr {$hours * 3600}]
    model_purge [expr {$M(conns) == 1 ? "r1" : "rx"}]
    if {$M(conns) == 1 && $M(main) eq "wal" && ![model_autocommit 1]} {
        # The purge was a write in the transaction of the other side.
        set M(wrote,1) 1
    }
    return ""
}

proc model_reopen {c} {
    global M
    hold_store kv $::H_file(n$c) {}
    close_db n$c
    close_db r$c
    set M(wrote,$c) 0
    model_open $c
    catch {n$c eval {SELECT count(*) FROM kv}}
    release_store
    if {$M(conns) == 1} { model_purge r1 }
    return ""
}

# --- comparing whole tables ---

set model_columns {
    key, typeof(key), typeof(value), tags, expires_at, size,
    CASE WHEN created_at < 1000000 THEN created_at END,
    CASE WHEN typeof(value) NOT IN ('text', 'blob') THEN quote(value)
         WHEN size < 400 THEN hex(value)
         ELSE hex(substr(CAST(value AS BLOB), 1, 40)) ||
              hex(substr(CAST(value AS BLOB), -40)) END
}
set model_full_columns {
    key, typeof(value), tags, expires_at, size,
    CASE WHEN typeof(value) IN ('text', 'blob') THEN hex(value)
         ELSE quote(value) END
}

proc model_compare {c {columns ""}} {
    global M model_columns
    if {$columns eq ""} { set columns $model_columns }
    if {[autocommit n$c] != [autocommit r$c]} {
        return "connection $c: autocommit is [autocommit n$c],\
                expected [autocommit r$c]"
    }
    set sql "SELECT $columns FROM kv ORDER BY key"
    set got [model_run n$c $sql]
    set want [model_run [model_reader $c] $sql]
    if {$got ne $want} { return [model_table_diff $c $got $want] }
    set sql {SELECT tag, count FROM nadb_tags('kv') ORDER BY tag}
    set got [model_run n$c $sql]
    set want [model_run [model_reader $c] [model_meaning $sql]]
    if {$got ne $want} {
        return "tags as connection $c counts them: [model_diff $got $want]"
    }
    set got [model_run n$c {SELECT a, b FROM o ORDER BY a}]
    set want [model_run [model_reader $c] {SELECT a, b FROM o ORDER BY a}]
    if {$got ne $want} {
        return "table o of connection $c: [model_diff $got $want]"
    }
    return ""
}

proc model_table_diff {c got want} {
    lassign $got rc rows
    lassign $want want_rc want_rows
    if {$rc || $want_rc} {
        return "connection $c: [model_diff $got $want]"
    }
    set text "table kv as connection $c sees it:"
    foreach {k - t g e s cr v} $rows { set a($k) [list $t $g $e $s $cr $v] }
    foreach {k - t g e s cr v} $want_rows {
        set b($k) [list $t $g $e $s $cr $v]
    }
    foreach k [lsort -unique [concat [array names a] [array names b]]] {
        set x [expr {[info exists a($k)] ? $a($k) : "no row"}]
        set y [expr {[info exists b($k)] ? $b($k) : "no row"}]
        if {$x ne $y} {
            append text "\n  key [shown $k]: got [shown $x],\
                         expected [shown $y]"
        }
    }
    return $text
}

# --- scripts: run, cut down, keep ---

# Runs a script from the start. Returns {} or {index difference}.
proc model_replay {config ops} {
    model_start $config
    set i 0
    foreach op $ops {
        set diff [model_step $op]
        if {$diff ne ""} {
            model_stop
            return [list $i $diff]
        }
        incr i
    }
    model_stop
    return {}
}

# A shorter script that fails too: drops ever smaller parts, while `ms` last.
# `replay` is model_replay or another of its kind.
proc model_shrink {replay config ops ms} {
    set end [expr {[clock milliseconds] + $ms}]
    set size [expr {max(1, [llength $ops] / 2)}]
    while {[clock milliseconds] < $end} {
        set smaller 0
        for {set i [expr {[llength $ops] - $size}]} \
            {$i > -$size && [clock milliseconds] < $end} {incr i -$size} {
            set from [expr {max(0, $i)}]
            set less [lreplace $ops $from [expr {$i + $size - 1}]]
            if {[catch {$replay $config $less} found]} continue
            if {$found ne ""} {
                set ops [lrange $less 0 [lindex $found 0]]
                set i [expr {min($i, [llength $ops])}]
                set smaller 1
            }
        }
        if {$size == 1 && !$smaller} break
        set size [expr {max(1, $size / 2)}]
    }
    return $ops
}

proc model_write {file config ops} {
    set f [open $file w]
    fconfigure $f -encoding utf-8
    puts $f "[backend_form] [list $config]"
    foreach op $ops { puts $f [list $op] }
    close $f
}

proc model_read {file} {
    set f [open $file]
    fconfigure $f -encoding utf-8
    set ops [lassign [read $f] backend config]
    close $f
    return [list $backend $config $ops]
}

# Reports a failed episode: where, the difference, a short script, the files.
proc model_report {name config ops diff {replay model_replay}} {
    set base [file join $::H(tmp) nadb-model-$::H(seed)-$name]
    model_write $base.full $config $ops
    set short [model_shrink $replay $config $ops 30000]
    model_write $base.short $config $short
    catch {$replay $config $short} found
    set lines [lmap op $short {string cat [lindex $op 0] "> " \
        [join [lrange $op 1 end] "  "]}]
    failed $name [join $lines "\n            "] "no difference" \
        "[lindex $found 1]\n  (before it was cut down: $diff)"
    puts "  config:   $config"
    puts "  replay:   tclsh test/suites/model.test --$replay $base.short"
    puts "  whole:    $base.full"
}
