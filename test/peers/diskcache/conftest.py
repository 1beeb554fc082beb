"""conftest.py - DiskCache's tests get a cache that is an nadb table. Those in
the file EXCLUDED are left out."""
import os

import diskcache
import diskcache.persistent
from nadb_diskcache import NadbCache

diskcache.Cache = diskcache.persistent.Cache = NadbCache

with open(os.environ["EXCLUDED"], encoding="utf-8") as f:
    EXCLUDED = {line.split("\t")[0] for line in f}


# The option --deselect would take every test whose name begins with this.
def pytest_collection_modifyitems(config, items):
    left_out = [item for item in items if item.nodeid in EXCLUDED]
    items[:] = [item for item in items if item.nodeid not in EXCLUDED]
    config.hook.pytest_deselected(items=left_out)
