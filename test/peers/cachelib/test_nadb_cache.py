"""test_nadb_cache.py - cachelib's tests for caches of any kind, over an nadb
table. CACHELIB_TESTS is their folder, NADB_LIB the library."""
import os
import sys
import types

import pytest

sys.path.insert(0, os.environ["CACHELIB_TESTS"])
# Their conftest.py starts servers with it, which no test here asks for.
sys.modules["xprocess"] = types.SimpleNamespace(ProcessStarter=object)

from clear import ClearTests  # noqa: E402
from common import CommonTests  # noqa: E402
from has import HasTests  # noqa: E402
from nadb_cache import NadbCache  # noqa: E402


@pytest.fixture(autouse=True)
def cache_factory(request, tmp_path):
    request.cls.cache_factory = lambda self, **options: NadbCache(
        tmp_path / "cache.db", os.environ["NADB_LIB"], **options)


class TestNadbCache(CommonTests, ClearTests, HasTests):
    pass
