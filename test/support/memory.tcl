# memory.tcl - the memory that a child takes (see harness.tcl).

# Runs a script in a child and samples its memory meanwhile: the most of
# RssAnon, in MB, and what the script gives.
proc peak_of {name script} {
    set ::H(peak) 0
    child_send $name $script
    sample_memory [child_pid $name]
    lassign [child_recv $name 100000000] rc message
    after cancel $::H(sampling)
    if {$rc} { error "$message: $script" }
    return [list [expr {$::H(peak) / 1024}] $message]
}

proc sample_memory {pid} {
    set f [open /proc/$pid/status]
    regexp {RssAnon:\s+(\d+)} [read $f] - kb
    close $f
    if {$kb > $::H(peak)} { set ::H(peak) $kb }
    set ::H(sampling) [after 50 [list sample_memory $pid]]
}
