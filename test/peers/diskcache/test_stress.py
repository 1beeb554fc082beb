"""test_stress.py - DiskCache's stress tests, in short; but stress_test_index,
which asks for keys in the order in which they were inserted."""
import importlib

import pytest


def stress(name, operations):
    module = importlib.import_module(f"tests.stress_test_{name}")
    module.OPERATIONS = operations
    return module


@pytest.mark.parametrize("name, operations", [
    ("index_mp", 2000), ("deque", 500), ("deque_mp", 300)])
def test_stress(name, operations):
    stress(name, operations).test()


def test_stress_core(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    stress("core", 6000).stress_test_mp()
