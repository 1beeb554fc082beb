# harness.tcl - what every suite stands on: tests that read as SQL and answer.
#
# A suite is `tclsh test/suites/x.test`, standing alone. It starts with
#
#     source [file join [file dirname [info script]] ../support/harness.tcl]
#     testprefix x
#
# and ends with `finish_test`, which prints "N passed, N failed" as the last
# line and exits with 1 if anything failed. An error outside a test counts as
# a failure too, because the harness runs the suite itself, inside a catch.
#
# `db` is the connection of a test; `foreach_backend` and `fresh` begin with a
# new folder ($::dir), a new database file there and the library loaded.
#
# Environment:
#   NADB_LIB       the library; default build/test/nadb.so
#   NADB_BACKENDS  run only these backends; redis-buffered is redis with
#                  write=buffered, redis-sharded with shards=3
#   NADB_PLUGIN    the file of a backend to load; NADB_BACKENDS has its name,
#                  which is that of the file without .so (plugin.test)
#   NADB_REDIS     cluster: stores on backend redis are in a cluster; moving:
#                  and go around in it
#   NADB_SEED      seed of random tests
#   NADB_SOAK      1: the long form of tests that have one
#   NADB_KEEP      1: keep the temporary folder of a run that failed
#   NADB_BUFFER_MB buffer_size_mb of stores that do not say theirs
#   TMPDIR         where the temporary folder goes
#   NADB_PRELOAD   the sanitizer that the library needs (test/run.sh)

package require sqlite3

# Suites are UTF-8, and so are names of files, whatever the locale is.
encoding system utf-8
fconfigure stdout -encoding utf-8

# The suite is sourced again by the code at the end of this file, and then
# comes here a second time.
if {[info exists ::H(running)]} return

array set ::H {
    running 1 prefix ? backend "" write "" passed 0 failed 0 fresh 0 seed "" main wal
}
set ::H(support) [file dirname [file normalize [info script]]]
set ::H(root) [file dirname [file dirname $::H(support)]]
set ::H(soak) [expr {[info exists ::env(NADB_SOAK)] && $::env(NADB_SOAK)}]
set ::H(keep) [expr {[info exists ::env(NADB_KEEP)] && $::env(NADB_KEEP)}]
set ::H(lib) [file join $::H(root) build/test/nadb.so]
if {[info exists ::env(NADB_LIB)]} {
    set ::H(lib) [file normalize $::env(NADB_LIB)]
}
set ::H(plugin) [expr {[info exists ::env(NADB_PLUGIN)]
    ? [file rootname [file tail $::env(NADB_PLUGIN)]] : {}}]
set ::H(tmp) [expr {[info exists ::env(TMPDIR)] ? $::env(TMPDIR) : "/tmp"}]
array set ::H_created {} ;# connection -> its open_store statements
array set ::H_file {}    ;# connection -> its database file
# Shells and servers crash with a sanitizer in front of them.
unset -nocomplain ::env(LD_PRELOAD)
set ::env(PYTHONDONTWRITEBYTECODE) 1 ;# no files in the tree

# --- a run ---

proc testprefix {name} {
    set ::H(prefix) $name
    # a run that crashed could not clean up
    foreach dir [glob -nocomplain -directory $::H(tmp) nadb-$name-*] {
        if {[regexp {^\d+$} [lindex [split $dir -] end] pid]
            && ![file exists /proc/$pid]} {
            file delete -force $dir
        }
    }
    set ::H(dir) [file join $::H(tmp) nadb-$name-[pid]]
    file mkdir $::H(dir)
    file attributes $::H(dir) -permissions 0755
}

proc finish_test {} {
    close_all
    redis_stop_all
    if {!$::H(keep) || $::H(failed) == 0} {
        file delete -force $::H(dir)
    } else {
        puts "kept: $::H(dir)"
    }
    puts "$::H(passed) passed, $::H(failed) failed"
    exit [expr {$::H(failed) > 0}]
}

proc soak {} { return $::H(soak) }

# `short` in a usual run, `long` in a soak.
proc pick_size {short long} { return [expr {[soak] ? $long : $short}] }

# Seeds rand() and says how to repeat the run. One seed a run.
proc seed_random {} {
    if {$::H(seed) eq ""} {
        set ::H(seed) [expr {([clock microseconds] ^ ([pid] << 7)) & 0x7fffffff}]
        if {[info exists ::env(NADB_SEED)]} { set ::H(seed) $::env(NADB_SEED) }
        puts "seed $::H(seed) (repeat with NADB_SEED=$::H(seed))"
    }
    expr {srand($::H(seed))}
    return $::H(seed)
}

proc random_int {n} { return [expr {int(rand() * $n)}] }
proc random_of {list} { return [lindex $list [random_int [llength $list]]] }

proc note {text} { puts "note: $::H(prefix): $text" }

# --- connections ---

# A new folder, with no connection, store or child left from before. Options:
#   -main wal|delete|memory   journal mode of the file, or a :memory: database
#   -encoding UTF-16le        of the database
proc fresh {args} {
    array set o {-main wal -encoding UTF-8}
    array set o $args
    close_all
    set ::dir [file join $::H(dir) [incr ::H(fresh)]]
    file mkdir $::dir
    file attributes $::dir -permissions 0755
    set ::H(main) $o(-main)
    if {$::H(backend) eq "redis"} redis_for_backend
    open_db db
    db eval "PRAGMA encoding='$o(-encoding)'"
    if {$o(-main) ne "memory"} {
        db eval "PRAGMA journal_mode=$o(-main)"
    }
}

# The main database of the test's connections.
proc main_file {} {
    if {$::H(main) eq "memory"} { return ":memory:" }
    return [file join $::dir test.db]
}

# Opens a connection with the library loaded: to the file of the test, to the
# file given, or to a database in memory.
proc open_db {name {file ""}} {
    if {$file eq ""} { set file [main_file] }
    sqlite3 $name $file -uri 1
    $name enable_load_extension 1
    $name eval {SELECT load_extension($::H(lib))}
    if {[info exists ::env(NADB_PLUGIN)]} {
        $name eval {SELECT nadb_backend_load($::env(NADB_PLUGIN))}
    }
    # Extended result codes in errorCode, where the test library offers it.
    catch {$name eval {SELECT test_extended_codes(1)}}
    set ::H_file($name) $file
    set ::H_created($name) {}
}

proc close_db {name} {
    catch {$name close}
    unset -nocomplain ::H_file($name) ::H_created($name)
}

proc close_all {} {
    foreach name [array names ::H_file] { close_db $name }
    foreach name [array names ::H_child] { child_kill $name }
}

# The options that put a store of this test on its backend.
proc store_options {{options ""}} {
    set list [list "backend='$::H(backend)'"]
    if {[has_folder] && $::H(main) eq "memory"
        && ![regexp {(^|[,\s])path\s*=} $options]} {
        lappend list "path='[file join $::dir store]'"
    }
    if {[info exists ::env(NADB_BUFFER_MB)] && [has_folder]
        && ![regexp {(^|[,\s])buffer_size_mb\s*=} $options]} {
        lappend list "buffer_size_mb=$::env(NADB_BUFFER_MB)"
    }
    if {$::H(backend) eq "redis"} {
        lappend list "socket='$::R(backend,socket)'"
        if {[redis_clustered]} { lappend list cluster=on }
        # A test of a deadline names one; others keep it on any machine.
        if {![regexp {(^|[,\s])timeout\s*=} $options]} {
            lappend list timeout=60
        }
    }
    switch $::H(write) {
        "" {}
        sharded { lappend list shards=3 }
        default { lappend list "write=$::H(write)" }
    }
    if {$options ne ""} { lappend list $options }
    return [join $list ", "]
}

# Creates the table `name` (may be schema.name) on the backend of the test.
proc open_store {name {options ""} {db db}} {
    set sql "CREATE VIRTUAL TABLE $name USING nadb([store_options $options])"
    $db eval $sql
    lappend ::H_created($db) $sql
}

# The folder of a store at the default path, which belongs to its file: its name
# ends with the store's identity. None: the folder that it would be in.
proc store_dir {{name kv} {file test.db}} {
    set found [glob -nocomplain -type d [file join $::dir $file-nadb main \
                                             $name%store-*]]
    if {[llength $found] == 0} {
        return [file join $::dir $file-nadb main none]
    }
    return [lindex $found 0]
}

# Closes the connection and with it the store, and opens both again. A memory
# store is kept alive meanwhile; a :memory: database is declared again.
proc reopen {name {db db}} {
    set file $::H_file($db)
    set created $::H_created($db)
    hold_store $name $file $created
    close_db $db
    open_db $db $file
    foreach sql $created {
        lappend ::H_created($db) $sql
        if {$file eq ":memory:" || [regexp {TABLE temp\.} $sql]} {
            $db eval $sql
        }
    }
    $db eval "SELECT count(*) FROM $name"
    release_store
}

# A memory store dies with its last connection: this makes one that keeps it.
# `created` declares the table where `file` is a database in memory.
proc hold_store {name file created} {
    if {$::H(backend) ni [list memory {*}$::H(plugin)]} return
    open_db holder $file
    if {$file eq ":memory:"} {
        foreach sql $created { holder eval $sql }
    }
    catch {holder eval "SELECT count(*) FROM $name"}
}

proc release_store {} { close_db holder }

# The backend of the test as NADB_BACKENDS names it.
proc backend_form {} { join [concat $::H(backend) $::H(write)] - }

# Whether the backend of the test has a capability: a column of nadb_backends.
proc has {capability} {
    db one "SELECT $capability FROM nadb_backends WHERE name = '$::H(backend)'"
}

# Whether the store of the test is in a folder.
proc has_folder {} { expr {$::H(backend) in {fs files} || $::H(write) eq "buffered"} }

# Whether the library of `db` has this backend.
proc has_backend {name} {
    return [expr {$name in [db eval {SELECT name FROM nadb_backends}]}]
}

# Runs `body` once a backend, each time from a `fresh` start. Backends that
# this build does not have are left out with a note. What memory and fs can do,
# redis must be able to do; NADB_BACKENDS says which are run.
proc foreach_backend {list body} {
    if {"memory" in $list && "fs" in $list && "redis" ni $list} {
        lappend list redis {*}$::H(plugin)
    }
    if {[info exists ::env(NADB_BACKENDS)]} {
        set only [split $::env(NADB_BACKENDS) ", "]
        if {"redis" in $list} { lappend list redis-buffered redis-sharded }
        set list [lmap b $list {
            if {$b ni $only} continue
            set b
        }]
    }
    foreach backend $list {
        set ::H(backend) [lindex [split $backend -] 0]
        set ::H(write) [lindex [split $backend -] 1]
        fresh
        if {![has_backend $::H(backend)]} {
            note "backend $backend is not in this build"
            continue
        }
        uplevel 1 $body
        close_all
    }
    set ::H(backend) ""
    set ::H(write) ""
}

# --- SQL ---

proc execsql {sql {db db}} { uplevel 1 [list $db eval $sql] }

# {0 rows} or {1 message}
proc catchsql {sql {db db}} {
    set rc [catch {uplevel 1 [list $db eval $sql]} result]
    return [list $rc $result]
}

# The name of the result code of the last call on a connection. Without
# test_extended_codes() in the library it is the primary code's.
proc errcode {{db db}} { return [code_name [$db errorcode]] }

array set ::H_code {
    0 OK 1 ERROR 5 BUSY 6 LOCKED 7 NOMEM 8 READONLY 9 INTERRUPT 10 IOERR
    11 CORRUPT 13 FULL 14 CANTOPEN 18 TOOBIG 19 CONSTRAINT 20 MISMATCH
    21 MISUSE 23 AUTH 517 BUSY_SNAPSHOT 773 BUSY_TIMEOUT 1555 CONSTRAINT_PRIMARYKEY
    1299 CONSTRAINT_NOTNULL 2067 CONSTRAINT_UNIQUE 262 LOCKED_SHAREDCACHE
    264 READONLY_RECOVERY 2835 CONSTRAINT_DATATYPE 275 CONSTRAINT_CHECK
    2323 CONSTRAINT_VTAB 1032 READONLY_DBMOVED
}

proc code_name {code} {
    if {[info exists ::H_code($code)]} { return $::H_code($code) }
    return $code
}

# Whether a connection has no transaction open.
proc autocommit {{db db}} {
    if {[catch {$db eval BEGIN} message]} {
        return [expr {![string match "*within a transaction*" $message]}]
    }
    $db eval ROLLBACK
    return 1
}

# Turns the store's clock by `s` seconds.
proc advance_clock {s {db db}} { $db eval "SELECT test_advance_clock($s)" }

# --- tests ---

proc test_name {name} {
    if {$::H(backend) eq ""} { return $::H(prefix).$name }
    return $::H(prefix).[backend_form].$name
}

proc passed {{n 1}} { incr ::H(passed) $n }

proc failed {name sql expected got} {
    incr ::H(failed)
    puts "FAIL [test_name $name]"
    puts "  sql:      [string trim $sql]"
    puts "  expected: [shown $expected]"
    puts "  got:      [shown $got]"
}

proc shown {text} {
    if {[string length $text] > 2000} {
        set text "[string range $text 0 2000] .. ([string length $text])"
    }
    return $text
}

# Whether `got` is what was expected: equal, or /a regular expression/, which
# ignores case.
proc matches {expected got} {
    if {[regexp {^/(.*)/$} $expected - re]} {
        return [regexp -nocase -- $re $got]
    }
    return [string equal $expected $got]
}

proc check {name sql expected got} {
    if {[matches $expected $got]} {
        passed
        return 1
    }
    failed $name $sql $expected $got
    return 0
}

# All checks of `body` are one case: the steps of a random test or of a script,
# the faults of one statement. Those that fail are shown and counted.
proc one_case {name body} {
    set passed $::H(passed)
    set failed $::H(failed)
    set code [catch {uplevel 1 $body} result options]
    if {$code == 1} {
        failed $name $body "no error" [dict get $options -errorinfo]
    }
    set ::H(passed) [expr {$passed + ($::H(failed) == $failed)}]
    if {$code > 1} { return -options $options $result }
}

# The general form: the value of a script. An error is "error: message".
proc do_test {name body expected} {
    if {[catch {uplevel 1 $body} got]} { set got "error: $got" }
    check $name $body $expected $got
}

# do_execsql_test ?-db connection? name sql rows
proc do_execsql_test {args} {
    lassign [test_args $args] db name sql expected
    if {[catch {uplevel 1 [list $db eval $sql]} got]} {
        set got "error: $got"
    }
    if {![regexp {^/.*/$} [string trim $expected]]} {
        set expected [list {*}$expected]
    } else {
        set expected [string trim $expected]
    }
    check $name $sql $expected $got
}

# do_catchsql_test ?-db connection? ?-code NAME? name sql {rc message}
#
# The message may be a /regular expression/; -code is the name of the result
# code (see errcode).
proc do_catchsql_test {args} {
    lassign [test_args $args] db name sql expected code
    set rc [catch {uplevel 1 [list $db eval $sql]} got]
    set got_code [errcode $db]
    # {1 {message}}, or {1 /a pattern with spaces/}
    regexp {^\s*(\d+)\s*(.*?)\s*$} $expected - want_rc want
    if {![regexp {^/} $want]} { set want [lindex $want 0] }
    if {$rc == $want_rc && [matches $want $got]
        && ($code eq "" || [same_code $code $got_code])} {
        passed
        return 1
    }
    failed $name $sql "$expected $code" [list $rc $got $got_code]
    return 0
}

# Whether a code is the wanted one; without extended codes in the library, its
# primary code's name is enough.
proc same_code {want got} {
    if {$want eq $got} { return 1 }
    return [expr {![extended_codes]
                  && [lindex [split $want _] 0] eq $got}]
}

proc extended_codes {} {
    if {![info exists ::H(extended)]} {
        set db [lindex [array names ::H_file] 0]
        set ::H(extended) [expr {
            ![catch {$db eval {SELECT test_extended_codes(1)}}]}]
    }
    return $::H(extended)
}

proc test_args {list} {
    array set o {-db db -code ""}
    while {[llength $list] > 3} {
        set list [lassign $list option value]
        if {![info exists o($option)]} { error "unknown option $option" }
        set o($option) $value
    }
    return [list $o(-db) {*}$list $o(-code)]
}

# The plan must match the regular expression (or /not it/ with a leading !).
proc do_eqp_test {name sql pattern} {
    set plan {}
    if {[catch {
        uplevel 1 [list db eval "EXPLAIN QUERY PLAN $sql" ::H_eqp {
            lappend ::H_plan $::H_eqp(detail)
        }]
    } message]} {
        set plan "error: $message"
    } else {
        set plan [join $::H_plan "; "]
    }
    set ::H_plan {}
    if {[string index $pattern 0] eq "!"} {
        set ok [expr {![regexp -- [string range $pattern 1 end] $plan]
                      && ![string match error:* $plan]}]
    } else {
        set ok [regexp -- $pattern $plan]
    }
    if {$ok} { passed } else { failed $name $sql "plan: $pattern" $plan }
}
set ::H_plan {}

proc check_store {name {db db}} {
    do_test check_store "$db eval {SELECT nadb_check('$name')}" ok
}

# Whether two queries give the same; `ref` may be on another connection.
proc do_same_test {name sql ref_db ref_sql {db db}} {
    set got [catchsql $sql $db]
    set expected [catchsql $ref_sql $ref_db]
    check $name $sql $expected $got
}

# do_fault_test name -fault class -body script -ok list ?-errno EIO?
#               ?-path part? ?-prep script? ?-then script? ?-max n?
#
# Runs prep, makes the n-th call of the class fail (see test_fault() in
# test_functions.c), runs body, whose {rc message} must be in the list (a
# message may be a /regular expression/), then `then`; n = 1, 2, .. until a run
# meets no fault. All of it is one case. `then` finds n, met, rc and message in ::fault. Returns n.
proc do_fault_test {name args} {
    array set o {-errno EIO -path "" -prep {} -then {} -max 1000}
    array set o $args
    set passed $::H(passed)
    set failed $::H(failed)
    for {set n 1} {$n <= $o(-max)} {incr n} {
        uplevel 1 $o(-prep)
        fault_arm $o(-fault) $n $o(-errno) $o(-path)
        set rc [catch {uplevel 1 $o(-body)} message]
        set met [fault_disarm]
        if {$rc == 0} { set message "" }
        set fine 0
        foreach want $o(-ok) {
            if {[lindex $want 0] == $rc
                && [matches [lindex $want 1] $message]} {
                set fine 1
            }
        }
        if {!$fine} {
            failed $name-$o(-fault)-$n $o(-body) $o(-ok) [list $rc $message]
        }
        array set ::fault [list n $n met $met rc $rc message $message]
        uplevel 1 $o(-then)
        if {!$met} break
    }
    set ::H(passed) [expr {$passed + ($::H(failed) == $failed)}]
    return $n
}

# Faults are the process's, and `body` may close every connection of the test:
# they are set through one of their own.
proc fault_arm {class n {errno EIO} {path ""}} {
    if {[info commands ::H_faults] eq ""} {
        sqlite3 ::H_faults :memory:
        ::H_faults enable_load_extension 1
        ::H_faults eval {SELECT load_extension($::H(lib))}
    }
    if {$path eq ""} {
        ::H_faults eval {SELECT test_fault($class, $n, $errno)}
    } else {
        ::H_faults eval {SELECT test_fault($class, $n, $errno, 0, $path)}
    }
}

# Disarms; true if the fault was met.
proc fault_disarm {} {
    set json [::H_faults onecolumn {SELECT test_fault_clear()}]
    return [regexp {"fired":[1-9]} $json]
}

# Waits until a script's value is true, up to `ms`. Returns whether it was.
proc wait_for_condition {script {ms 600000}} {
    set end [expr {[clock milliseconds] + $ms}]
    while {![uplevel 1 $script]} {
        if {[clock milliseconds] > $end} { return 0 }
        after 2
    }
    return 1
}

# --- other processes ---
#
# Programs that load the library are started as `loading` says: with the
# sanitizer in front of them, if it has one in it. A child is a tclsh that
# evaluates the scripts it is sent; its `db` is a connection with the library
# loaded.

array set ::H_child {} ;# name -> channel

proc loading {{program ""}} {
    if {$program eq ""} { set program [info nameofexecutable] }
    if {![info exists ::env(NADB_PRELOAD)]} { return [list $program] }
    return [list env LD_PRELOAD=$::env(NADB_PRELOAD) $program]
}

proc child_start {name {file ""}} {
    if {$file eq ""} { set file [main_file] }
    set chan [open "|[list {*}[loading] \
                           [file join $::H(support) child.tcl] \
                           $::H(lib) $file 2>@stderr]" r+]
    fconfigure $chan -buffering full -translation lf -encoding utf-8 \
        -blocking 0
    set ::H_child($name) $chan
    child_eval $name {set ready 1}
}

proc child_pid {name} { return [lindex [pid $::H_child($name)] 0] }

# Sends a script; child_recv gets its {rc result}.
proc child_send {name script} {
    puts $::H_child($name) [list $script]
    flush $::H_child($name)
}

# The next answer of a child; {2 gone} when it died, {3 timeout} when it gave
# no answer.
proc child_recv {name {ms 600000}} {
    set chan $::H_child($name)
    set timer [after $ms [list set ::H_wake timeout]]
    set text ""
    set answer ""
    fileevent $chan readable {set ::H_wake data}
    while 1 {
        while {[gets $chan line] >= 0} {
            append text $line
            if {[info complete $text]} {
                set answer $text
                break
            }
            append text \n
        }
        if {$answer ne ""} break
        if {[eof $chan]} {
            set answer {2 gone}
            break
        }
        vwait ::H_wake
        if {$::H_wake eq "timeout"} {
            set answer {3 timeout}
            break
        }
    }
    after cancel $timer
    fileevent $chan readable {}
    return $answer
}

# Runs a script in a child; an error there is an error here.
proc child_eval {name script} {
    child_send $name $script
    lassign [child_recv $name] rc result
    if {$rc} { error "$name: $result" }
    return $result
}

# {0 rows} or {1 message}, as catchsql.
proc child_sql {name sql} {
    child_send $name [list db eval $sql]
    return [child_recv $name]
}

# A connection in a process of its own that is used like one of this process:
# `name eval SQL`, `name changes`, `name errorcode`, .. and close_db.
proc open_remote {name {file ""}} {
    child_start $name-process $file
    set ::H_file($name) [expr {$file eq "" ? [main_file] : $file}]
    set ::H_created($name) {}
    interp alias {} $name {} remote_call $name
}

proc remote_call {name method args} {
    if {$method eq "close"} {
        interp alias {} $name {}
        child_stop $name-process
        return
    }
    child_send $name-process [list db $method {*}$args]
    lassign [child_recv $name-process] rc result
    return -code [expr {$rc ? 1 : 0}] $result
}

proc child_kill {name {signal KILL}} {
    if {![info exists ::H_child($name)]} return
    set pid [child_pid $name]
    catch {exec kill -$signal $pid}
    catch {
        fconfigure $::H_child($name) -blocking 1
        close $::H_child($name)
    }
    unset ::H_child($name)
}

# Ends a child as a program ends: closing its connection.
proc child_stop {name} {
    set chan $::H_child($name)
    child_send $name exit
    fconfigure $chan -blocking 1
    catch {close $chan}
    unset ::H_child($name)
}

# Runs a command that prints "ok NAME" and "not ok NAME: what happened"; its
# tests are counted here, and so is a bad end.
proc run_program {program args} {
    set rc [catch {exec {*}$args 2>@1} output options]
    set tests 0
    foreach line [split $output \n] {
        if {[regexp {^ok (.*)} $line]} {
            passed
            incr tests
        } elseif {[regexp {^not ok ([^:]*):?(.*)} $line - name detail]} {
            failed $name $program ok $detail
            incr tests
        }
    }
    if {$rc || $tests == 0} {
        failed $program $args "tests, and a good end" $output
    }
}

source [file join $::H(support) files.tcl]
source [file join $::H(support) redis.tcl]

# --- run the suite ---

if {[catch {uplevel #0 [list source -encoding utf-8 $::argv0]} message options]} {
    incr ::H(failed)
    puts "FAIL [test_name "outside a test"]"
    puts [dict get $options -errorinfo]
}
if {![info exists ::H(dir)]} { testprefix unnamed }
finish_test
