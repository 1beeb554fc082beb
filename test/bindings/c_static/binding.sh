# The programs of c, with the library linked in. NADB_ARCHIVE is libnadb.a, or it
# is made.
page=c
. "$root/test/bindings/c/binding.sh"
build() {
    local folder=$root/build archive=${NADB_ARCHIVE:-}
    local -a more=(-lz)
    if [ -z "$archive" ]; then
        make -s -C "$root" static || return
        archive=$folder/libnadb.a
    fi
    grep -q -e -DNADB_REDIS=1 "$(dirname "$archive")/config" && more+=(-lhiredis)
    compile page -DSQLITE_CORE page.c "$archive" "${more[@]}" -lm -ldl -pthread &&
        compile scenario -DSQLITE_CORE "$root/test/bindings/c/scenario.c" \
            "$archive" "${more[@]}" -lm -ldl -pthread
}
