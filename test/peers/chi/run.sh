#!/bin/bash
# run.sh [LIBRARY] - CHI's tests of drivers, of Debian's package of CHI. With
# AUTHOR_TESTING they try several processes too.
source "$(dirname "$0")/../support.sh"
need perl libchi-perl libdbd-sqlite3-perl libtest-class-perl libtest-deep-perl \
    libtest-exception-perl libtest-warn-perl
export NADB_LIB=${lib%.so} NADB_WORK=$work AUTHOR_TESTING=1
tap perl -I"$here" "$here/suite.t"
