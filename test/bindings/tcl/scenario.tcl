# The scenario through Tcl's sqlite3.
source [file join $env(BLOCKS) block1.tcl] ;# the page's connect
encoding system utf-8
fconfigure stdout -encoding utf-8 -buffering line
set text "Gr\u00fc\u00dfe, \u4e16\u754c [encoding convertfrom utf-8 \xf0\x9f\x98\x80]"

proc get {key {column value}} {
    return [db onecolumn "SELECT $column FROM kv WHERE key = \$key"]
}
proc put {key value} {
    db eval {INSERT INTO kv(key, value) VALUES($key, $value)}
}
proc same {} {
    return [expr {[get binary] eq $::binary ? "same" : "different"}]
}

connect db scenario.db
if {$argv eq "second"} {
    put second 2
    puts "second-reads [get text]"
    exit
}
puts "# Tcl [info patchlevel], SQLite [db onecolumn {SELECT sqlite_version()}]"
set f [open binary rb]
set binary [read $f]
close $f
db eval {CREATE VIRTUAL TABLE kv USING nadb; CREATE TABLE plain(x)}
db transaction {
    set utf8 [encoding convertto utf-8 $text]
    db eval {INSERT INTO kv(key, value) VALUES('text', CAST(@utf8 AS TEXT))}
    db eval {INSERT INTO kv(key, value) VALUES('binary', @binary), ('null', $none)}
    put integer 42
    put real 1.5
    put big [expr {2 ** 53 + 1}]
    put 5 five
    set tags {["b", "a"]}
    db eval {INSERT INTO kv(key, value, tags, ttl)
             VALUES('tagged', 1, $tags, 3600)}
}
puts "text [get text]"
puts "binary [same]"
puts "binary-type [get binary typeof(value)] [get binary size]"
puts "integer [get integer]"
puts "real [get real]"
puts "big [get big] [get big typeof(value)]"
puts "null [expr {[get null] eq {} ? [get null typeof(value)] : {no}}]"
puts "missing [llength [db eval {SELECT 1 FROM kv WHERE key = 'nosuch'}]]"
puts "tags [get tagged tags]"
puts "tag [db eval {SELECT key FROM kv WHERE tag = 'a' AND tag = 'b'}]"
set match {a NOT c}
puts "match [db eval {SELECT key FROM kv WHERE tags MATCH $match}]"
puts "ttl [get tagged {ttl > 3500 AND ttl <= 3600}]"
set five [expr {2 + 3}]
puts "number-key [get $five key] [get $five]"
set by [expr {1 + 1}]
set incr {SELECT nadb_incr('kv', 'n', $by)}
puts "incr [db onecolumn $incr] [db onecolumn $incr]"
puts "pop [db onecolumn {SELECT nadb_pop('kv', 'n')}]"
db eval {INSERT INTO kv(key, ttl) VALUES('brief', 0.05)}
set count {SELECT count(*) FROM kv WHERE key = 'brief'}
while {[db onecolumn $count]} { after 5 }
puts "expired [db onecolumn $count]"
set count {SELECT count(*) FROM kv WHERE tag = 'a'}
catch {
    db transaction {
        db eval {REPLACE INTO kv(key, value) VALUES('text', 'lost')}
        put lost 1
        db eval {INSERT INTO plain VALUES(1);
                 UPDATE kv SET tags = NULL WHERE tag = 'a'}
        puts "inside [get text] [db onecolumn $count]"
        error "roll back"
    }
}
puts "rolled-back [get text]"
puts "rolled-back-rows [db onecolumn {SELECT count(*) FROM kv
    WHERE key = 'lost'}] [db onecolumn {SELECT count(*) FROM plain}]\
    [db onecolumn $count]"
db transaction {
    put committed 1
    db eval {INSERT INTO plain VALUES(1)}
}
puts "committed [get committed] [db onecolumn {SELECT x FROM plain}]"
catch {put text 1} message
puts "duplicate $message"
puts "keys [db eval {SELECT key FROM kv ORDER BY key}]"
db close
connect db scenario.db
puts "reopen [get text]"
puts "reopen-binary [same]"
puts "second-process [catch {exec ./second}]"
puts "second-wrote [get second]"
puts "check [db onecolumn {SELECT nadb_check('kv')}]"
db close
