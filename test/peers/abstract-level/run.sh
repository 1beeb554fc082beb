#!/bin/bash
# run.sh [LIBRARY] - abstract-level's tests, fetched by npm.
source "$(dirname "$0")/../support.sh"
npm_packages abstract-level@3 tape@5
export NODE_PATH=$js/node_modules
tap node "$here/suite.js" "${lib%.so}" "$work"
