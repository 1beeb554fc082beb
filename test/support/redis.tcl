# redis.tcl - Redis servers of a suite's own, and a client to look into them.
#
# A server is real, listens on a free port and a unix socket below $::H(dir),
# keeps its data there if asked to, and ends with the suite, however that ends.
#
#     redis_start r ?option value ..?    options of redis.conf, as in -maxmemory
#     redis_call r GET key               the answer; bytes in and out
#     redis_kill r ?signal?              KILL, STOP, CONT, TERM
#     redis_stop r
#     redis_cluster_start {a b c}        masters that share the slots

array set ::R {} ;# name,pid name,port name,socket name,dir name,chan

proc redis_free_port {} {
    set s [socket -server {apply {args {}}} -myaddr 127.0.0.1 0]
    set port [lindex [fconfigure $s -sockname] 2]
    close $s
    return $port
}

# Starts a server; one of that name that was stopped comes back at its place.
proc redis_start {name args} {
    if {![info exists ::R($name,port)]} {
        set ::R($name,port) [redis_free_port]
    }
    if {![info exists ::R($name,dir)]} {
        set ::R($name,dir) [file join $::H(dir) redis-$name]
        set ::R($name,socket) [file join $::R($name,dir) redis.sock]
        file mkdir $::R($name,dir)
    }
    # A script may take long beside other programs.
    array set o {-save {""} -appendonly no -loglevel warning -maxclients 200
        -lua-time-limit 60000}
    array set o $args
    if {![info exists o(-as-sentinel)]} {
        set o(-repl-diskless-sync-delay) 0 ;# not 5 s
    }
    set f [open [file join $::R($name,dir) redis.conf] w]
    puts $f "bind 127.0.0.1\nport $::R($name,port)"
    puts $f "unixsocket $::R($name,socket)\ndir $::R($name,dir)"
    puts $f "logfile $::R($name,dir)/log"
    set as [expr {[info exists o(-as-sentinel)] ? "--sentinel" : ""}]
    array unset o -as-sentinel
    foreach {option value} [array get o] {
        puts $f "[string range $option 1 end] $value"
    }
    close $f
    file delete [file join $::R($name,dir) pid]
    # Should this process be killed, the shell sees to the server.
    exec sh -c {
        redis-server "$1" $4 & p=$!
        echo $p > "$2.new" && mv "$2.new" "$2"
        while kill -0 $3 2>/dev/null && kill -0 $p 2>/dev/null; do sleep 1; done
        kill -9 $p 2>/dev/null
    } sh [file join $::R($name,dir) redis.conf] \
        [file join $::R($name,dir) pid] [pid] $as \
        <@stdin >/dev/null 2>/dev/null &
    # The shell may be slower with the file than the server is to be there.
    if {![wait_for_condition {
        expr {[file exists [file join $::R($name,dir) pid]]
              && [redis_is_up $name]}
    }]} {
        error "redis-server does not start: see $::R($name,dir)/log"
    }
    set f [open [file join $::R($name,dir) pid]]
    set ::R($name,pid) [string trim [read $f]]
    close $f
}

proc redis_is_up {name} {
    if {[catch {redis_call $name PING} answer]} {
        return [expr {[string match *NOAUTH* $answer]}]
    }
    if {$answer eq "PONG"} { return 1 }
    # Where nobody listens, TCP may connect a client with itself.
    redis_hang_up $name
    return 0
}

proc redis_hang_up {name} {
    if {[info exists ::R($name,chan)]} {
        catch {close $::R($name,chan)}
        unset ::R($name,chan)
    }
}

# Sends one command and reads its answer. Texts go as UTF-8; what comes back is
# bytes, and goes as such with redis_call_bytes. nil is the empty text.
proc redis_call {name args} {
    redis_call_bytes $name {*}[lmap a $args {encoding convertto utf-8 $a}]
}

proc redis_call_bytes {name args} {
    set old [info exists ::R($name,chan)]
    if {!$old} {
        set ::R($name,chan) [socket 127.0.0.1 $::R($name,port)]
        fconfigure $::R($name,chan) -translation binary -buffering full
    }
    set chan $::R($name,chan)
    if {[catch {
        puts -nonewline $chan "*[llength $args]\r\n"
        foreach a $args {
            puts -nonewline $chan "\$[string length $a]\r\n$a\r\n"
        }
        flush $chan
        set answer [redis_read $chan]
    } message]} {
        redis_hang_up $name
        # A server that becomes a replica hangs up on its clients.
        if {$old} { return [redis_call_bytes $name {*}$args] }
        error $message
    }
    lassign $answer ok value
    if {!$ok} { error $value }
    return $value
}

# A row as the server has it: the line that describes it, and the value.
proc redis_line {name row} {
    return [lindex [split [redis_call $name GET $row] \n] 0]
}
proc redis_value {name row} {
    return [join [lrange [split [redis_call $name GET $row] \n] 1 end] \n]
}
# Somebody else writes there: another value behind the line, or another line.
proc redis_set_value {name row value} {
    redis_call $name SET $row [redis_line $name $row]\n$value
}
proc redis_set_line {name row line} {
    redis_call $name SET $row $line\n[redis_value $name $row]
}

proc redis_read {chan} {
    if {[gets $chan line] < 0} { error "the connection is gone" }
    set line [string trimright $line \r]
    set rest [string range $line 1 end]
    switch [string index $line 0] {
        + - : { return [list 1 $rest] }
        - { return [list 0 $rest] }
        $ {
            if {$rest < 0} { return {1 {}} }
            set data [read $chan $rest]
            read $chan 2
            return [list 1 $data]
        }
        * {
            set list {}
            for {set i 0} {$i < $rest} {incr i} {
                lappend list [lindex [redis_read $chan] 1]
            }
            return [list 1 $list]
        }
    }
    error "what is this: $line"
}

proc redis_kill {name {signal KILL}} {
    catch {exec kill -$signal $::R($name,pid)}
    if {$signal in {KILL TERM}} {
        redis_hang_up $name
        wait_for_condition {expr {![file exists /proc/$::R($name,pid)]}}
    }
}

proc redis_stop {name} {
    if {![info exists ::R($name,pid)]} return
    redis_kill $name
    unset ::R($name,pid)
}

proc redis_stop_all {} {
    foreach key [array names ::R *,pid] {
        redis_stop [string range $key 0 end-4]
    }
}

# Calls of commands since `redis_count_begin`, as a sorted list of name and
# count. Calls made by scripts count too.
proc redis_count_begin {name} { redis_call $name CONFIG RESETSTAT }

proc redis_counts {name} {
    set counts {}
    foreach line [split [redis_call $name INFO commandstats] \n] {
        if {[regexp {^cmdstat_([^:]+):calls=(\d+)} $line - command n]
            && $command ni {config|resetstat info}} {
            lappend counts [list $command $n]
        }
    }
    return [concat {*}[lsort $counts]]
}

# How often the server finds something to read while `script` runs: the round
# trips, as a pipeline is sent at once.
proc redis_reads {name} {
    regexp {total_reads_processed:(\d+)} [redis_call $name INFO stats] - n
    return $n
}

proc redis_trips {name script} {
    set before [redis_reads $name]
    uplevel 1 $script
    return [expr {[redis_reads $name] - $before - 1}]
}

# What a client sends, command by command, while `script` runs. Commands that
# scripts call are marked "lua" and left out.
proc redis_monitor {name script} {
    set chan [socket 127.0.0.1 $::R($name,port)]
    fconfigure $chan -translation binary -buffering none
    puts -nonewline $chan "*1\r\n\$7\r\nMONITOR\r\n"
    gets $chan line
    uplevel 1 $script
    redis_call $name ECHO the-end-of-it
    set list {}
    while {[gets $chan line] >= 0} {
        if {[string match *the-end-of-it* $line]} break
        if {[regexp { lua\] } $line]} continue
        if {[regexp {\] "([^"]*)"} $line - command]} {
            lappend list [string toupper $command]
        }
    }
    close $chan
    return $list
}

# The server of all stores of this run on backend redis, emptied. That is one
# of its own, or that of redis_suites.tcl.
proc redis_for_backend {} {
    set nodes {backend backend2 backend3}
    if {![redis_clustered]} { set nodes backend }
    if {[info exists ::env(NADB_REDIS_AT)]} {
        array set ::R $::env(NADB_REDIS_AT)
        redis_empty $nodes
    } elseif {[info exists ::R(backend,pid)]} {
        redis_empty $nodes
    } elseif {[redis_clustered]} {
        redis_cluster_start $nodes
        if {$::env(NADB_REDIS) eq "moving"} {
            exec [info nameofexecutable] \
                [file join $::H(support) redis_mover.tcl] [pid] \
                [moving_names $::H(write)] \
                {*}[lmap name $nodes {set ::R($name,port)}] \
                >/dev/null 2>/dev/null &
        }
    } else {
        redis_start backend
    }
}

# Keys may go from one that is not empty yet to one that is.
proc redis_empty {nodes} {
    while 1 {
        foreach name $nodes { redis_call $name FLUSHALL }
        set left [lmap name $nodes {redis_call $name DBSIZE}]
        if {[lsort -unique $left] eq "0"} break
    }
}

# A key in each slot of the table `kv` with `n` shards.
proc shard_names {n} {
    set list {}
    for {set i 0} {$i < $n} {incr i} { lappend list "nadb:{main:kv/$i/$n}:meta" }
    return $list
}

proc moving_names {write} {
    if {$write eq "sharded"} { return [shard_names 3] }
    return [list "nadb:{main:kv}:meta"]
}

# NADB_REDIS=cluster: that server is one of three that are a cluster; moving:
# and the slots of the table `kv` go around.
proc redis_clustered {} {
    expr {[info exists ::env(NADB_REDIS)]
          && $::env(NADB_REDIS) in {cluster moving}}
}

# --- a proxy that fails (redis_proxy.py) ---

proc proxy_start {name server {port port}} {
    set chan [open "|[list python3 \
        [file join $::H(support) redis_proxy.py] $::R($server,$port)]" r+]
    fconfigure $chan -buffering line
    set ::R_proxy($name) $chan
    gets $chan ::R($name,port)
}

# As redis_proxy.py says; bytes of `say`, `each` and so on are given as they are.
proc proxy {name args} {
    set bytes [dict create say end each {1 2} once {1 2} nag {1 2} hold 1 lose 1 drop 1]
    if {[dict exists $bytes [lindex $args 0]]} {
        foreach i [dict get $bytes [lindex $args 0]] {
            binary scan [lindex $args $i] H* hex
            lset args $i $hex
        }
    }
    puts $::R_proxy($name) [join $args]
    gets $::R_proxy($name) answer
    return $answer
}

proc proxy_stop {name} {
    catch {close $::R_proxy($name)}
    unset -nocomplain ::R_proxy($name)
}

# --- a server that lies (redis_liar.py) ---

proc liar_start {name address} {
    set chan [open "|[list python3 [file join $::H(support) redis_liar.py] \
        $address]" r+]
    fconfigure $chan -buffering line
    set ::R_liar($name) $chan
    gets $chan ::R($name,port)
}

# As redis_liar.py says; what `says` is given is text.
proc liar {name word args} {
    if {$word eq "says"} {
        binary scan [lindex $args 1] H* hex
        lset args 1 $hex
    }
    puts $::R_liar($name) [join [list $word {*}$args]]
    gets $::R_liar($name) answer
    return $answer
}

proc liar_stop {name} {
    catch {close $::R_liar($name)}
    unset -nocomplain ::R_liar($name)
}

# An answer: a list of texts and numbers (:7), or of lists of them ({* ..}).
proc resp {args} {
    set text "*[llength $args]\r\n"
    foreach x $args {
        if {[lindex $x 0] eq "*"} {
            append text [resp {*}[lrange $x 1 end]]
        } elseif {[string match :* $x]} {
            append text "$x\r\n"
        } else {
            append text "\$[string length $x]\r\n$x\r\n"
        }
    }
    return $text
}

# --- clusters ---

proc redis_port_is_free {port} {
    set taken [catch {socket -server list -myaddr 127.0.0.1 $port} chan]
    if {!$taken} { close $chan }
    return [expr {!$taken}]
}

# Ports of a cluster's nodes have one for the others 10000 above them.
proc redis_node_port {} {
    while 1 {
        set port [redis_free_port]
        if {$port > 55000} {
            set port [expr {20000 + $port % 12000}]
        }
        if {[redis_port_is_free $port]
            && [redis_port_is_free [expr {$port + 10000}]]} {
            return $port
        }
    }
}

# Starts masters that share the slots evenly, and nodes without slots.
proc redis_cluster_start {names {others {}}} {
    set all [concat $names $others]
    foreach name $all {
        if {![info exists ::R($name,port)]} {
            set ::R($name,port) [redis_node_port]
        }
        redis_start $name -cluster-enabled yes -cluster-node-timeout 1000
    }
    set n [llength $names]
    for {set i 0} {$i < $n} {incr i} {
        set name [lindex $names $i]
        redis_call $name CLUSTER ADDSLOTSRANGE [expr {16384 * $i / $n}] \
            [expr {16384 * ($i + 1) / $n - 1}]
        redis_call $name CLUSTER SET-CONFIG-EPOCH [expr {$i + 1}]
    }
    foreach name $all {
        redis_call $name CLUSTER MEET 127.0.0.1 $::R([lindex $names 0],port)
    }
    set n [llength $all]
    foreach name $all {
        if {![wait_for_condition {
            string match "*cluster_state:ok*cluster_known_nodes:$n*" \
                [redis_call $name CLUSTER INFO]
        } 600000]} {
            error "no cluster: [redis_call $name CLUSTER INFO]"
        }
    }
}

proc redis_node_id {name} { return [redis_call $name CLUSTER MYID] }

# A node that clients and replicas reach by its proxy, p<name>, alone.
proc redis_proxied_node_start {name args} {
    if {![info exists ::R($name,port)]} {
        set ::R($name,port) [redis_node_port]
        proxy_start p$name $name
    }
    redis_start $name -cluster-enabled yes -cluster-node-timeout 1500 \
        -cluster-announce-port $::R(p$name,port) \
        -cluster-announce-bus-port [expr {$::R($name,port) + 10000}] \
        -repl-timeout 5 -repl-ping-replica-period 1 {*}$args
}

# A cluster of them; `replicas` is a list of names and of their masters' names.
proc redis_proxied_cluster_start {masters replicas args} {
    set all [concat $masters [dict keys $replicas]]
    foreach name $all { redis_proxied_node_start $name {*}$args }
    set n [llength $masters]
    for {set i 0} {$i < $n} {incr i} {
        set name [lindex $masters $i]
        redis_call $name CLUSTER ADDSLOTSRANGE [expr {16384 * $i / $n}] \
            [expr {16384 * ($i + 1) / $n - 1}]
        redis_call $name CLUSTER SET-CONFIG-EPOCH [expr {$i + 1}]
    }
    set first [lindex $masters 0]
    foreach name $all {
        redis_call $name CLUSTER MEET 127.0.0.1 $::R(p$first,port) \
            [expr {$::R($first,port) + 10000}]
    }
    set n [llength $all]
    foreach name $all {
        wait_for_condition {
            string match "*cluster_state:ok*cluster_known_nodes:$n*" \
                [redis_call $name CLUSTER INFO]
        }
    }
    foreach {name master} $replicas {
        wait_for_condition {
            expr {![catch {redis_call $name CLUSTER REPLICATE \
                               [redis_node_id $master]}]}
        }
        wait_for_condition {expr {[redis_replicas $master] == 1}}
    }
}

# The one of `names` that has the slot of `key`.
proc redis_owner {key names} {
    set slot [redis_call [lindex $names 0] CLUSTER KEYSLOT $key]
    foreach name $names {
        if {[redis_slot_node $slot $name] == $::R($name,port)} { return $name }
    }
    error "nobody has slot $slot"
}

# Moves a slot as redis-cli does, key by key; `between` is run after the keys
# that come first. redis_slot_begin and redis_slot_end are its two ends.
proc redis_slot_begin {slot from to} {
    redis_call $to CLUSTER SETSLOT $slot IMPORTING [redis_node_id $from]
    redis_call $from CLUSTER SETSLOT $slot MIGRATING [redis_node_id $to]
}

# True while there are more.
proc redis_slot_step {slot from to {keys 10}} {
    set list [redis_call $from CLUSTER GETKEYSINSLOT $slot $keys]
    if {[llength $list] == 0} { return 0 }
    redis_call_bytes $from MIGRATE 127.0.0.1 $::R($to,port) "" 0 5000 \
        KEYS {*}$list
    return 1
}

proc redis_slot_end {slot from to others} {
    set id [redis_node_id $to]
    redis_call $to CLUSTER SETSLOT $slot NODE $id
    redis_call $from CLUSTER SETSLOT $slot NODE $id
    foreach name $others { redis_call $name CLUSTER SETSLOT $slot NODE $id }
    # Were it moved again before all know the new epoch, they could disagree
    # about it for ever.
    wait_for_condition {
        expr {[llength [lsort -unique [lmap name [list $from $to {*}$others] {
            regexp {cluster_current_epoch:(\d+)} \
                [redis_call $name CLUSTER INFO] - epoch
            list $epoch [redis_slot_node $slot $name]
        }]]] == 1}
    }
}

# The port that a node takes for the one of a slot.
proc redis_slot_node {slot name} {
    foreach range [redis_call $name CLUSTER SLOTS] {
        lassign $range low high node
        if {$slot >= $low && $slot <= $high} { return [lindex $node 1] }
    }
    return ""
}

proc redis_slot_move {slot from to others} {
    redis_slot_begin $slot $from $to
    while {[redis_slot_step $slot $from $to]} {}
    redis_slot_end $slot $from $to $others
}

# --- sentinels ---

# One that alone decides, and quickly. The master's name is `themaster`. It
# connects once a second: with `down` below that, and servers that are busy, it
# may find a new master down before it has asked it.
proc redis_sentinel_start {name master {down 500} args} {
    redis_start $name -as-sentinel 1 {*}$args -sentinel [join [list \
        "monitor themaster 127.0.0.1 $::R($master,port) 1" \
        "down-after-milliseconds themaster $down" \
        "failover-timeout themaster 1500"] "\nsentinel "]
}

# Servers with a sentinel that knows them: a master, and replicas of it.
proc redis_group_start {sentinel names {down 500}} {
    set replicas [lassign $names master]
    redis_start $master
    foreach name $replicas { redis_replica_start $name $master }
    set n [llength $replicas]
    # Who asks later sees them at once, and else seconds later.
    wait_for_condition {expr {[redis_replicas $master] == $n}}
    redis_sentinel_start $sentinel $master $down
    wait_for_condition {
        string match *slaves=$n* [redis_call $sentinel INFO sentinel]
    }
}

proc redis_replica_start {name master} {
    redis_start $name -replicaof "127.0.0.1 $::R($master,port)"
}

# How many replicas a server has that are up to it.
proc redis_replicas {name} {
    if {$name eq "?"} { return 0 }
    set n 0
    foreach line [split [redis_call $name INFO replication] \n] {
        incr n [string match slave*state=online* $line]
    }
    return $n
}

# The name of the server that the sentinel takes for the master; ? while it is
# busy with another one.
proc redis_sentinel_master {sentinel names} {
    array set m [redis_call $sentinel SENTINEL MASTER themaster]
    foreach name $names {
        if {$::R($name,port) == $m(port) && $m(flags) eq "master"} {
            return $name
        }
    }
    return ?
}

# --- writing while things happen ---

# A process that adds pairs of rows and counts until load_end. What a COMMIT
# answers with an error, it does not do again.
proc load_begin {name options} {
    child_start $name
    child_eval $name [list set table \
                          "CREATE VIRTUAL TABLE temp.kv USING nadb($options)"]
    child_eval $name {db eval $table}
    child_eval $name [list set id $name]
    child_eval $name [list set stop [file join $::dir stop]]
    child_send $name {
        set acked {}
        set counted 0
        set errors {}
        for {set i 0} {![file exists $stop]} {incr i} {
            if {[catch {db eval {
                BEGIN;
                INSERT INTO kv(key, value) VALUES($id || '-' || $i, $i);
                INSERT INTO kv(key, value) VALUES('x' || $id || '-' || $i, $i);
                COMMIT;
            }} message]} {
                catch {db eval ROLLBACK}
                lappend errors $message
                after 5
            } else {
                lappend acked $i
            }
            set begin [clock milliseconds]
            if {![catch {db eval {
                UPDATE kv SET value = value + 1 WHERE key = 'count'
            }} message]} {
                incr counted
            } elseif {[clock milliseconds] - $begin < 2000
                      || ![string match "another transaction*" $message]} {
                # The claim on the key holds for 2 s (docs/redis.md).
                lappend errors $message
            }
        }
        list $acked $counted $errors
    }
}

# Ends them, and compares what they were told with the table `kv`, in which
# nobody else has counted. Returns: pairs lost, halves of pairs, pairs
# acknowledged, by how much the count is above theirs, errors.
proc load_end {names} {
    close [open [file join $::dir stop] w]
    set lost {}
    set errors {}
    set counted 0
    set pairs 0
    set halves 0
    foreach name $names {
        lassign [child_recv $name] rc result
        if {$rc} { error $result }
        set answer($name) $result
    }
    foreach key [db eval {SELECT key FROM kv}] { set there($key) 1 }
    foreach name $names {
        lassign $answer($name) acked n failures
        incr counted $n
        incr pairs [llength $acked]
        lappend errors {*}$failures
        foreach i $acked {
            if {![info exists there($name-$i)]
                || ![info exists there(x$name-$i)]} { lappend lost $i }
        }
        child_stop $name
    }
    foreach key [array names there load*] {
        if {![info exists there(x$key)]} { incr halves }
    }
    set count [db eval {SELECT value FROM kv WHERE key = 'count'}]
    list $lost $halves $pairs [expr {$count - $counted}] $errors
}

# --- for redis*.test: their server is `r` ---

# A table on the server, over its socket; an empty server and file before it.
proc start {{options ""}} {
    fresh
    redis_call r FLUSHALL
    table kv $options
}

proc table {name {options ""} {db db}} {
    set list [list "backend=redis" "socket='$::R(r,socket)'"]
    # Long enough for any machine; tests of servers that do not answer say less.
    if {![regexp {(^|[ ,])timeout=} $options]} { lappend list timeout=30 }
    if {$options ne ""} { lappend list $options }
    $db eval "CREATE VIRTUAL TABLE $name USING nadb([join $list ,])"
}

# Waits for the end of the pause that follows a failed attempt to connect.
proc reachable {{sql {SELECT count(*) FROM kv}}} {
    wait_for_condition [list expr "!\[catch {db eval {$sql}}\]"] 600000
}

# Whether something that would take for ever, or minutes, has ended before: much
# more than it takes beside other programs.
proc in_time {ms} { return [expr {$ms < 30000 ? "in-time" : $ms}] }

proc elapsed {script} {
    set begin [clock milliseconds]
    uplevel 1 $script
    expr {[clock milliseconds] - $begin}
}
