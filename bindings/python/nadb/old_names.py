"""The module names that the Python NADB had beside its package.

Programs that ran from a checkout of it write `from logging_config import
LoggingConfig`. These names are common ones (`transaction` is a package of its
own on PyPI), so nothing of that name is installed. They are looked for here
last, when no other module of that name is found.
"""
from __future__ import annotations

import importlib
import importlib.abc
import importlib.machinery
import sys
from types import ModuleType
from typing import Any, Optional

NAMES = ("logging_config", "transaction", "backup_manager", "index_manager")


class _OldNames(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Finds NAMES as the modules of nadb."""

    def find_spec(self, name: str, path: Any = None, target: Any = None
                  ) -> Optional[importlib.machinery.ModuleSpec]:
        if name not in NAMES:
            return None
        return importlib.machinery.ModuleSpec(name, self)

    def create_module(self, spec: importlib.machinery.ModuleSpec
                      ) -> Optional[ModuleType]:
        return None

    def exec_module(self, module: ModuleType) -> None:
        # The import statement gives what sys.modules has in the end.
        name = module.__name__
        sys.modules[name] = importlib.import_module("nadb." + name)


if not any(type(finder).__name__ == "_OldNames" for finder in sys.meta_path):
    sys.meta_path.append(_OldNames())
