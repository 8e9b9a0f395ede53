from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest


def _sse() -> ModuleType:
    """The streaming server that the targets are tested with."""
    if "sse_server" not in sys.modules:
        path = Path(__file__).parents[1] / "targets" / "sse_server.py"
        spec = importlib.util.spec_from_file_location("sse_server", path)
        assert spec is not None
        assert spec.loader is not None
        module = sys.modules["sse_server"] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
    return sys.modules["sse_server"]


@pytest.fixture
def sse() -> Iterator[Any]:
    with _sse().running() as server:
        yield server


@pytest.fixture(scope="session")
def script() -> Any:
    """What one request gets, from `sse_server`."""
    return _sse().Script
