# tcl_test.tcl - nadb from Tcl's sqlite3 package (bindings.test).
#
# usage: tcl_test.tcl library folder
package require sqlite3

lassign $argv lib folder second
set path [file join $folder tcl.db]
fconfigure stdout -encoding utf-8 -buffering line

proc check {name got expected} {
    if {$got eq $expected} {
        puts "ok $name"
    } else {
        puts "not ok $name: got [string range $got 0 200],\
              expected [string range $expected 0 200]"
    }
}

proc connect {} {
    sqlite3 db $::path
    db enable_load_extension 1
    db eval {SELECT load_extension($::lib)}
}

proc get {key {column value}} {
    return [db onecolumn "SELECT $column FROM kv WHERE key = \$key"]
}

connect
if {$second ne ""} {
    db eval {INSERT INTO kv(key, value) VALUES('second', 2)}
    puts [get text]
    db close
    exit 0
}

db eval {CREATE VIRTUAL TABLE kv USING nadb}
set text "Gr\u00fc\u00dfe, \u4e16\u754c"
set binary [string repeat [binary format c* {0 1 2 255 128 7}] 180000]
db eval {
    INSERT INTO kv(key, value) VALUES('text', $text), ('binary', @binary);
    INSERT INTO kv(key, value, tags, ttl)
        VALUES('tagged', 1.5, '["b", "a"]', 3600);
}
check text [get text] $text
check binary [expr {[get binary] eq $binary}] 1
check binary-type [get binary typeof(value)] blob
check tags [get tagged tags] {["a","b"]}
check ttl [expr {[get tagged ttl] > 3500}] 1
check missing [get nosuch] ""

catch {
    db transaction {
        db eval {REPLACE INTO kv(key, value) VALUES('text', 'lost')}
        db eval {INSERT INTO kv(key) VALUES('lost')}
        check inside [get text] lost
        error "roll back"
    }
}
check rolled-back [list [get text] [get lost]] [list $text {}]
catch {db eval {INSERT INTO kv(key) VALUES('text')}} message
check duplicate $message {UNIQUE constraint failed: kv.key}
check keys [db eval {SELECT key FROM kv ORDER BY key}] {binary tagged text}

db close
connect
check reopen [list [get text] [expr {[get binary] eq $binary}]] [list $text 1]

set chan [open "|[list [info nameofexecutable] [info script] $lib $folder 2]"]
fconfigure $chan -encoding utf-8
check second-process [gets $chan] $text
check second-process-end [catch {close $chan}] 0
check second-process-wrote [get second] 2

# Tags and expiry.
db eval {CREATE VIRTUAL TABLE jobs USING nadb}
db transaction {
    for {set i 0} {$i < 100} {incr i} {
        set key job:[format %03d $i]
        set m m[expr {$i % 3}]
        set ten [expr {$i % 10 ? "all" : "ten"}]
        set ttl [expr {$i % 2 ? 3600 : "Inf"}]
        db eval {INSERT INTO jobs(key, value, tags, ttl)
                 VALUES($key, $i, json_array('all', $m, $ten), $ttl)}
    }
    db eval {INSERT INTO jobs(key, tags, ttl)
             VALUES('brief', '["brief", "all"]', 0.02)}
    set match {ten NOT m0}
    set from job:010
    check match-inside [db eval {SELECT key FROM jobs WHERE tags MATCH $match
        AND key > $from ORDER BY key LIMIT 3}] {job:020 job:040 job:050}
}
while {[db onecolumn {SELECT count(*) FROM jobs WHERE tag = 'brief'}]} {
    after 5
}
check expired [db eval {SELECT * FROM nadb_tags('jobs')
    WHERE tag IN ('all', 'brief')}] {all 100}
check both-tags [db eval {SELECT count(*) FROM jobs
    WHERE tag = 'ten' AND tag = 'm0'}] 4
set soon [expr {[clock seconds] + 4000}]
check expiring [db eval {SELECT count(*) FROM jobs WHERE expires_at < $soon}] 50
check functions [db eval {
    SELECT nadb_tag('jobs', 'job:001', 'x', $text),
        nadb_untag('jobs', 'job:001', 'all'), nadb_tags('jobs', 'job:001'),
        nadb_set_ttl('jobs', 'job:001', NULL), nadb_ttl('jobs', 'job:001'),
        nadb_pop('jobs', 'job:002')}] \
    [list 2 1 "\[\"$text\",\"m1\",\"x\"\]" 1 {} 2]
catch {
    db transaction {
        db eval {UPDATE jobs SET tags = NULL WHERE tags MATCH 'm0 OR m1';
                 DELETE FROM jobs WHERE tag = 'm2'}
        check all-changed [db eval {SELECT count(*) FROM nadb_tags('jobs')}] 0
        error "roll back"
    }
}
check tags-rolled-back [db eval {SELECT tag, count FROM nadb_tags('jobs')}] \
    [list $text 1 all 98 m0 34 m1 33 m2 32 ten 10 x 1]
check check [db eval {SELECT nadb_check('jobs')}] ok
db close
