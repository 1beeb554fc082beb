#!/usr/bin/env python3
"""sqlpkg.py LIBRARY VERSION FOLDER [REPOSITORY] - what `sqlpkg install` takes.

In FOLDER/sqlpkg: an archive with the library in it, and sqlpkg.json, which says
where it is: among the releases of REPOSITORY, or else in that folder. Prints the
name of the JSON, last.
"""
import io
import json
import os
import platform
import sys
import tarfile

library, version, folder = sys.argv[1:4]
repository = sys.argv[4] if len(sys.argv) > 4 else ""
folder = os.path.join(folder, "sqlpkg")
os.makedirs(folder, exist_ok=True)

machine = platform.machine()
cpu = {"x86_64": "amd64", "aarch64": "arm64"}.get(machine, machine)
system = f"linux-{cpu}"
archive = f"nadb-{version}-{system}.tar.gz"
with open(library, "rb") as f:
    content = f.read()
with tarfile.open(os.path.join(folder, archive), "w:gz") as tar:
    entry = tarfile.TarInfo("nadb.so")
    entry.size = len(content)
    entry.mode = 0o644
    tar.addfile(entry, io.BytesIO(content))

spec = {
    "owner": "nadb",
    "name": "nadb",
    "version": version,
    "repository": repository,
    "authors": ["nadb developers"],
    "license": "MIT",
    "description": "A key-value store as a virtual table, with tags, expiry and "
                   "transactions.",
    "keywords": ["cache", "key-value", "tags", "ttl", "virtual table"],
    "symbols": ["nadb", "nadb_backup", "nadb_check", "nadb_flush", "nadb_incr",
                "nadb_pop", "nadb_restore", "nadb_stats", "nadb_tags",
                "nadb_version"],
    "assets": {
        "path": "{repository}/releases/download/{version}" if repository
                else os.path.abspath(folder),
        "files": {system: archive},
    },
}
path = os.path.join(folder, "sqlpkg.json")
with open(path, "w", encoding="utf-8") as f:
    json.dump(spec, f, indent=4)
    f.write("\n")
print(os.path.join(folder, archive))
print(path)
