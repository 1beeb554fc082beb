# writer.tcl - a process that writes until it is killed (crash.test).
#
# usage: writer.tcl library main-file store-options writer first
#
# Transaction n of a writer puts n under four keys of slot n % 50, adds a row
# log/n, deletes row log/n-200, and leaves a row that expires soon. All have
# tags, of which each slot changes one from time to time. The process id goes to
# stdout first ("pid N"), and n after each COMMIT.
package require sqlite3

lassign $argv lib main options w n
sqlite3 db $main
db timeout 10000
db enable_load_extension 1
db eval {SELECT load_extension($lib)}
catch {db eval "CREATE VIRTUAL TABLE temp.kv USING nadb($options)"}
set ordinary [db exists {SELECT 1 FROM main.sqlite_schema WHERE name = 'o'}]
expr {srand([pid] + 7919 * $n)}
fconfigure stdout -buffering line
puts "pid [pid]"

while 1 {
    set slot [expr {$n % 50}]
    set old [expr {$n - 200}]
    set dice [expr {int(rand() * 100)}]
    set size [expr {$dice == 0 ? 100000 : $dice < 10 ? 3000 : 30}]
    db eval BEGIN
    for {set j 0} {$j < 4} {incr j} {
        db eval {REPLACE INTO kv(key, value, tags, ttl)
            VALUES($w || '/slot/' || $slot || '/' || $j,
                   $n || ':' || printf('%.*c', $size, 'x'),
                   json_array('slot', $w, 'turn' || ($n / 50 % 3)),
                   iif($n % 3 = 0, 1000 + $j, NULL))}
    }
    db eval {INSERT INTO kv(key, value, tags)
                VALUES($w || '/log/' || $n, $n, json_array('log', $w));
             INSERT INTO kv(key, tags, ttl)
                VALUES($w || '/brief/' || $n, json_array('brief', $w), 0.01);
             DELETE FROM kv WHERE key = $w || '/log/' || $old}
    if {$ordinary} { db eval {INSERT INTO o VALUES($w, $n)} }
    db eval COMMIT
    puts $n
    incr n
}
