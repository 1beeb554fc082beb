#!/bin/bash
# run.sh [LIBRARY] - cachelib's tests, of Debian's source package.
source "$(dirname "$0")/../support.sh"
need python3 python3-cachelib python3-pytest
debian_source cachelib
export NADB_LIB=${lib%.so} CACHELIB_TESTS=$source/tests
pytest_of "$here/test_nadb_cache.py"
