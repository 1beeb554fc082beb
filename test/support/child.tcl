# child.tcl - a second process for the harness: evaluates what it is sent.
#
# usage: child.tcl library database-file
#
# Each line on stdin is a list of one script (it may span lines); the answer
# is the list {rc result}. End of input ends the process.
package require sqlite3

encoding system utf-8
fconfigure stdin -translation lf -encoding utf-8
fconfigure stdout -translation lf -encoding utf-8 -buffering full
lassign $argv lib file
sqlite3 db $file -uri 1
# With a rollback journal, somebody else may be writing the file's last page.
db timeout 10000
db enable_load_extension 1
db eval {SELECT load_extension($lib)}
catch {db eval {SELECT test_extended_codes(1)}}
db timeout 0

proc answer {text} {
    puts $text
    flush stdout
}

set text ""
while {[gets stdin line] >= 0} {
    append text $line
    if {![info complete $text]} {
        append text \n
        continue
    }
    set script [lindex $text 0]
    set text ""
    if {$script eq "exit"} break
    set rc [catch {uplevel #0 $script} result]
    answer [list $rc $result]
}
db close
exit 0
