#!/bin/bash
# run.sh [LIBRARY] - CPython's tests of dbm, shelve and mappings, of Debian's
# package of them. That of dbm.sqlite3 came with Python 3.13.
source "$(dirname "$0")/../support.sh"
version=$(/usr/bin/python3 -c \
    'import sys; print("%d.%d" % sys.version_info[:2])')
need python3 "libpython$version-testsuite"
newest=/usr/lib/python$version/test/test_dbm_sqlite3.py
[ -e "$newest" ] || {
    debian_package libpython3.13-testsuite
    newest=$package/usr/lib/python3.13/test/test_dbm_sqlite3.py
}
cd "$work" || exit 1
NADB_LIB=${lib%.so} PYTHONDONTWRITEBYTECODE=1 \
    /usr/bin/python3 "$here/suite.py" "$newest"
