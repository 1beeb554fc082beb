# tally.sh - the counts of a test that is a shell script, which sources it:
# `passed` and `failed`, and `tally` as its last command. A script may set `subject`,
# what its failures are about, and `form`, short or long.
# shellcheck shell=bash
passed=0
failed=0

tell() { # NAME STATUS [LOG]: one case; a log is shown where it failed
    if [ "$2" = 0 ]; then
        passed=$((passed + 1))
        echo "ok $1"
    else
        failed=$((failed + 1))
        echo "not ok $1${3:+: see $3}"
        [ -z "${3:-}" ] || tail -n 15 "$3" | sed 's/^/    /'
    fi
}

# of_lines NAME CODE FILE: a program has written "ok .." and "not ok .." into the
# file, and ended with that code.
of_lines() {
    local bad
    bad=$(grep -c '^not ok ' "$3")
    passed=$((passed + $(grep -c '^ok ' "$3")))
    failed=$((failed + bad))
    [ "$2" = 0 ] || [ "$bad" -gt 0 ] || tell "$1 ends with $2" "$2" "$3"
}

# of_last_line CODE FILE: "N passed, N failed" is its last line; another, or a bad
# code without a failure, is one failure.
of_last_line() {
    local p f
    read -r p _ f _ <<<"$(tail -n 1 "$2")"
    [[ "$p $f" =~ ^[0-9]+\ [0-9]+$ ]] || p=0 f=1
    [ "$1" = 0 ] || [ "$f" -gt 0 ] || f=1
    passed=$((passed + p))
    failed=$((failed + f))
}

tally() {
    echo "$passed passed, $failed failed"
    [ "$failed" -eq 0 ]
}

# failure REASON: it cannot go on.
failure() {
    echo "${subject:+$subject: }$1"
    failed=$((failed + 1))
    tally
    exit 1
}

# not_here REASON: something is missing, which is no failure of the short form.
not_here() {
    [ "${form:-}" = short ] || failure "$1"
    echo "not run: ${subject:+$subject: }$1"
    tally
    exit
}
