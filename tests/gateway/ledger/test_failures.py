"""A database that cannot be used costs records, never the process, and is used again as soon as it can be."""

from __future__ import annotations

import asyncio
import os
import pwd
import resource
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from forethought.errors import ArtifactError, ConfigError
from forethought.gateway.ledger import Ledger, LedgerLost


async def opened(url: str) -> Ledger:
    ledger = Ledger(url)
    await ledger.start()
    return ledger


@contextmanager
def no_more_than(size: int) -> Iterator[None]:
    """Let no file of this process grow beyond a size."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


async def becomes_ready(ledger: Ledger) -> bool:
    for _ in range(100):
        if ledger.ready():
            return True
        await asyncio.sleep(0.05)
    return False


async def lost(ledger: Ledger, records, n: int = 20) -> int:
    """How many of `n` large records at once are not taken."""
    openings = [records.opening(text="x" * 50_000) for _ in range(n)]
    told = await asyncio.gather(*map(ledger.admit, openings), return_exceptions=True)
    assert {type(answer) for answer in told} <= {type(None), LedgerLost}
    return sum(isinstance(answer, LedgerLost) for answer in told)


def test_a_file_that_cannot_grow_loses_records_until_it_can(sqlite_url, tmp_path, records):
    async def work() -> None:
        ledger = await opened(sqlite_url)
        kept = records.opening()
        await ledger.admit(kept)
        with no_more_than((tmp_path / "ledger.sqlite-wal").stat().st_size + 10_000):
            assert await lost(ledger, records) == 20
            assert not ledger.ready()
            assert (await ledger.decision(kept.id))["id"] == kept.id
        assert await becomes_ready(ledger)
        await ledger.settle(records.closing(kept))
        assert await lost(ledger, records) == 0
        await ledger.close()

    asyncio.run(work())


@pytest.fixture
def small_disk() -> Iterator[Path]:
    """A file system of one megabyte."""
    folder = Path(tempfile.mkdtemp(prefix="small-disk-"))
    command = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)]
    if shutil.which("mount") is None or subprocess.run(command, capture_output=True).returncode != 0:
        folder.rmdir()
        pytest.skip("no file system may be mounted here")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)
    folder.rmdir()


def test_a_full_disk_loses_records_until_there_is_space(small_disk, records):
    async def work() -> None:
        ledger = await opened(f"sqlite:///{small_disk}/ledger.sqlite")
        kept = records.opening()
        await ledger.admit(kept)
        (small_disk / "ballast").write_bytes(b"x" * 600_000)
        assert await lost(ledger, records) == 20
        (small_disk / "ballast").unlink()
        assert await becomes_ready(ledger)
        await ledger.settle(records.closing(kept))
        assert (await ledger.decision(kept.id))["ending"] == "ok"
        await ledger.close()

    asyncio.run(work())


@contextmanager
def as_nobody() -> Iterator[None]:
    """Be somebody whom permissions stop, where this is root."""
    before = os.geteuid()
    if before == 0:
        os.seteuid(pwd.getpwnam("nobody").pw_uid)
    try:
        yield
    finally:
        os.seteuid(before)


def test_a_file_that_may_not_be_written_is_refused_with_its_name(records):
    with tempfile.TemporaryDirectory(prefix="read-only-") as folder:
        path = Path(folder) / "ledger.sqlite"
        asyncio.run(start_and_close(f"sqlite:///{path}"))
        path.chmod(0o444)
        Path(folder).chmod(0o555)
        with as_nobody(), pytest.raises(LedgerLost, match=f"^no connection to the ledger {path}: .* SQLITE_READONLY"):
            asyncio.run(opened(f"sqlite:///{path}"))


async def start_and_close(url: str) -> None:
    await (await opened(url)).close()


def test_a_file_that_turns_read_only_loses_records_until_it_can_be_written(sqlite_url, records):
    """SQLite refuses every write of a connection that is `query_only`, with the error of a read-only file."""

    async def work() -> None:
        ledger = await opened(sqlite_url)
        await ledger.admit(records.opening())
        connection = ledger._writer._connection
        connection.rows("PRAGMA query_only=1")
        assert await lost(ledger, records) == 20
        assert not ledger.ready()
        connection.rows("PRAGMA query_only=0")
        assert await becomes_ready(ledger)
        assert await lost(ledger, records) == 0
        await ledger.close()

    asyncio.run(work())


def test_a_folder_that_is_not_there_is_made(tmp_path):
    asyncio.run(start_and_close(f"sqlite:///{tmp_path}/a/b/ledger.sqlite"))
    path = tmp_path / "a" / "b" / "ledger.sqlite"
    assert path.stat().st_mode & 0o077 == 0  # only its owner may read who asked what


def test_a_server_that_is_gone_loses_records_until_it_is_back(postgres, records):
    url = postgres.create_database()

    async def work() -> None:
        ledger = await opened(url)
        kept = records.opening()
        await ledger.admit(kept)
        postgres.stop()
        try:
            assert await lost(ledger, records) == 20
            assert not ledger.ready()
            with pytest.raises(LedgerLost, match=r"no connection|could not be read"):
                await ledger.decision(kept.id)
        finally:
            postgres.start()
        assert await becomes_ready(ledger)
        await ledger.settle(records.closing(kept))
        assert (await ledger.decision(kept.id))["ending"] == "ok"
        await ledger.close()

    asyncio.run(work())


def test_a_connection_that_was_ended_while_idle_costs_nothing(postgres, records):
    url = postgres.create_database()

    async def work() -> None:
        ledger = await opened(url)
        kept = records.opening()
        await ledger.admit(kept)
        await ledger.decision(kept.id)
        with postgres.connect() as other:
            other.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname LIKE 'ledger%'")
        await ledger.settle(records.closing(kept))
        assert (await ledger.decision(kept.id))["ending"] == "ok"
        await ledger.close()

    asyncio.run(work())


def test_a_server_that_does_not_answer_is_told_without_the_password(records):
    url = "postgresql://someone:SECRET@127.0.0.1:1/ledger"
    with pytest.raises(LedgerLost, match=r"no connection to the ledger ledger at 127.0.0.1") as told:
        asyncio.run(opened(url))
    assert "SECRET" not in str(told.value)


def test_what_is_no_database_is_refused(tmp_path):
    path = tmp_path / "ledger.sqlite"
    path.write_bytes(b"these are notes, not a database" * 100)
    with pytest.raises(ArtifactError, match="SQLITE_NOTADB"):
        asyncio.run(opened(f"sqlite:///{path}"))


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("mysql://SECRET@host/name", "got 'mysql://"),
        ("postgresql+psycopg2://SECRET@host/name", r"got 'postgresql\+psycopg2://"),
        ("u:SECRET@host", "must be a URL"),
        ("", "must be a URL"),
        ("sqlite://", "must name a file"),
        ("sqlite:///:memory:", "must name a file"),
        ("postgresql://host:port/name", "must be a URL"),
    ],
)
def test_a_url_that_is_no_ledgers_is_refused(url, said):
    with pytest.raises(ConfigError, match=said) as told:
        Ledger(url)
    assert "SECRET" not in str(told.value)
