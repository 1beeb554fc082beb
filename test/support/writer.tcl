# writer.tcl - a process that writes until it is killed (crash.test).
#
# usage: writer.tcl library main-file store-options writer first
#
# Transaction n of a writer puts n under four keys of slot n % 50, adds a row
# log/n, and deletes row log/n-200. The process id goes to stdout first ("pid
# N"), and n after each COMMIT.
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
        db eval {REPLACE INTO kv(key, value)
            VALUES($w || '/slot/' || $slot || '/' || $j,
                   $n || ':' || printf('%.*c', $size, 'x'))}
    }
    db eval {INSERT INTO kv(key, value) VALUES($w || '/log/' || $n, $n);
             DELETE FROM kv WHERE key = $w || '/log/' || $old}
    if {$ordinary} { db eval {INSERT INTO o VALUES($w, $n)} }
    db eval COMMIT
    puts $n
    incr n
}
