#!/bin/bash
# gem.sh LIBRARY VERSION FOLDER - a gem with the built library in it. Prints its
# path, last.
set -eu
library=$1 version=$2 folder=$(realpath "$3")
cd "$(dirname "$0")/.."

bash test/support/need.sh ruby >&2
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$work/lib/nadb"
cp bindings/ruby/lib/nadb.rb "$work/lib"
cp bindings/ruby/README.md LICENSE "$work"
install -m 644 "$library" "$work/lib/nadb/nadb.so"
cat >"$work/nadb.gemspec" <<SPEC
Gem::Specification.new do |s|
  s.name = "nadb"
  s.version = "$version"
  s.summary = "A key-value store as a virtual table of SQLite"
  s.description = "nadb.so for the gem sqlite3 and ActiveRecord: keys, values, " \\
                  "tags and expiry in one transaction with ordinary tables."
  s.authors = ["nadb developers"]
  s.license = "MIT"
  s.platform = Gem::Platform.local
  s.required_ruby_version = ">= 2.7"
  s.files = ["LICENSE", "README.md", "lib/nadb.rb", "lib/nadb/nadb.so"]
end
SPEC
cd "$work"
gem build --quiet nadb.gemspec >"$work/log" 2>&1 || { cat "$work/log" >&2; exit 1; }
gem=$(echo nadb-*.gem)
mv "$gem" "$folder"
echo "$folder/$gem"
