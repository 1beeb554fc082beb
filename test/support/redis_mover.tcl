# redis_mover.tcl - moves the slot of the table `kv` around a cluster of three,
# for as long as another process lives (NADB_REDIS=moving).
#
# usage: redis_mover.tcl pid port port port
lassign $argv pid ports(a) ports(b) ports(c)

# What redis.tcl needs of the harness.
proc wait_for_condition {script {ms 10000}} {
    set end [expr {[clock milliseconds] + $ms}]
    while {![uplevel 1 $script]} {
        if {[clock milliseconds] > $end} { return 0 }
        after 5
    }
    return 1
}
source [file join [file dirname [info script]] redis.tcl]
foreach {name port} [array get ports] { set ::R($name,port) $port }

set key nadb:{main:kv}:meta
set slot [redis_call a CLUSTER KEYSLOT $key]
while {[file exists /proc/$pid]} {
    # The cluster may end before us, in the middle of it.
    catch {
        set from [redis_owner $key {a b c}]
        lassign [lsearch -all -inline -not {a b c} $from] to other
        redis_slot_begin $slot $from $to
        while {[redis_slot_step $slot $from $to 20]} { after 1 }
        redis_slot_end $slot $from $to $other
    }
    after 100
}
