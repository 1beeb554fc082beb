# redis_chaos.tcl - a writer of redis_chaos.test, in a process of its own (child):
# does one thing after the other until the file `stop` is there, and keeps in the
# file `log` what it began (?), what was acknowledged (+), what was refused for
# certain (-) and what it knows nothing of (!). It may be killed at any time.
#
# `id` is its name, a word; `stop` and `log` are paths.

proc note {sign kind n} {
    puts $::chan "$sign $kind $n"
    flush $::chan
}

# One transaction: its kind, its number, its SQL. SQLITE_BUSY has done nothing.
proc attempt {kind n sql} {
    note ? $kind $n
    if {[catch {uplevel 1 [list db eval $sql]} message]} {
        set busy [expr {([db errorcode] & 255) == 5}]
        catch {db eval ROLLBACK}
        note [expr {$busy ? "-" : "!"}] $kind $n
        if {!$busy} { puts $::chan "# $message" }
        after 10
    } else {
        note + $kind $n
    }
}

proc work {} {
    set ::chan [open $::log a]
    for {set n 0} {![file exists $::stop]} {incr n} {
        set name $::id-$n
        set a acc[expr {int(rand() * 10)}]
        set b acc[expr {int(rand() * 10)}]
        set t t[expr {int(rand() * 20)}]
        attempt pair $name {
            BEGIN;
            INSERT INTO kv(key, value, tags) VALUES('a' || $name, $n, '["pair"]');
            INSERT INTO kv(key, value, tags) VALUES('b' || $name, $n, '["pair"]');
            COMMIT;
        }
        attempt both $name {
            BEGIN;
            INSERT INTO sh(key, value, tags) VALUES('a' || $name, $n, '["pair"]');
            INSERT INTO sh(key, value, tags) VALUES('b' || $name, $n, '["pair"]');
            COMMIT;
        }
        attempt count $name {SELECT nadb_incr('kv', 'count')}
        attempt list $name {
            UPDATE kv SET value = value || $name || ',' WHERE key = 'list'
        }
        attempt move $name {
            BEGIN;
            UPDATE sh SET value = value - 1 WHERE key = $a;
            UPDATE sh SET value = value + 1 WHERE key = $b;
            COMMIT;
        }
        attempt tag $name {
            UPDATE sh SET value = value + 1,
                tags = iif(value % 2, '["even"]', '["odd"]') WHERE key = $t
        }
    }
    close $::chan
}

# Commits to a log of this machine; what it has committed comes to the server.
proc buffer_work {} {
    set ::chan [open $::log a]
    for {set n 0} {![file exists $::stop]} {incr n} {
        set name $::id-$n
        attempt event $name {
            BEGIN;
            REPLACE INTO ev(key, value) VALUES('a' || $name, $n);
            REPLACE INTO ev(key, value) VALUES('b' || $name, $n);
            COMMIT;
        }
        after 5
    }
    close $::chan
}
