# redis_shards.tcl - for the suites of stores in shards: their server is `r`.
#
# start3 makes the table `kv` with shards=3 and 300 rows; key(0) and other(0) are
# two keys in shard 0, and so on.

proc shard_prefix {i {n 3} {name kv}} { return "nadb:{main:$name/$i/$n}:" }

proc shard_gen {i {n 3}} {
    set g [redis_call r HGET [shard_prefix $i $n]meta gen]
    expr {$g eq "" ? 0 : $g}
}

# Keys of the rows in a shard.
proc shard_keys {i {n 3}} {
    redis_call r ZRANGE [shard_prefix $i $n][shard_gen $i $n]:keys 0 -1
}

# The names of all that is on the server, without the marks of writers.
proc names {} { lsort [redis_call r KEYS *] }

# Keys of which key0 is in shard 0, and so on.
proc start3 {{options ""}} {
    start [join [concat shards=3 $options] ,]
    array unset ::key
    db eval {
        WITH RECURSIVE n(i) AS (VALUES(0) UNION ALL
            SELECT i + 1 FROM n WHERE i < 299)
        INSERT INTO kv(key, value, tags) SELECT printf('k%03d', i), i,
            iif(i % 3 = 0, '["t","three"]', '["t"]') FROM n
    }
    for {set i 0} {$i < 3} {incr i} {
        set ::key($i) [lindex [shard_keys $i] 0]
        set ::other($i) [lindex [shard_keys $i] 1]
    }
}

proc row_name {key i} { return "[shard_prefix $i][shard_gen $i]:r:$key" }
