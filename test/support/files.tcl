# files.tcl - files as bytes and as text, changed in place, and their checksums.
# Sourced by harness.tcl.

proc file_read {file} {
    set f [open $file rb]
    set bytes [read $f]
    close $f
    return $bytes
}

# In place: a file that is there keeps its inode, without which control is not
# trusted, and is never shorter than the new bytes while it is mapped.
proc file_write {file bytes} {
    set f [open $file [expr {[file exists $file] ? "r+b" : "wb"}]]
    puts -nonewline $f $bytes
    chan truncate $f [string length $bytes]
    close $f
}

proc file_patch {file at bytes} {
    set f [open $file r+b]
    seek $f $at
    puts -nonewline $f $bytes
    close $f
}

# The text of a file of the project, which is UTF-8 in any locale.
proc file_text {file} { return [encoding convertfrom utf-8 [file_read $file]] }

# A pattern for exactly this text.
proc as_pattern {text} {
    regsub -all {[][\\^$.|?*+(){}]} $text {\\&} text
    return $text
}

set ::crc32c_table {}
for {set i 0} {$i < 256} {incr i} {
    set c $i
    for {set bit 0} {$bit < 8} {incr bit} {
        set c [expr {$c & 1 ? $c >> 1 ^ 0x82f63b78 : $c >> 1}]
    }
    lappend ::crc32c_table $c
}
# Of the bytes that follow those whose checksum is `crc`.
proc crc32c {bytes {crc 0}} {
    set c [expr {$crc ^ 0xffffffff}]
    binary scan $bytes cu* list
    foreach b $list {
        set c [expr {[lindex $::crc32c_table [expr {($c ^ $b) & 255}]] ^ $c >> 8}]
    }
    return [expr {$c ^ 0xffffffff}]
}
