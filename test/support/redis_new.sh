#!/bin/bash
# redis_new.sh [SUITE..] - the tests of Redis with the servers of Debian 13, which
# are Redis 8 and Valkey, where the system has an older one.
#
# debootstrap puts them, with the libraries that they need, into a folder of
# build/redis-new (root alone can do that); nothing is installed. The suites find
# them as redis-server, because that is first in PATH. Without names all suites
# of Redis are run that take their servers from there.
set -u
cd "$(dirname "$0")/../.." || exit 1
. test/support/tally.sh
subject="newer servers"

here=$PWD/build/redis-new
root=$here/trixie
unset MAKEFLAGS MAKELEVEL MFLAGS

mkdir -p "$here"
if [ ! -x "$root/usr/bin/valkey-server" ]; then
    bash test/support/need.sh debootstrap
    # shellcheck disable=SC2016 # apt fills this in
    mirror=$(apt-get indextargets --format '$(REPO_URI) $(ORIGIN) $(LABEL)' \
        'Created-By: Packages' |
        awk '$2 == "Debian" && $3 == "Debian" { print $1; exit }')
    debootstrap --variant=minbase --include=redis-server,valkey-server trixie \
        "$root" "$mirror" >"$here/debootstrap.log" 2>&1 ||
        failure "they cannot be had, see $here/debootstrap.log"
fi

names=("$@")
if [ ${#names[@]} -eq 0 ]; then
    for file in test/suites/redis*.test; do
        names+=("$(basename "$file" .test)")
    done
fi
machine=$(uname -m)
for server in redis valkey; do
    mkdir -p "$here/$server"
    # With the loader and the libraries that it was made for.
    cat >"$here/$server/redis-server" <<END
#!/bin/sh
exec "$(echo "$root"/lib*/ld-linux-*.so.*)" --library-path \
    "$root/usr/lib/$machine-linux-gnu" "$root/usr/bin/$server-server" "\$@"
END
    chmod +x "$here/$server/redis-server"
    PATH=$here/$server:$PATH redis-server --version ||
        failure "$server-server does not run"
    PATH=$here/$server:$PATH NADB_LOGS=$here/log-$server NADB_WITHIN=1 \
        bash test/run.sh test "${names[@]}" | tee "$here/$server.log"
    of_last_line 0 "$here/$server.log"
done
tally
