#!/bin/bash
# npm.sh LIBRARY VERSION FOLDER - an npm package with the built library in it.
# Prints its path, last.
set -eu
library=$1 version=$2 folder=$3
cd "$(dirname "$0")/.."

case $(uname -m) in
x86_64) cpu=x64 ;;
aarch64) cpu=arm64 ;;
*) cpu=$(uname -m) ;;
esac
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir "$work/package"
cp bindings/node/index.js bindings/node/index.d.ts bindings/node/README.md \
    LICENSE "$work/package"
install -m 644 "$library" "$work/package/nadb.so"
cat >"$work/package/package.json" <<JSON
{
  "name": "sqlite-nadb",
  "version": "$version",
  "description": "A key-value store as a virtual table of SQLite",
  "license": "MIT",
  "main": "index.js",
  "types": "index.d.ts",
  "files": ["index.js", "index.d.ts", "nadb.so"],
  "os": ["linux"],
  "cpu": ["$cpu"],
  "keywords": ["sqlite", "sqlite-extension", "key-value", "cache"]
}
JSON
tar -C "$work" --owner=0 --group=0 -czf "$folder/nadb-$version.tgz" package
echo "$folder/nadb-$version.tgz"
