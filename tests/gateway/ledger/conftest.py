"""Ledgers in both databases, records to put in them, and processes that do."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.pool import NullPool

HERE = Path(__file__).parent


def load(name: str, path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def records() -> ModuleType:
    """Makes openings and closings."""
    return load("ledger_child", HERE / "ledger_child.py")


@pytest.fixture(scope="session")
def postgres() -> Iterator[Any]:
    """A running PostgreSQL."""
    with load("gateway_postgres", HERE.parent / "postgres.py").running() as server:
        yield server


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/ledger.sqlite"


@pytest.fixture(params=["sqlite", "postgresql"])
def ledger_url(request: pytest.FixtureRequest) -> str:
    """URL of an empty ledger."""
    if request.param == "sqlite":
        return str(request.getfixturevalue("sqlite_url"))
    return str(request.getfixturevalue("postgres").create_database())


@pytest.fixture
def query() -> Callable[..., list[tuple[Any, ...]]]:
    """Ask a ledger's database past the ledger."""

    def asked(url: str, statement: str) -> list[tuple[Any, ...]]:
        with create_engine(url, poolclass=NullPool).begin() as connection:
            result = connection.execute(text(statement))
            return [tuple(row) for row in result] if result.returns_rows else []

    return asked


@pytest.fixture
def child() -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Start a process of `ledger_child.py` and wait until it is ready."""
    started: list[subprocess.Popen[str]] = []

    def start(job: str, url: str, *numbers: int) -> subprocess.Popen[str]:
        command = [sys.executable, str(HERE / "ledger_child.py"), job, url, *map(str, numbers)]
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        started.append(process)
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()
