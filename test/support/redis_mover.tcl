# redis_mover.tcl - moves slots around a cluster of three, one after the other,
# for as long as another process lives (NADB_REDIS=moving).
#
# usage: redis_mover.tcl pid names port port port
#
# names: of a key in each slot
lassign $argv pid keys ports(a) ports(b) ports(c)

# What redis.tcl needs of the harness.
proc wait_for_condition {script {ms 600000}} {
    set end [expr {[clock milliseconds] + $ms}]
    while {![uplevel 1 $script]} {
        if {[clock milliseconds] > $end} { return 0 }
        after 5
    }
    return 1
}
source [file join [file dirname [info script]] redis.tcl]
foreach {name port} [array get ports] { set ::R($name,port) $port }

for {set i 0} {[file exists /proc/$pid]} {incr i} {
    set key [lindex $keys [expr {$i % [llength $keys]}]]
    # The cluster may end before us, in the middle of it.
    catch {
        set slot [redis_call a CLUSTER KEYSLOT $key]
        set from [redis_owner $key {a b c}]
        lassign [lsearch -all -inline -not {a b c} $from] to other
        redis_slot_begin $slot $from $to
        while {[redis_slot_step $slot $from $to 20]} { after 1 }
        redis_slot_end $slot $from $to $other
    }
    after [expr {100 / [llength $keys]}]
}
