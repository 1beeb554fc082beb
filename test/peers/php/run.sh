#!/bin/bash
# run.sh [LIBRARY] - PHP's cache integration tests (PSR-6 with tags and paths,
# PSR-16), of Debian's package of them.
source "$(dirname "$0")/../support.sh"
need php-cli php-sqlite3 phpunit php-cache-integration-tests php-psr-cache \
    php-psr-simple-cache php-cache-tag-interop
export NADB_WORK=$work
junit php -d "sqlite3.extension_dir=$(dirname "$lib")" /usr/bin/phpunit \
    --log-junit "$work/junit.xml" "$here"
