# model_serial.tcl - transactions that conflict: what commits must be as if it
# had run alone.
#
# Three connections, each with a :memory: main database of its own (so that
# SQLite's locks keep nobody apart), share a store. Transactions interleave.
# When one commits, all its statements are run at that moment on an ordinary
# table: each must give what it gave on the store. When one is refused
# (SQLITE_BUSY_SNAPSHOT), somebody else must have committed since its first
# read. Without snapshots, reads before the first write also see what is
# committed at the time. A transaction that ends with nothing changed is as if
# it had run at its first write, and is not run again. Between all that, the
# store is flushed and compacted: conflicts are the same then.
#
# An operation is {c SQL}.

array set S {}

proc serial_start {config} {
    global S M
    array unset S
    array set S {commits 0 refused 0 committed 0}
    set S(snapshots) [expr {$::H(backend) ne "redis"}]
    array set M {encoding UTF-8 clock 0 twin 0}
    set M(zero) [expr {[clock seconds] + 86400}]
    fresh -main memory
    foreach c {1 2 3} {
        # on files, the third one is another process
        if {$c == 3 && $::H(backend) eq "fs"} {
            open_remote n3
        } else {
            open_db n$c
        }
        open_store kv "namespace='serial', $config" n$c
        array set S [list record,$c {} wrote,$c 0 seen,$c 0 \
            changed,$c 0 marks,$c {} read,$c 0]
    }
    close_db db
    sqlite3 rf :memory:
    catch {rf enable_load_extension 1}
    catch {rf eval {SELECT load_extension($::H(lib))}}
    catch {rf eval {SELECT test_extended_codes(1)}}
    set ::H_file(rf) :memory:
    rf eval {
        CREATE TABLE o(a PRIMARY KEY, b);
        CREATE TABLE kv(key TEXT PRIMARY KEY NOT NULL, value, tags TEXT,
            expires_at REAL, size AS (CASE typeof(value) WHEN 'null' THEN 0
                     WHEN 'integer' THEN 8 WHEN 'real' THEN 8
                     ELSE length(hex(value)) / 2 END)) WITHOUT ROWID;
    }
}

proc serial_word {sql} {
    if {[string match "*nadb_clear*" $sql]} { return DELETE }
    regexp {^\s*(\w+)} $sql - word
    return [string toupper $word]
}

proc serial_run {db sql} {
    set clears [string match "*nadb_clear*" $sql]
    if {$db eq "rf"} {
        set sql [expr {$clears ? "DELETE FROM kv" : [model_meaning $sql]}]
    }
    set answer [model_run $db $sql]
    if {$clears} {
        # without rows and their count: that it was done is all it says
        if {[lindex $answer 0] == 0} { set answer {0 {} OK 1} }
        return $answer
    }
    if {[serial_word $sql] in {INSERT REPLACE UPDATE DELETE}
        && [lindex $answer 0] == 0} {
        lappend answer [$db changes]
    }
    return $answer
}

proc serial_step {op} {
    global S
    lassign $op c sql
    set word [serial_word $sql]
    # Moves what is committed, and changes nothing for anybody.
    if {[regexp {nadb_(flush|compact)} $sql]} {
        set got [model_run n$c $sql]
        return [expr {[lindex $got 0] ? $got : ""}]
    }
    set before [autocommit n$c]
    if {$before} {
        array set S [list record,$c {} wrote,$c 0 changed,$c 0 marks,$c {} \
                         read,$c 0]
    }
    set got [serial_run n$c $sql]
    set after [autocommit n$c]
    lassign $got rc message code

    if {[string match BUSY* $code]} { return [serial_refused $c $op $got] }
    if {$word eq "SELECT" && !$S(wrote,$c)} {
        if {$after || !$S(snapshots)} {
            set diff [model_diff $got [serial_run rf $sql]]
            # with write=buffered reads before the first write do not count
            if {$after || $diff ne "" || $::H(write) eq "buffered"} { return $diff }
        }
        # what the transaction has read counts from here on
        if {!$S(read,$c)} { array set S [list read,$c 1 seen,$c $S(commits)] }
    }
    lappend S(record,$c) $sql $got
    serial_count $c $word $sql $got
    if {$word in {INSERT REPLACE UPDATE DELETE} && !$S(wrote,$c)} {
        if {!$S(read,$c)} { set S(seen,$c) $S(commits) }
        array set S [list wrote,$c 1 read,$c 1]
    }
    if {!$after} { return "" }
    if {$before && $word ni {INSERT REPLACE UPDATE DELETE}} { return "" }
    if {$word eq "ROLLBACK"} { return "" }
    return [serial_committed $c $before]
}

# Keeps count of the changes of a transaction that no savepoint took back.
proc serial_count {c word sql got} {
    global S
    lassign $got rc - - changes
    if {$rc} return
    set name [lindex [split $sql] end]
    set at -1
    for {set i 0} {$i < [llength $S(marks,$c)]} {incr i 2} {
        if {[lindex $S(marks,$c) $i] eq $name} { set at $i }
    }
    switch $word {
        SAVEPOINT { lappend S(marks,$c) $name $S(changed,$c) }
        RELEASE { set S(marks,$c) [lrange $S(marks,$c) 0 $at-1] }
        ROLLBACK {
            if {$at >= 0} {
                set S(changed,$c) [lindex $S(marks,$c) $at+1]
                set S(marks,$c) [lrange $S(marks,$c) 0 $at+1]
            }
        }
        INSERT - REPLACE - UPDATE - DELETE { incr S(changed,$c) $changes }
    }
}

# Connection c has committed (or, by a constraint, rolled back).
proc serial_committed {c single} {
    global S
    set n 0
    if {!$single && $S(changed,$c) == 0} {
        set S(wrote,$c) 0
        return [serial_compare $c]
    }
    foreach {sql got} $S(record,$c) {
        set want [serial_run rf $sql]
        if {$got ne $want} {
            catch {rf eval ROLLBACK}
            return "statement [incr n] of the transaction that connection $c\
                    committed: $sql\n[model_diff $got $want]"
        }
        incr n
    }
    if {![autocommit rf]} {
        rf eval ROLLBACK
        return "connection $c ended its transaction, the other side did not"
    }
    if {$S(wrote,$c)} { incr S(commits); incr S(committed) }
    set S(wrote,$c) 0
    return [serial_compare $c]
}

proc serial_refused {c op got} {
    global S
    incr S(refused)
    if {![autocommit n$c]} { n$c eval ROLLBACK }
    if {!$S(wrote,$c)} { return "refused a transaction that wrote nothing:\
                                 [model_diff $got no-conflict]" }
    set S(wrote,$c) 0
    if {$S(commits) == $S(seen,$c)} {
        return "refused, but nobody else has committed: $got"
    }
    if {[lindex $got 2] ni {BUSY_SNAPSHOT BUSY}} {
        return "a conflict with the wrong code: $got"
    }
    return ""
}

proc serial_compare {c} {
    global model_full_columns
    set columns {key, typeof(value), CASE WHEN typeof(value) IN ('text',
        'blob') THEN hex(value) ELSE quote(value) END, tags, size, expires_at}
    foreach sql [list "SELECT $columns FROM kv ORDER BY key" \
        "SELECT tag, count FROM nadb_tags('kv') ORDER BY tag"] {
        set diff [model_diff [serial_run n$c $sql] [serial_run rf $sql]]
        if {$diff ne ""} { return "after a commit of connection $c: $diff" }
    }
    return ""
}

proc serial_stop {} { close_all }

proc serial_replay {config ops} {
    serial_start $config
    set i 0
    foreach op $ops {
        set diff [serial_step $op]
        if {$diff ne ""} {
            serial_stop
            return [list $i $diff]
        }
        incr i
    }
    serial_stop
    return {}
}

# --- random transactions over few keys ---

# What reads an index alone: another's change of it must be seen as one.
set serial_terms {{(tag = 'a')} {(tag = 'b')} {(tags MATCH 'a "c d"')}
    {(tags MATCH 'a NOT "c d"')} {(tags MATCH 'c*')} {(tags MATCH 'x OR b')}
    {(tag IN ('x', 'b'))} {(tag = 'x') AND key > 'd'}
    {(tags MATCH 'a (b OR NOT d)')} {expires_at < 4000000002}
    {expires_at > 4000000001}}

proc serial_term {} { return [random_of $::serial_terms] }

proc serial_tags {} {
    return [random_of {NULL {'["a"]'} {'["b"]'} {'["a","b"]'} {'["a","c d"]'}
        {'["c d"]'} {'["x"]'} {'["a","d"]'}}]
}

proc serial_by_index {k v} {
    set t [serial_term]
    switch [random_int 12] {
        0 - 1 - 2 - 3 { return "UPDATE kv SET tags = [serial_tags]\
            WHERE key = $k" }
        4 { return "INSERT OR REPLACE INTO kv(key, value, tags, expires_at)\
            VALUES($k, $v, [serial_tags],\
                [random_of {NULL 4000000001 4000000002}])" }
        5 { return "UPDATE kv SET value = value + 1 WHERE $t" }
        6 { return "DELETE FROM kv WHERE $t AND value > $v" }
        7 { return "INSERT OR REPLACE INTO kv(key, value)\
            SELECT $k, count(*) FROM kv WHERE $t" }
        8 { return "INSERT OR REPLACE INTO kv(key, value, tags)\
            SELECT $k, (SELECT count FROM nadb_tags('kv') WHERE tag = 'a'),\
            '\[\"x\"\]'" }
        9 { return "INSERT OR REPLACE INTO kv(key, value) SELECT $k, key FROM\
            kv WHERE $t ORDER BY key [random_of {"" DESC}] LIMIT 1" }
        10 { return "UPDATE kv SET expires_at =\
            [random_of {NULL 4000000001 4000000002}] WHERE key = $k" }
        11 { return "SELECT key, value FROM kv WHERE $t ORDER BY key LIMIT 2" }
    }
}

proc serial_key {} { return '[random_of {a b c d e f g h i j k l}]' }

proc serial_gen {} {
    set c [expr {1 + [random_int 3]}]
    set open [expr {![autocommit n$c]}]
    set dice [random_int 100]
    if {!$open && $dice < 40} { return [list $c BEGIN] }
    if {!$open && $dice < 50} {
        return [list $c [random_of {"SELECT nadb_flush('kv')"
            "SELECT nadb_flush('kv')" "SELECT nadb_compact('kv')"}]]
    }
    if {$dice == 99 && [random_int 3] == 0} {
        return [list $c "SELECT nadb_clear('kv')"]
    }
    if {$open && $dice < 16} { return [list $c COMMIT] }
    if {$open && $dice < 18} { return [list $c ROLLBACK] }
    if {$open && $dice < 26} {
        set name s[random_int 2]
        return [list $c [random_of [list "SAVEPOINT $name" \
            "RELEASE $name" "ROLLBACK TO $name"]]]
    }
    return [list $c [serial_statement]]
}

proc serial_statement {} {
    set k [serial_key]
    set v [random_int 100]
    if {[random_int 2]} { return [serial_by_index $k $v] }
    switch [random_int 13] {
        0 - 1 { return "REPLACE INTO kv(key, value) VALUES($k, $v)" }
        2 { return "INSERT INTO kv(key, value) VALUES($k, $v)" }
        3 { return "INSERT OR IGNORE INTO kv(key, value) VALUES($k, $v)" }
        4 - 5 { return "UPDATE kv SET value = value + 1 WHERE key = $k" }
        6 { return "UPDATE kv SET value = $v WHERE key BETWEEN $k AND\
                    [serial_key]" }
        7 { return "DELETE FROM kv WHERE key = $k" }
        8 { return "DELETE FROM kv WHERE key > $k AND value > $v" }
        9 { return "INSERT OR REPLACE INTO kv(key, value)\
                    SELECT $k, count(*) FROM kv WHERE key < [serial_key]" }
        10 { return "UPDATE OR IGNORE kv SET key = [serial_key]\
                     WHERE key = $k" }
        11 { return "SELECT key, value FROM kv WHERE key >= $k ORDER BY key\
                     LIMIT 3" }
        12 { return "SELECT value FROM kv WHERE key = $k" }
    }
}
