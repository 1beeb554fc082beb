#!/bin/bash
# run.sh [test|asan|tsan|posix|cover] [NAME..] - builds and runs every test there is,
# or those of these names: "conflict", "unit-wal_test".
#
# A suite is a program that prints "N passed, N failed" as its last line: a C
# unit test, a Tcl file, or tidy. Four run at a time, since many wait; each has its
# log in build/log. A suite that ends without that line, or with a bad exit code and
# no failure counted, counts as one failure. The last line printed here sums
# up, after the time that each took. NADB_BUILD is the folder for what is built,
# instead of build, and NADB_LOGS that for logs. NADB_WITHIN is set where a suite
# runs this: then no suite does that.
set -u
TIMEFORMAT='%3U %3S'
cd "$(dirname "$0")/.." || exit 1

variant=${1:-test}
names=" ${*:2} "
build=${NADB_BUILD:-build}
jobs=${NADB_JOBS:-6}
limit=${NADB_SUITE_SECONDS:-$([ -n "${NADB_SOAK:-}" ] && echo 14400 || echo 3000)}
make=${MAKE:-make}
logs=${NADB_LOGS:-$build/log}/$variant
units=$build/$variant/unit
[ "$variant" = test ] && units=$build/unit
export NADB_LIB=$PWD/$build/$variant/nadb.so
unset MAKEFLAGS MAKELEVEL MFLAGS

# Suites run in memory, where a sync takes no time: on a disk most of them would
# mainly wait for syncs. (Power cuts are simulated in either place.) A soak uses
# the disk, and so do the suites that test disks.
disk=${TMPDIR:-/tmp}
if [ -z "${NADB_SOAK:-}${TMPDIR:-}" ] && [ -w /dev/shm ] &&
    [ "$(df -Pk /dev/shm | awk 'END {print $4}')" -gt 4000000 ]; then
    export TMPDIR=/dev/shm
fi
on_disk=" full space procs place readonly unit-os_test unit-fs_test "

packages=(gcc make pkg-config libc6-dev libsqlite3-dev zlib1g-dev
    libhiredis-dev libssl-dev openssl tcl libsqlite3-tcl sqlite3 redis-server
    procps strace python3 libdbd-sqlite3-perl locales)
[ "$variant" = test ] && packages+=(clang clang-format lua5.1)
[ "$variant" = asan ] && packages+=(clang libclang-rt-dev)
[ "$variant" = cover ] && packages+=(lcov)
bash test/support/need.sh "${packages[@]}" || echo "cannot install packages"

# What a suite runs under. A library with a sanitizer in it is loaded by a
# tclsh without one, so the sanitizer must be there first: in that tclsh and
# in programs that load the library too, but in no other, because many shells
# crash under the thread sanitizer. So the harness unsets LD_PRELOAD, and sets
# it again from NADB_PRELOAD where it is wanted (`loading`).
under=()
preload=
support=$PWD/test/support
case $variant in
posix)
    export NADB_POSIX=1
    ;;
asan)
    under=(env "ASAN_OPTIONS=abort_on_error=0:detect_leaks=1"
        "LSAN_OPTIONS=suppressions=$support/lsan.supp:print_suppressions=0"
        "UBSAN_OPTIONS=print_stacktrace=1:halt_on_error=1")
    preload=$(clang -print-file-name="libclang_rt.asan-$(uname -m).so")
    ;;
tsan)
    # Older thread sanitizers cannot live with much address randomisation.
    under=(setarch "$(uname -m)" -R env
        "TSAN_OPTIONS=halt_on_error=1:second_deadlock_stack=1:suppressions=$support/tsan.supp")
    preload=$(gcc -print-file-name=libtsan.so)
    ;;
esac

rm -rf "$logs"
mkdir -p "$logs"

# run_suite NAME COMMAND..: writes NAME.log and NAME.result ("P F SECONDS").
run_suite() {
    local name=$1 start end code line user system passed=0 failed=0
    shift
    start=$(date +%s%N)
    [[ $on_disk != *" $name "* ]] || local -x TMPDIR=$disk
    { time timeout -k 10 "$limit" "$@" >"$logs/$name.log" 2>&1 </dev/null; } \
        2>"$logs/$name.cpu"
    code=$?
    end=$(date +%s%N)
    line=$(tail -n 1 "$logs/$name.log")
    if [[ $line =~ ^([0-9]+)\ passed,\ ([0-9]+)\ failed$ ]]; then
        passed=${BASH_REMATCH[1]}
        failed=${BASH_REMATCH[2]}
        if [ $code -ne 0 ] && [ "$failed" -eq 0 ]; then
            echo "exit code $code in spite of no failure" >>"$logs/$name.log"
            failed=1
        fi
    else
        echo "ended without a count, exit code $code" >>"$logs/$name.log"
        failed=1
    fi
    echo "$passed $failed" >"$logs/$name.result"
    # User and system time, without that of servers, which are not children.
    read -r user system < <(tail -n 1 "$logs/$name.cpu" | tr -d .)
    printf '%-28s %5d passed, %d failed %7d ms, %6d of CPU\n' "$name" \
        "$passed" "$failed" $(((end - start) / 1000000)) \
        $((10#$user + 10#$system))
    grep '^not run: ' "$logs/$name.log" | sed 's/^/    /'
    [ "$failed" -eq 0 ] || tail -n 40 "$logs/$name.log" | sed 's/^/    /'
}

# Whether the suite of this name is to run. Some ask for what POSIX has not.
wanted() {
    local why
    why=$([ "$variant" = posix ] &&
        sed -n "s/^$1 //p" test/support/posix_not.txt)
    if [ -n "$why" ]; then
        [ -n "${names// /}" ] || echo "not run: $1: $why"
        return 1
    fi
    [ -z "${names// /}" ] || [[ $names == *" $1 "* ]]
}

# Starts a suite as soon as fewer than $jobs run.
enqueue() {
    wanted "$1" || return
    while [ "$(jobs -rp | wc -l)" -ge "$jobs" ]; do wait -n; done
    run_suite "$@" &
}

fresh=false
[ -n "${names// /}" ] || [ -e "$build/obj" ] || [ -e "$build/$variant/obj" ] ||
    fresh=true
# One failing build must not hide the results of the others.
what=("$build/$variant/all")
[[ -z ${names// /} || $names == *" unit-"* ]] || what=("$build/$variant/nadb.so")
[ "$variant" = test ] && wanted tidy && what+=("$build/nadb.so")
if ! $make -k -j "$jobs" BUILD="$build" "${what[@]}" \
    >"$logs/build.log" 2>&1; then
    grep -E 'error:|undefined reference|\*\*\*' "$logs/build.log" |
        head -n 40
    echo "0 1" >"$logs/build.result"
    echo "the build failed: see $logs/build.log"
fi

# What takes longest comes first: the rules of the house, and the suites that run
# others. What was built on a clean checkout need not be built again for its warnings.
if [ "$variant" = test ] && [ -z "${NADB_WITHIN:-}" ]; then
    tidy=(env)
    $fresh && tidy=(env "NADB_BUILD_LOG=$logs/build.log")
    enqueue tidy "${tidy[@]}" python3 test/tidy/tidy.py
fi

if [ "$variant" = test ] && [ -z "${NADB_WITHIN:-}" ]; then
    # Other libraries below; in a soak, what their short form leaves out too.
    form=short
    [ -z "${NADB_SOAK:-}" ] || form=long
    enqueue hiredis1 env -u NADB_SOAK bash test/support/hiredis1.sh "$form"
    enqueue sqlite-new env -u NADB_SOAK bash test/support/sqlite_new.sh "$form"
    # They call make in one folder, and so one after the other.
    for name in static posix amalgamation packages; do
        wanted "$name" && run_suite "$name" bash "test/support/$name.sh"
    done &
fi

for source in test/unit/*_test.c; do
    [ -e "$source" ] || continue
    name=$(basename "$source" .c)
    enqueue "unit-$name" "${under[@]}" "$units/$name"
done
declare -A seen
for suite in test/suites/{redis_suites*,model}.test test/suites/*.test; do
    [ -e "$suite" ] || continue
    name=$(basename "$suite" .test)
    [ -z "${seen[$name]:-}" ] || continue
    seen[$name]=1
    run=(tclsh "$suite")
    # The leak detector crashes at the end of a tclsh in which a library with
    # threads was loaded later; leaks are looked for in the unit tests, which
    # have whole stores and their threads in them.
    [ -z "$preload" ] ||
        run=(env "LD_PRELOAD=$preload" "NADB_PRELOAD=$preload"
            "ASAN_OPTIONS=abort_on_error=0:detect_leaks=0" "${run[@]}")
    enqueue "$name" "${under[@]}" "${run[@]}"
done
run=(bash test/fuzz/corpus.sh)
[ -z "$preload" ] ||
    run=(env "LD_PRELOAD=$preload"
        "ASAN_OPTIONS=abort_on_error=0:detect_leaks=0" "${run[@]}")
enqueue fuzz "${under[@]}" "${run[@]}"
wait
for name in $names; do
    [ -e "$logs/$name.result" ] && continue
    echo "there is no suite $name"
    echo "0 1" >"$logs/$name.result"
done

if [ "$variant" = cover ]; then
    lcov -q -c -d "$build/cover/obj" -o "$build/cover/all.info" 2>/dev/null &&
        lcov -q -r "$build/cover/all.info" '*/test/*' '/usr/*' \
            -o "$build/cover/nadb.info" &&
        genhtml -q -o "$build/cover/html" "$build/cover/nadb.info" &&
        lcov --summary "$build/cover/nadb.info"
fi

passed=0
failed=0
for result in "$logs"/*.result; do
    [ -e "$result" ] || continue
    read -r p f <"$result"
    passed=$((passed + p))
    failed=$((failed + f))
done
echo "in $SECONDS s"
echo "$passed passed, $failed failed" | tee "$logs/summary"
[ "$failed" -eq 0 ]
