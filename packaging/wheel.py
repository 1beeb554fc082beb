#!/usr/bin/env python3
"""wheel.py LIBRARY VERSION FOLDER - a wheel with the built library in it.

It has all of bindings/python but its tests, and is for any Python 3 on this
system and processor (PEP 425, PEP 427). Prints the wheel's path.
"""
import base64
import hashlib
import os
import sys
import sysconfig
import zipfile

library, version, folder = sys.argv[1:4]
here = os.path.dirname(os.path.abspath(__file__))
platform = sysconfig.get_platform().replace("-", "_").replace(".", "_")
tag = f"py3-none-{platform}"
info = f"nadb-{version}.dist-info"

METADATA = f"""Metadata-Version: 2.1
Name: nadb
Version: {version}
Summary: A key-value store as a virtual table of SQLite
License: MIT
Requires-Python: >=3.9
"""
WHEEL = f"""Wheel-Version: 1.0
Generator: nadb
Root-Is-Purelib: false
Tag: {tag}
"""


def content(path):
    with open(path, "rb") as f:
        return f.read()


source = os.path.normpath(os.path.join(here, "..", "bindings", "python"))
files = {}
for folder_name, below, names in os.walk(source):
    below[:] = sorted(name for name in below
                      if name not in ("tests", "__pycache__"))
    for name in sorted(names):
        if name.endswith(".py"):
            path = os.path.join(folder_name, name)
            files[os.path.relpath(path, source)] = content(path)
files["nadb/nadb.so"] = content(library)
files[f"{info}/METADATA"] = METADATA.encode()
files[f"{info}/WHEEL"] = WHEEL.encode()
record = ""
for name, data in files.items():
    digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest())
    record += f"{name},sha256={digest.rstrip(b'=').decode()},{len(data)}\n"
files[f"{info}/RECORD"] = (record + f"{info}/RECORD,,\n").encode()

out = os.path.join(folder, f"nadb-{version}-{tag}.whl")
with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as z:
    for name, data in files.items():
        entry = zipfile.ZipInfo(name)
        entry.compress_type = zipfile.ZIP_DEFLATED
        entry.external_attr = 0o100644 << 16
        z.writestr(entry, data)
print(out)
