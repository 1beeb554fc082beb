#!/bin/bash
# run.sh [LIBRARY [NAME ..]] - one scenario through each binding (README.md
# beside this file), and the code that its page in docs/bindings shows.
#
# Installs what is missing, with apt and npm. A binding that this machine cannot
# have is printed as "not run: NAME: reason", and counts as nothing. Ends with
# "N passed, N failed". NADB_PRELOAD is a library that must be in a program
# before any other (a sanitizer's).
set -u
cd "$(dirname "$0")/../.." || exit 1
root=$PWD
lib=$(realpath "${1:-${NADB_LIB:-build/nadb.so}}")
shift
names=${*:-$(cd test/bindings && echo */binding.sh | sed 's|/binding.sh||g')}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export LC_ALL=C.UTF-8 TZ=UTC
bash test/support/need.sh python3 sqlite3
limit=${NADB_BINDING_SECONDS:-120}

# What a binding.sh may use, beside $root, $source (its folder), $blocks (that of
# the page's blocks) and $lib. It is run in a folder with a link ./nadb.so.
cat >"$work/tools.sh" <<'END'
need() { bash "$root/test/support/need.sh" "$@" >&2; }
# The packages that the page NAME says it needs.
packages_of() { # NAME
    sed -n 's/^    apt-get install //p' "$root/docs/bindings/$1.md"
}
because() { # REASON COMMAND..: the command works, or this is the reason
    "${@:2}" >/dev/null 2>&1 && return
    echo "$1"
    return 1
}
preloaded() { env ${NADB_PRELOAD:+LD_PRELOAD=$NADB_PRELOAD} "$@"; }
build() { :; }
extra() { :; }
END

# enter NAME: in a subshell, what its binding.sh says
enter() {
    source=$root/test/bindings/$1 blocks=$work/$1/blocks page=$1
    . "$work/tools.sh"
    . "$source/binding.sh"
}

# place NAME FOLDER: a folder to run something in
place() {
    mkdir -p "$work/$1/$2"
    cd "$work/$1/$2" || exit
    ln -s "$lib" nadb.so
    export HOME=$PWD BLOCKS=$blocks NADB_LIBRARY=$lib
}

# compare WHAT EXPECTED GOT: prints the difference; "P F" into the result
compare() {
    local lines missing
    lines=$(wc -l <"$2")
    if diff -U 2 "$2" "$3" >"$3.diff"; then
        echo "$lines 0" >>"$result"
        return
    fi
    missing=$(tail -n +3 "$3.diff" | grep -c '^-')
    echo "$((lines - missing)) $((missing > 0 ? missing : 1))" >>"$result"
    echo "$1: - is expected, + is what came"
    tail -n +3 "$3.diff" | head -n 40 | sed 's/^/    /'
}

# Ends with the code of what it runs.
limited() {
    timeout -k 5 "$limit" bash -c '. "$1/tools.sh"; root=$2 source=$3 blocks=$4
        lib=$5; . "$source/binding.sh"; shift 5; "$@"' limited \
        "$work" "$root" "$source" "$blocks" "$lib" "$@"
}

check_page() {
    place "$1" page
    limited run_page >../page.got 2>&1
    compare "page docs/bindings/$page.md" "$blocks/page.out" ../page.got
}

# What somebody does who copies the page's beginning: also a second time.
check_start() {
    place "$1" start
    rm nadb.so && cp "$lib" nadb.so
    for turn in first second; do
        limited bash "$blocks/start.sh" >../start.got 2>&1
        compare "beginning of docs/bindings/$page.md, $turn run" \
            "$blocks/start.out" ../start.got
    done
}

check_scenario() {
    place "$1" scenario
    head -c 524288 /dev/urandom >binary
    head -c 524288 /dev/zero >>binary
    printf '#!/bin/bash\n%s\n%s\n' "$(declare -p root source blocks lib work)" \
        '. "$work/tools.sh"; . "$source/binding.sh"
        run_scenario second >second.out 2>&1' >second
    chmod +x second
    limited run_scenario >../scenario.log 2>&1
    {
        grep -v '^# ' ../scenario.log
        cat second.out
        echo "shell $(preloaded sqlite3 scenario.db '.load ./nadb' "
            SELECT (SELECT value FROM kv WHERE key = 'text'),
                (SELECT value = readfile('binary') FROM kv WHERE key = 'binary'),
                (SELECT tags FROM kv WHERE key = 'tagged'),
                (SELECT count(*) FROM plain)" 2>&1)"
    } >../scenario.got 2>&1
    compare scenario "$root/test/bindings/scenario.txt" ../scenario.got
}

check_extra() {
    place "$1" extra
    limited extra >../extra.log 2>&1
    local code=$? ok bad
    ok=$(grep -c '^ok ' ../extra.log)
    bad=$(grep -c '^not ok ' ../extra.log)
    if [ $code -ne 0 ] && [ "$bad" -eq 0 ]; then bad=1; fi
    [ "$bad" -eq 0 ] || tail -n 30 ../extra.log
    echo "$ok $bad" >>"$result"
}

# try NAME: everything of one binding
try() {
    local why
    enter "$1"
    mkdir -p "$blocks"
    why=$(needs) || {
        echo "not run: $1: $why"
        return
    }
    if ! python3 "$root/test/bindings/blocks.py" "docs/bindings/$page.md" \
        "$language" "$blocks" "$extension" ||
        ! (cd "$blocks" && build) >"$work/$1/build.log" 2>&1; then
        tail -n 30 "$work/$1/build.log"
        echo "0 1" >>"$result"
        return
    fi
    [ ! -e "$blocks/start.sh" ] || (check_start "$1")
    ! declare -F run_page >/dev/null || (check_page "$1")
    ! declare -F run_scenario >/dev/null || (check_scenario "$1")
    (check_extra "$1")
}

passed=0
failed=0
for name in $names; do
    result=$work/$name.result
    if [ ! -e "test/bindings/$name/binding.sh" ]; then
        echo "there is no binding $name"
        failed=$((failed + 1))
        continue
    fi
    (try "$name")
    [ -e "$result" ] || continue
    ok=0
    bad=0
    while read -r p f; do
        ok=$((ok + p))
        bad=$((bad + f))
    done <"$result"
    printf '%-16s %3d passed, %d failed  %s\n' "$name" "$ok" "$bad" \
        "$(sed -n 's/^# //p' "$work/$name/scenario.log" 2>/dev/null | head -n 1)"
    passed=$((passed + ok))
    failed=$((failed + bad))
done
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
