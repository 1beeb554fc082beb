# redis_suites.tcl - runs the suites of every backend on another kind of Redis
# store: each in a process of its own, all on servers that are started once.
#
#     run_suites FORM ?suite ..?    default: all suites that run everywhere
#
# FORM: buffered (write=buffered), sharded (shards=3), cluster, moving: a
# cluster in which the store moves from node to node, or moving-sharded: its
# shards do. By hand: NADB_BACKENDS=redis-buffered (or redis-sharded, or redis),
# with NADB_REDIS=cluster (or moving) or without, tclsh SUITE.
source [file join $::H(root) test/support/suite.tcl]

# Those that say so: what memory and fs can do, Redis must.
proc suites_of_all_backends {} {
    set list {}
    foreach file [lsort [glob [file join $::H(root) test/suites *.test]]] {
        set f [open $file]
        if {[regexp {foreach_backend \{memory fs\}} [read $f]]} {
            lappend list [file rootname [file tail $file]]
        }
        close $f
    }
    return $list
}

# Servers that the suites share. The store cannot move between suites, so that
# a cluster in which it does is each suite's own.
proc suites_server {form} {
    unset -nocomplain ::env(NADB_REDIS) ::env(NADB_REDIS_AT)
    set ::env(NADB_BACKENDS) redis
    switch $form {
        buffered {
            set ::env(NADB_BACKENDS) redis-buffered
            redis_start backend
        }
        sharded {
            set ::env(NADB_BACKENDS) redis-sharded
            redis_start backend
        }
        cluster {
            set ::env(NADB_REDIS) cluster
            redis_cluster_start {backend backend2 backend3}
        }
        moving {
            set ::env(NADB_REDIS) moving
            return
        }
        moving-sharded {
            set ::env(NADB_REDIS) moving
            set ::env(NADB_BACKENDS) redis-sharded
            return
        }
    }
    set ::env(NADB_REDIS_AT) [concat [array get ::R backend*,port] \
                                  [array get ::R backend*,socket]]
}

proc run_suites {form args} {
    set suites $args
    if {$suites eq ""} { set suites [suites_of_all_backends] }
    set ::env(NADB_LIB) $::H(lib)
    if {![info exists ::env(NADB_STEPS)] && ![soak]} {
        set ::env(NADB_STEPS) 3000 ;# of model.test
    }
    suites_server $form
    foreach suite $suites { do_suite_test $form-$suite $suite }
    redis_stop_all
}

fresh
if {[catch {db eval {SELECT 1 FROM nadb_backends WHERE name = 'redis'}} known]
    || $known ne "1"} {
    note "backend redis is not in this build"
    finish_test
}
