# model_gen.tcl - random SQL for the model test.
#
# What is generated has one right answer on an ordinary table: no statement
# depends on the order in which rows are visited, unless that is the order of
# the keys on both sides. Three consequences:
#
#   - UPDATEs that change keys of several rows move them to keys outside of
#     the range they read ('moved:..')
#   - a row that is already expired is written alone, not in a list
#   - LIMIT comes with ORDER BY
#
# In a UTF-16 database keys and texts are ASCII: the order of others differs
# (plan.test has them), and so does their size.
#
# gen_op gives the next operation of an episode (see model.tcl).

set gen_keys {
    a b c d k01 k02 k03 k04 k05 k06 k07 k08 k09 k10 user:1 user:2 user:3
    user:10 5 10 -3 007 1.5 A B K01 User:1 % _ a* a? {a b} it's 2024-01-01
    2024-02-01 moved:1 moved:2 {}
}
set gen_odd_keys [list \u00e4 z\u00fcrich \u65e5\u672c \u00c4 \U1F600 \uffff]

# MATCH expressions, and what they mean; %p is the table's name and a dot.
set gen_has {EXISTS (SELECT 1 FROM json_each(%ptags) WHERE value}
set gen_matches [dict create \
    {a} "$gen_has = 'a')" \
    {NOT x} "NOT $gen_has = 'x')" \
    {a "c d"} "($gen_has = 'a') AND $gen_has = 'c d'))" \
    {x OR b} "$gen_has IN ('x', 'b'))" \
    {NOT (a OR x)} "NOT $gen_has IN ('a', 'x'))" \
    {c*} "$gen_has GLOB 'c*')" \
    {a NOT "c d"} "($gen_has = 'a') AND NOT $gen_has = 'c d'))" \
    {(a OR x) (b OR e) NOT d} "($gen_has IN ('a', 'x')) AND
        $gen_has IN ('b', 'e')) AND NOT $gen_has = 'd'))" \
    {a (b OR NOT d)} "($gen_has = 'a') AND
        ($gen_has = 'b') OR NOT $gen_has = 'd')))" \
    {b (NOT d OR a) NOT (e (NOT a OR d))} "($gen_has = 'b') AND
        (NOT $gen_has = 'd') OR $gen_has = 'a')) AND
        NOT ($gen_has = 'e') AND
            (NOT $gen_has = 'a') OR $gen_has = 'd'))))" \
    {t* NOT t15*} "($gen_has GLOB 't*') AND NOT $gen_has GLOB 't15*'))" \
    {a b d e} "($gen_has = 'a') AND $gen_has = 'b') AND $gen_has = 'd') AND
        $gen_has = 'e'))" \
    {t150 OR t39* OR e} "($gen_has = 'e') OR $gen_has = 't150') OR
        $gen_has GLOB 't39*'))"]

# Terms that must stand alone or in AND, with what to put before the column.
set gen_tag_terms {
    {(%ptag = 'a')} {(%ptag = 'b')} {(%ptag = 't200')} {(%ptag IN ('x', 'c d'))}
    {(%ptag IN ('a', 'd', 'nosuch', NULL))} {(%ptag IN (NULL))} {(%ptag = 'nosuch')}
    {(%ptag = 'a') AND (%ptag = 'b')}
    {(%ptag = 'e') AND (%ptag IN ('a', 't399'))}
    {(%ptag = 'd') AND (%ptags MATCH 'a NOT "c d"')}
}

# --- small things ---

proc quoted {text} { return '[string map {' ''} $text]' }

proc gen_key_text {} {
    global gen_keys gen_odd_keys M
    if {[random_int 12] == 0 && $M(encoding) eq "UTF-8"} {
        return [random_of $gen_odd_keys]
    }
    return [random_of $gen_keys]
}

# A key as an SQL expression.
proc gen_key {} {
    global M
    switch [random_int 40] {
        0 { return [random_of {5 10 -3 11 1.5 1e100 9223372036854775807}] }
        1 { return "printf('long%01200d', [random_int 3])" }
        2 {
            if {$M(encoding) eq "UTF-8"} {
                return "CAST(x'6100[random_of {62 63 00}]' AS TEXT)"
            }
        }
    }
    return [quoted [gen_key_text]]
}

proc gen_value {} {
    global M
    switch [random_int 16] {
        0 { return NULL }
        1 { return [random_of {0 1 -1 9223372036854775807
            -9223372036854775808 4294967296 128 -129 65536}] }
        2 { return [random_of {1.5 -2.25 1e300 -1e-300 9e999 -9e999 3.0 0.1}] }
        3 { return '' }
        4 { return x'' }
        5 { return "x'00ff00[random_of {00 01 80 ff}]'" }
        6 {
            if {$M(encoding) eq "UTF-8"} {
                return "CAST(x'6100620000' AS TEXT)"
            }
        }
        7 {
            if {$M(encoding) eq "UTF-8"} {
                return [quoted "\u00e4\u65e5\u672c [random_int 100]"]
            }
        }
        8 { return "replace(hex(zeroblob([expr {400 + [random_int 400]}])),\
                    '00', 'ab[random_int 100]')" }
        9 {
            if {[random_int 4] == 0} {
                return "CAST(replace(hex(zeroblob([random_int 30000])), '0',\
                        'z[random_int 100]') AS BLOB)"
            }
        }
        10 { return [random_int 10] }
    }
    return [quoted v[random_int 1000]]
}

proc gen_tags {} {
    if {[random_int 40] == 0} {
        # more than the index looks up one by one for a prefix
        return "(WITH RECURSIVE n(i) AS (VALUES([random_of {100 250}]) UNION\
            ALL SELECT i + 1 FROM n WHERE i < 400)\
            SELECT json_group_array('t' || i) FROM n)"
    }
    return [random_of {NULL NULL {'["x"]'} {'["a","b"]'}
        {'["a","b","c d"]'} {'["a","d"]'} {'["a","b","d","e"]'} {'["e"]'}
        {'["b","d","e"]'} {'["b","e","x"]'}}]
}

proc gen_expires {} {
    if {[random_int 3]} { return NULL }
    return [model_hour [expr {1 + [random_int 4]}]]
}

proc gen_mode {} {
    return [random_of {"" "" "" "OR REPLACE" "OR REPLACE" "OR IGNORE" "OR FAIL"
        "OR ABORT" "OR ROLLBACK"}]
}

proc gen_table {} {
    global M
    return [expr {$M(twin) && [random_int 2] ? "kvb" : "kv"}]
}

# --- conditions ---

proc gen_compare {} { return [random_of {= = = == != <> < <= > >= IS {IS NOT}}] }

proc gen_prefix {} { return [random_of {k k0 user: u a 2024- 2024 moved: 1 "" z}] }

proc gen_key_list {} {
    set list {}
    for {set i [random_int 5]} {$i >= 0} {incr i -1} { lappend list [gen_key] }
    if {[random_int 8] == 0} { lappend list NULL }
    return [join $list ", "]
}

proc gen_key_term {p} {
    switch [random_int 20] {
        0 - 1 - 2 - 3 - 4 { return "${p}key [gen_compare] [gen_key]" }
        5 - 6 { return "${p}key BETWEEN [gen_key] AND [gen_key]" }
        7 - 8 { return "${p}key IN ([gen_key_list])" }
        9 { return "${p}key GLOB [quoted [gen_prefix]*]" }
        10 { return "${p}key LIKE [quoted [gen_prefix]%]" }
        11 { return "${p}key IN (SELECT b FROM o)" }
        12 { return "${p}key [random_of {GLOB LIKE {NOT LIKE} {NOT GLOB}}]\
                     [quoted [random_of {*1 %1 k?1 k_1 [ab]* A% %}]]" }
        13 { return "+${p}key [gen_compare] [gen_key]" }
        14 { return "${p}key = [gen_key] COLLATE NOCASE" }
        15 { return "${p}key [gen_compare] [random_of {NULL 5 10 x'61' 1.5}]" }
        16 { return "length(${p}key) > [random_int 6]" }
        17 { return "${p}key > [gen_key] AND ${p}key <= [gen_key]" }
        18 { return "${p}key NOT IN ([gen_key_list])" }
        19 { return "upper(${p}key) = upper([gen_key])" }
    }
}

proc gen_other_term {p} {
    switch [random_int 11] {
        9 - 10 { return [gen_match_term $p] }
        0 { return "typeof(${p}value) = [random_of {'text' 'blob' 'null'
                'integer' 'real'}]" }
        1 { return "${p}value [gen_compare] [gen_value]" }
        2 { return "${p}size [random_of {< > =}] [random_int 20]" }
        3 { return "${p}tags IS [random_of {NULL {NOT NULL}}]" }
        4 { return "${p}tags LIKE '%a%'" }
        5 { return "${p}expires_at [random_of {< >= }] [model_hour 2]" }
        6 { return "${p}expires_at IS NULL" }
        7 { return "EXISTS (SELECT 1 FROM o WHERE a = ${p}key)" }
        8 { return "${p}value IN (SELECT b FROM o)" }
    }
}

proc gen_where {{p ""} {depth 0}} {
    set dice [random_int 10]
    if {$depth < 2 && $dice < 2} {
        return "([gen_where $p [expr {$depth + 1}]] [random_of {AND OR}]\
                 [gen_where $p [expr {$depth + 1}]])"
    }
    if {$depth < 2 && $dice == 2} {
        return "NOT ([gen_where $p [expr {$depth + 1}]])"
    }
    if {$dice < 8} { return [gen_key_term $p] }
    return [gen_other_term $p]
}

# A whole WHERE clause: a quarter of them are for the indexes of tags and of
# expiries, alone or with bounds of the key.
proc gen_cond {{p ""}} {
    switch [random_int 24] {
        0 { return [gen_tag_term $p] }
        1 { return "[gen_tag_term $p] AND [gen_where $p]" }
        2 { return "[gen_tag_term $p] AND [gen_key_term $p]" }
        3 { return "[gen_match_term $p] AND [gen_key_term $p]" }
        4 { return [gen_match_term $p] }
        5 {
            return "${p}expires_at [random_of {< <= > >=}]\
                    [random_of [list [model_hour 1] [model_hour 2] \
                        [model_hour 3].5 0 NULL 'x' 1e300]]"
        }
        6 {
            return "${p}expires_at BETWEEN [model_hour [random_int 3]] AND\
                    [model_hour [expr {1 + [random_int 4]}]]"
        }
    }
    return [gen_where $p]
}

proc gen_tag_term {p} {
    return [string map [list %p $p] [random_of $::gen_tag_terms]]
}

proc gen_match_term {p} {
    return "(${p}tags MATCH '[random_of [dict keys $::gen_matches]]')"
}

# --- statements ---

proc gen_row {columns} {
    set values {}
    foreach column $columns {
        switch $column {
            key { lappend values [expr {[random_int 30] ? [gen_key] : "NULL"}] }
            value { lappend values [gen_value] }
            tags { lappend values [gen_tags] }
            expires_at { lappend values [gen_expires] }
            created_at { lappend values [random_int 1000000] }
        }
    }
    return "([join $values ", "])"
}

proc gen_insert {} {
    set columns [random_of {{key value} {key value} {value key}
        {key value tags} {key value expires_at} {key} {key value created_at}
        {key value tags expires_at created_at}}]
    set into "INTO [gen_table]([join $columns ", "])"
    set verb "INSERT [gen_mode]"
    if {[random_int 5] == 0} { set verb REPLACE }
    switch [random_int 10] {
        0 - 1 - 2 - 3 - 4 { return "$verb $into VALUES [gen_row $columns]" }
        5 - 6 - 7 {
            set rows {}
            for {set i [random_int 5]} {$i >= 0} {incr i -1} {
                lappend rows [gen_row $columns]
            }
            return "$verb $into VALUES [join $rows ", "]"
        }
        8 {
            return "$verb INTO [gen_table](key, value, tags, expires_at)\
                SELECT [random_of {key "key || 'x'" "'moved:' || length(key)"
                "substr(key, 1, 2)"}], value, tags, expires_at\
                FROM [gen_table] WHERE [gen_cond] ORDER BY key\
                LIMIT [random_int 10]"
        }
        9 {
            set from [random_int 30]
            return "WITH RECURSIVE n(i) AS (VALUES($from) UNION ALL\
                SELECT i + 1 FROM n WHERE i < [expr {$from + [random_int 20]}])\
                $verb INTO [gen_table](key, value)\
                SELECT printf('k%02d', i), i FROM n"
        }
    }
}

proc gen_set {} {
    switch [random_int 8] {
        0 - 1 - 2 { return "value = [gen_value]" }
        3 {
            # in UTF-16 a blob would become a text that UTF-8 has no bytes for
            if {$::M(encoding) eq "UTF-8"} { return "value = value || 'x'" }
            return "value = 'x' || size"
        }
        4 { return "value = key || '!', tags = [gen_tags]" }
        5 { return "tags = [gen_tags]" }
        6 { return "expires_at = [gen_expires]" }
        7 { return "value = size, expires_at = NULL" }
    }
}

proc gen_update {} {
    set verb "UPDATE [gen_mode] [gen_table] SET"
    switch [random_int 10] {
        0 - 1 { return "$verb [gen_set] WHERE [gen_cond]" }
        2 - 3 - 4 { return "$verb [gen_set] WHERE key = [gen_key]" }
        5 { return "$verb key = [gen_key] WHERE key = [gen_key]" }
        6 { return "$verb key = [gen_key], [gen_set] WHERE key = [gen_key]" }
        7 {
            return "$verb key = 'moved:' || substr(key, [random_int 3])\
                WHERE key >= 'a' AND key < [random_of {'b' 'k03' 'l'}]"
        }
        8 {
            return "$verb [gen_set] WHERE key IN ([gen_key_list])"
        }
        9 {
            # expired at once: the row is gone
            return "UPDATE [gen_table] SET expires_at = [model_hour -1]\
                WHERE key = [gen_key]"
        }
    }
}

proc gen_delete {} {
    set from "DELETE FROM [gen_table]"
    switch [random_int 12] {
        0 { return "$from WHERE [gen_cond]" }
        1 { return "$from WHERE key >= [gen_key] AND key < [gen_key]" }
        2 { return "$from WHERE key IN ([gen_key_list])" }
        3 { if {[random_int 4] == 0} { return $from } }
    }
    return "$from WHERE key = [gen_key]"
}

proc gen_select {} {
    set t [gen_table]
    set where [gen_cond]
    # A CROSS JOIN is looked up in kv: docs/sql-notes.md, "Numbers from columns".
    switch [random_int 20] {
        0 { return "SELECT count(*), min(key), max(key), sum(size)\
                    FROM $t WHERE $where" }
        1 { return "SELECT typeof(value), count(*) FROM $t WHERE $where\
                    GROUP BY 1 ORDER BY 1" }
        2 { return "SELECT DISTINCT substr(key, 1, 1) FROM $t WHERE $where\
                    ORDER BY 1" }
        3 { return "SELECT a.key, b.key FROM $t a JOIN [gen_table] b\
                    ON a.key [random_of {= <}] b.key WHERE [gen_cond a.]\
                    ORDER BY 1, 2" }
        4 { return "SELECT o.a, kv.key FROM o LEFT JOIN kv ON kv.key = o.a\
                    ORDER BY 1, 2" }
        5 { return "SELECT kv.key, o.b FROM o CROSS JOIN kv\
                    WHERE o.b = kv.key\
                    AND [gen_cond kv.] ORDER BY 1, 2" }
        6 { return "SELECT key FROM $t WHERE $where\
                    ORDER BY key COLLATE NOCASE, key" }
        7 { return "SELECT key, size FROM $t WHERE $where\
                    ORDER BY size DESC, key LIMIT [random_int 9]" }
        8 { return "SELECT key FROM $t WHERE [gen_cond]\
                    [random_of {UNION EXCEPT INTERSECT {UNION ALL}}]\
                    SELECT key FROM kv WHERE [gen_cond] ORDER BY 1" }
        9 { return "SELECT [random_of {min max count}](key) FROM $t" }
        10 { return "SELECT key, row_number() OVER (ORDER BY key DESC)\
                     FROM $t WHERE $where ORDER BY key" }
        11 { return "SELECT key FROM $t WHERE $where" }
        12 { return "SELECT DISTINCT key FROM $t WHERE $where ORDER BY key" }
        13 { return "SELECT key, count(*) FROM $t WHERE $where GROUP BY key\
                     HAVING count(*) = 1 ORDER BY key DESC" }
        14 { return "SELECT count(*) FROM $t" }
        16 {
            return "SELECT tag, count FROM nadb_tags('$t')\
                    [random_of {"" "WHERE tag = 'a'" "WHERE count > 1"
                        "WHERE tag IN ('b', 'e')"}] ORDER BY tag"
        }
        15 { return "SELECT x.key FROM $t x WHERE x.key > (SELECT min(key)\
                     FROM kv WHERE [gen_cond]) ORDER BY 1" }
    }
    set columns [random_of {key "key, value" "value, key" "key, typeof(value)"
        "key, size, tags" "key, expires_at" "count(*), key" "upper(key), key"}]
    if {[string match count* $columns]} { set columns "key, size" }
    set sql "SELECT $columns FROM $t WHERE $where\
             ORDER BY [random_of {"key" "key DESC"}]"
    # an expression named like a column would change the order
    set sql [string map {"ORDER BY key" "ORDER BY $t.key"} $sql]
    set sql [string map [list {$t} $t] $sql]
    if {[random_int 3] == 0} {
        append sql " LIMIT [random_of {0 1 2 5 100 -1}]"
        if {[random_int 2]} { append sql " OFFSET [random_of {0 1 3 50}]" }
    }
    return $sql
}

proc gen_ordinary {} {
    return [random_of [list \
        "INSERT [gen_mode] INTO o VALUES([gen_key], [gen_key])" \
        "INSERT OR REPLACE INTO o SELECT key, size FROM kv\
            WHERE key = [gen_key]" \
        "UPDATE o SET b = [gen_key] WHERE a = [gen_key]" \
        "DELETE FROM o WHERE a IN ([gen_key_list])" \
        "INSERT [gen_mode] INTO [gen_table](key, value) SELECT a, b FROM o"]]
}

proc gen_ddl {} {
    global M
    set i [random_int 3]
    set list [list \
        "CREATE TABLE x$i (a, b)" "DROP TABLE x$i" \
        "CREATE INDEX i$i ON o(b)" \
        "DROP INDEX i$i" "ALTER TABLE x$i RENAME TO y$i" "DROP TABLE y$i" \
        "ALTER TABLE o RENAME TO oo; ALTER TABLE oo RENAME TO o" \
        "ANALYZE o" "CREATE VIEW v$i AS SELECT key FROM kv" "DROP VIEW v$i" \
        "ALTER TABLE x$i ADD COLUMN c"]
    return [random_of $list]
}

# --- operations ---

proc gen_transaction {c open} {
    set name s[random_int 3]
    if {!$open} {
        return [random_of [list BEGIN BEGIN "BEGIN IMMEDIATE" \
            "SAVEPOINT $name"]]
    }
    return [random_of [list COMMIT COMMIT COMMIT ROLLBACK \
        "SAVEPOINT $name" "SAVEPOINT $name" "RELEASE $name" \
        "ROLLBACK TO $name" "ROLLBACK TO $name"]]
}

# What changes nothing that SQL can see.
proc gen_upkeep {} {
    return [random_of {"SELECT nadb_flush('kv')" "SELECT nadb_flush('kv')"
        "SELECT nadb_flush()" "SELECT nadb_compact('kv')"
        "SELECT * FROM nadb_stats('kv')"
        "SELECT nadb_purge_expired('kv')" "SELECT * FROM nadb_tags('kv')"}]
}

# Operations that only make sense with no transaction open on any connection.
proc gen_quiet {c} {
    global M
    switch [random_int 5] {
        0 { return [list 0 clock [expr {1 + [random_int 2]}]] }
        1 { return [list $c sql [gen_ddl]] }
        2 { return [list $c sql [gen_ordinary]] }
        3 {
            if {$M(main) ne "memory"} { return [list $c reopen] }
            return [list 0 clock 1]
        }
        4 {
            if {$M(twin) || $M(conns) > 1} {
                if {[random_int 3] == 0} {
                    return [list $c both "SELECT nadb_check('kv')" \
                        "SELECT 'ok'"]
                }
                return [list $c both [gen_upkeep] "SELECT 1"]
            }
            return [list $c recreate]
        }
    }
}

# What may be done in the middle of a transaction, where it is the only one.
proc gen_alone {c} {
    global M
    switch [random_int 12] {
        0 - 1 - 2 { return [list $c sql [gen_ddl]] }
        3 - 4 - 5 { return [list $c sql [gen_ordinary]] }
        6 { return [list 0 clock 1] }
        7 { return [list $c both [gen_upkeep] "SELECT 1"] }
        8 {
            if {[random_int 3] == 0} {
                return [list $c both "SELECT nadb_clear('kv')" "DELETE FROM kv"]
            }
        }
        9 {
            if {$M(main) ne "memory" && [random_int 3] == 0} {
                return [list $c reopen]
            }
        }
        10 { return [list $c sql "INSERT INTO kv(key) VALUES([gen_key]);\
                ALTER TABLE o RENAME TO oo; INSERT INTO kv(key, value)\
                VALUES([gen_key], 1); ALTER TABLE oo RENAME TO o"] }
    }
    if {[random_int 2]} { return [list $c both {*}[gen_function [gen_key]]] }
    return [list $c sql [gen_ordinary]]
}

# A function on a row, and what it means.
proc gen_function {key} {
    switch [random_int 4] {
        0 {
            return [list "SELECT nadb_set_ttl('kv', $key, NULL)" \
                "UPDATE kv SET expires_at = NULL WHERE key = $key"]
        }
        1 {
            return [list "SELECT nadb_tag('kv', $key, 'c d', 'a')" \
                "UPDATE kv SET tags = (SELECT json_group_array(value) FROM
                    (SELECT value FROM json_each(tags) UNION
                     SELECT 'a' UNION SELECT 'c d')) WHERE key = $key"]
        }
        2 {
            return [list "SELECT nadb_untag('kv', $key, 'b', 'x')" \
                "UPDATE kv SET tags = (SELECT nullif(json_group_array(value),
                    '\[\]') FROM (SELECT value FROM json_each(tags)
                    WHERE value NOT IN ('b', 'x') ORDER BY value))
                    WHERE key = $key"]
        }
        3 {
            return [list "SELECT nadb_pop('kv', $key)" \
                "DELETE FROM kv WHERE key = $key"]
        }
    }
}

# The next operation, given which connections have a transaction open.
proc gen_op {} {
    global M
    set c [expr {1 + [random_int $M(conns)]}]
    set open [expr {![model_autocommit $c]}]
    set quiet 1
    set others 0
    for {set d 1} {$d <= $M(conns)} {incr d} {
        if {![model_autocommit $d]} {
            set quiet 0
            if {$d != $c} { set others 1 }
        }
    }
    set dice [random_int 100]
    if {$dice < [expr {$open ? 20 : 12}]} {
        return [list $c sql [gen_transaction $c $open]]
    }
    if {$dice < 26 && $quiet} { return [gen_quiet $c] }
    if {$dice < 30 && $M(conns) == 1} { return [gen_alone $c] }
    if {$dice < 55} { return [list $c sql [gen_insert]] }
    if {$dice < 70} { return [list $c sql [gen_update]] }
    if {$dice < 78} { return [list $c sql [gen_delete]] }
    return [list $c sql [gen_select]]
}
