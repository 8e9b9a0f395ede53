from __future__ import annotations

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import create_engine, inspect
from sqlalchemy.pool import NullPool

from forethought.errors import ArtifactError
from forethought.gateway.ledger import Ledger
from forethought.gateway.ledger.database import Database
from forethought.gateway.ledger.migrations import STEPS, migrate
from forethought.gateway.ledger.schema import metadata


async def write(url: str, opening) -> None:
    ledger = Ledger(url)
    await ledger.start()
    await ledger.admit(opening)
    await ledger.close()


def test_the_steps_lead_to_the_tables_that_statements_are_made_of(ledger_url, records):
    asyncio.run(write(ledger_url, records.opening()))
    engine = create_engine(ledger_url, poolclass=NullPool)
    with engine.connect() as connection:
        found = inspect(connection)
        assert set(found.get_table_names()) == set(metadata.tables)
        for name, table in metadata.tables.items():
            columns = {column["name"]: column for column in found.get_columns(name)}
            assert list(columns) == [column.name for column in table.columns], name
            for column in table.columns:
                assert columns[column.name]["nullable"] == column.nullable or column.primary_key, column
                assert kind(columns[column.name]["type"]) == kind(column.type), column
            assert found.get_pk_constraint(name)["constrained_columns"] == [c.name for c in table.primary_key]
            indices = {index["name"] for index in found.get_indexes(name)}
            assert indices == {index.name for index in table.indexes}, name


def kind(column_type: object) -> str:
    named = str(column_type).upper().split("(")[0]
    return {"BYTEA": "BLOB", "REAL": "DOUBLE", "DOUBLE PRECISION": "DOUBLE", "DOUBLE_PRECISION": "DOUBLE"}.get(
        named, named
    )


def test_a_ledger_of_version_1_is_brought_further_and_keeps_what_it_holds(ledger_url, records, query):
    opening = records.opening()
    asyncio.run(write(ledger_url, opening))
    later = (*STEPS, ("ALTER TABLE keys ADD COLUMN owner TEXT", "CREATE TABLE more (id TEXT, what {blob})"))
    connection = Database(ledger_url).connect()
    assert [migrate(connection, later) for _ in range(2)] == [2, 2]
    connection.close()
    assert query(ledger_url, "SELECT version FROM schema_version ORDER BY version") == [(1,), (2,)]
    assert query(ledger_url, "SELECT id FROM decisions") == [(opening.id,)]
    assert query(ledger_url, "SELECT owner, what FROM keys, more") == []


def test_a_step_that_fails_leaves_nothing_behind(ledger_url, records, query):
    asyncio.run(write(ledger_url, records.opening()))
    database = Database(ledger_url)
    connection = database.connect()
    with pytest.raises(database.driver.Error):
        migrate(connection, (*STEPS, ("CREATE TABLE more (id TEXT)", "CREATE NONSENSE")))
    connection.close()
    assert query(ledger_url, "SELECT max(version) FROM schema_version") == [(1,)]
    asyncio.run(write(ledger_url, records.opening()))
    with pytest.raises(Exception, match="more"):
        query(ledger_url, "SELECT * FROM more")


def test_a_newer_ledger_is_refused(ledger_url, records, query):
    asyncio.run(write(ledger_url, records.opening()))
    query(ledger_url, "INSERT INTO schema_version (version) VALUES (9)")
    with pytest.raises(ArtifactError, match="the ledger is of version 9; this program knows up to 1"):
        asyncio.run(write(ledger_url, records.opening()))


@pytest.mark.parametrize(
    "change", ["DROP TABLE attempts", "ALTER TABLE attempts RENAME COLUMN cost TO price"], ids=["table", "column"]
)
def test_an_altered_ledger_is_refused(ledger_url, records, query, change):
    asyncio.run(write(ledger_url, records.opening()))
    query(ledger_url, change)
    with pytest.raises(ArtifactError, match="table attempts was altered"):
        asyncio.run(write(ledger_url, records.opening()))


def test_of_two_that_migrate_at_once_one_waits_for_the_other(postgres, query):
    """The first statement lasts long enough for both to be at it, were there no lock."""
    url = postgres.create_database()
    slow = (("SELECT pg_sleep(0.3)", *STEPS[0]),)
    both = threading.Barrier(2)

    def run() -> int:
        connection = Database(url).connect()
        both.wait()
        try:
            return migrate(connection, slow)
        finally:
            connection.close()

    with ThreadPoolExecutor(2) as threads:
        assert [done.result() for done in [threads.submit(run), threads.submit(run)]] == [1, 1]
    assert query(url, "SELECT version FROM schema_version") == [(1,)]
