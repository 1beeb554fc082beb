#!/bin/bash
# run.sh [LIBRARY] - the predecessor's own tests, over our package of its name.
#
# NADB_PREDECESSOR is a checkout of github.com/lsferreira42/nadb; without it,
# one is cloned. Its test files are run as they are, none of their tests left
# out, and so is its example program. They find the modules nadb, nakv and
# storage_backends of bindings/python, and none of its own code is in reach.
#
# They want a Redis server on localhost:6379. It runs in a network of its own
# (unshare), so that no other server of the machine is met. Prints "N passed,
# N failed"; where nothing could be run it says "not run: .." and exits with 77.
set -u
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../../.." && pwd)
library=$(realpath "${1:-$root/build/nadb.so}")
tests=(nakv_tests_fs.py nakv_tests_redis.py nakv_tests_storage_backends.py
    test_advanced_features.py)
example=example_advanced_features.py

not_run() {
    echo "not run: the predecessor's tests: $*"
    exit 77
}

[ -e "$library" ] || not_run "there is no $library: make it"
bash "$root/test/support/need.sh" python3 python3-pytest python3-redis \
    redis-server git ca-certificates iproute2 util-linux

tmp=$(mktemp -d "${TMPDIR:-/tmp}/nadb-predecessor-XXXXXX")
trap 'rm -rf "$tmp"' EXIT
checkout=${NADB_PREDECESSOR:-}
if [ -z "$checkout" ]; then
    checkout=$tmp/checkout
    git clone -q --depth 1 https://github.com/lsferreira42/nadb "$checkout" \
        2>"$tmp/clone" || not_run "$(tail -n 1 "$tmp/clone")"
fi
for file in "${tests[@]}" "$example"; do
    cp "$checkout/$file" "$tmp/" 2>/dev/null ||
        not_run "$checkout has no $file"
done
cp -r "$root/bindings/python" "$tmp/package"
cp "$library" "$tmp/package/nadb/nadb.so"

# In the network of its own: the server, the tests, and the end of the server.
cat >"$tmp/inside.sh" <<'END'
ip link set lo up || exit 99
redis-server --port 6379 --bind 127.0.0.1 --save '' --dir "$PWD" \
    >server.log 2>&1 &
server=$!
for i in $(seq 500); do
    redis-cli ping >/dev/null 2>&1 && break
    kill -0 $server || exit 99
    sleep 0.02
done
export PYTHONPATH=$PWD/package PYTHONDONTWRITEBYTECODE=1
/usr/bin/python3 -m pytest -q -p no:cacheprovider --rootdir . -c /dev/null "$@"
code=$?
kill $server
wait $server 2>/dev/null
exit $code
END
network=(unshare -n)
[ "$(id -u)" = 0 ] || network=(unshare -r -n)
cd "$tmp" || exit 1
"${network[@]}" true 2>/dev/null ||
    not_run "this machine allows no network of its own (unshare -n)"
"${network[@]}" bash inside.sh "${tests[@]}" >log 2>&1
code=$?
cat log
[ $code != 99 ] || not_run "the Redis server did not start"

count() { # WORD: the number in front of it in pytest's last line
    tail -n 1 log | grep -oE "[0-9]+ $1" | grep -oE '[0-9]+' || echo 0
}
passed=$(count passed)
failed=$(($(count failed) + $(count error) + $(count skipped)))
[ "$code" = 0 ] || [ "$failed" -gt 0 ] || failed=1
if PYTHONPATH=package /usr/bin/python3 -B "$example" >log 2>&1; then
    passed=$((passed + 1))
else
    cat log
    failed=$((failed + 1))
fi
echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
