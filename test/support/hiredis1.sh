#!/bin/bash
# hiredis1.sh [short|long] - the tests of Redis with hiredis 1.x.
#
# A system whose own hiredis is 1.x uses that. Elsewhere the source package of
# a later release of the system is fetched, with apt and from where this
# machine's apt gets its packages, and built in build/hiredis1/prefix. nadb is
# built with it in build/hiredis1, apart from all other builds, and what it was
# built of is looked at before a test counts.
#
# long (default): all suites that have to do with Redis; no sources, a failure.
# short, for `make test`: three of them; no sources, "not run" and no pass.
# NADB_VARIANT is that of test/run.sh; NADB_RELEASES, where sources may be.
set -u
cd "$(dirname "$0")/../.." || exit 1
. test/support/tally.sh

subject="hiredis 1.x"
form=${1:-long}
variant=${NADB_VARIANT:-test}
releases=${NADB_RELEASES:-trixie noble sid}
folder=build/hiredis1
here=$PWD/$folder
unset MAKEFLAGS MAKELEVEL MFLAGS

# apt with lists of its own; it changes nothing on the machine.
apt_here() {
    timeout 120 apt-get -q -q -o Dir::Etc::sourcelist="$here/apt/list" \
        -o Dir::Etc::sourceparts=- -o Dir::State::lists="$here/apt/lists" \
        -o Dir::Cache="$here/apt/cache" -o APT::Sandbox::User="$(id -un)" \
        -o Acquire::Retries=1 -o Acquire::http::Timeout=10 "$@"
}

# fetch SITE RELEASE: the package's source goes to $here/source.
fetch() {
    rm -rf "$here"/{apt,source,package}
    mkdir -p "$here"/apt/{lists/partial,cache/archives/partial} "$here/package"
    echo "deb-src $1 $2 main" >"$here/apt/list"
    apt_here update && cd "$here/package" &&
        apt_here source --download-only hiredis &&
        dpkg-source -q -x --no-check --no-copy ./*.dsc "$here/source"
}

provide() {
    local site release
    command -v apt-get >/dev/null || not_here "the system has none, nor apt"
    bash test/support/need.sh dpkg-dev
    : >"$folder/fetch.log"
    # shellcheck disable=SC2016 # apt fills this in
    for site in $(apt-get indextargets --format '$(REPO_URI)' \
        'Created-By: Packages' | awk '!seen[$0]++'); do
        for release in $releases; do
            (fetch "$site" "$release") >>"$folder/fetch.log" 2>&1 && break 2
        done
    done
    [ -e "$here/source/hiredis.h" ] ||
        not_here "no sources in any of: $releases (see $folder/fetch.log)"
    # Its names are also those of what compilers look at.
    make -C "$here/source" PREFIX="$here/prefix" LIBRARY_PATH=lib \
        INCLUDE_PATH=include/hiredis PKGCONF_PATH=pkgconfig install \
        >"$folder/make.log" 2>&1 ||
        failure "it does not build, see $folder/make.log"
    rm -rf "$here/apt"
}

mkdir -p "$folder"
if ! pkg-config --atleast-version=1 hiredis; then
    export PKG_CONFIG_PATH=$here/prefix/lib/pkgconfig:${PKG_CONFIG_PATH:-}
    pkg-config --atleast-version=1 hiredis || provide
fi
version=$(pkg-config --modversion hiredis)
[[ $version == 1.* ]] || failure "pkg-config knows '$version'"

# What has nothing to do with hiredis is already compiled, by the run that this
# is a part of: its objects are copied, after the file that they depend on.
library=$folder/$variant/nadb.so
if [ "$form" = short ] && [ ! -e "$library" ]; then
    make -s BUILD=$folder $folder/config &&
        mkdir -p "$folder/$variant" &&
        cp -r "build/$variant/obj" "$folder/$variant" &&
        find "$folder/$variant/obj" -name '*.d' -delete &&
        rm -rf "$folder/$variant/obj/backends/redis"
fi
# The headers and the library, as they went into ours.
make -s -j2 BUILD=$folder "$library" >"$folder/nadb.log" 2>&1 ||
    failure "nadb does not build with it, see $folder/nadb.log"
grep -qaF "hiredis $version" "$library" ||
    failure "$library was not compiled with $version"
nm "$library" | grep -q ' hiredisAllocFns$' ||
    readelf -d "$library" | grep -q 'NEEDED.*libhiredis\.so\.[1-9]' ||
    failure "$library was not linked with $version"
echo "hiredis $version in $library"

suites=(redis redis_tags redis_fault)
if [ "$form" != short ]; then
    suites=(unit-redis_cache_test)
    for file in test/suites/redis*.test \
        $(grep -l 'foreach_backend {memory fs' test/suites/*.test); do
        suites+=("$(basename "$file" .test)")
    done
fi
NADB_BUILD=$folder NADB_WITHIN=1 NADB_BACKENDS=redis bash test/run.sh "$variant" \
    "${suites[@]}"
