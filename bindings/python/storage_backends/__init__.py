"""The package of the Python NADB, for programs that import it: it is
nadb.storage_backends, module by module."""
import sys

import nadb.storage_backends
import nadb.storage_backends.base
import nadb.storage_backends.fs
import nadb.storage_backends.redis

for _name in ("", ".base", ".fs", ".redis"):
    sys.modules["storage_backends" + _name] = \
        sys.modules["nadb.storage_backends" + _name]
