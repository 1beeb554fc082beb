#!/bin/bash
# run.sh [LIBRARY] - DiskCache's tests of Cache, Index, Deque and the recipes,
# and its stress tests of many processes, of Debian's sources. excluded.txt has
# those that are left out, and why.
source "$(dirname "$0")/../support.sh"
need python3 python3-pytest rsync
debian_source diskcache
cp "$here"/{conftest,test_stress}.py "$source/tests/utils.py" \
    "$source"/tests/test_{core,index,deque,recipes}.py "$work"
cut -f 2 "$here/excluded.txt" | uniq -c |
    while read -r count why; do echo "excluded: $count: $why"; done
export NADB_LIB=${lib%.so} PYTHONPATH=$source:$here EXCLUDED=$here/excluded.txt
pytest_of "$work"
