#!/bin/bash
# run.sh [LIBRARY] - Keyv's tests (@keyv/test-suite), fetched by npm.
source "$(dirname "$0")/../support.sh"
npm_packages keyv@5 @keyv/test-suite@2
# Modules are looked for above the file that imports them.
copy=$js/keyv-$$
mkdir "$copy" && trap 'rm -rf "$work" "$copy"' EXIT
cp "$here"/*.mjs "$copy"
cd "$js" || exit 1
export NADB_LIB=${lib%.so} NADB_WORK=$work
tap npx vitest run --root "$copy" --reporter tap-flat
