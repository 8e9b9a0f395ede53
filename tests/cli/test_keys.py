from __future__ import annotations

import asyncio
import json
import os
import shlex
import sqlite3
import subprocess
import sys
import time

import pytest

from forethought.cli import main
from forethought.cli.keys import keys_command
from forethought.gateway.base import LOCAL, Attempt, Key, Plan
from forethought.gateway.keys import digest, parse_key
from forethought.gateway.ledger import Closing, Feedback, Ledger, Opening


@pytest.fixture
def ledger(tmp_path) -> str:
    return f"--ledger=sqlite:///{tmp_path}/ledger.sqlite"


def test_a_key_is_printed_once_and_kept_as_a_hash(call, call_json, ledger, tmp_path):
    text = call("keys", "create", "team a", ledger, "--daily-budget=2.5", "--rate=50", "--dear-share=0.25").strip()
    id, secret = parse_key(text)
    [listed] = call_json("keys", "list", ledger)
    assert (listed["id"], listed["name"], listed["scope"]) == (id, "team a", "client")
    assert (listed["daily_budget"], listed["requests_per_second"], listed["dear_share"]) == (2_500_000_000, 50.0, 0.25)
    stored = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert secret.encode() not in stored
    assert digest(secret) in stored


def test_a_key_as_json_holds_the_key(call_json, ledger):
    made = call_json("keys", "create", "root", "--scope=admin", ledger)
    assert parse_key(made["key"])[0] == made["id"]
    assert (made["name"], made["scope"]) == ("root", "admin")


def test_the_list_shows_limits_and_who_lives_but_no_secret(call, call_json, ledger, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    first = call_json("keys", "create", "[bold]one", ledger, "--daily-budget=20")
    second = call_json("keys", "create", "two", ledger)
    assert call("keys", "revoke", second["id"], ledger) == f"revoked {second['id']}\n"
    shown = call("keys", "list", ledger)
    assert "[bold]one" in shown
    assert "$20.00" in shown
    assert "lives" in shown
    assert "revoked" in shown
    listed = json.dumps(call_json("keys", "list", ledger)) + shown
    for made in (first, second):
        assert made["key"][12:] not in listed


def test_a_ledger_without_keys_lists_none(call_json, ledger):
    asyncio.run(asked(ledger.removeprefix("--ledger="), LOCAL, 1))
    assert call_json("keys", "list", ledger) == []


def test_by_default_the_ledger_is_that_of_a_gateway_without_a_file(call_json, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    call_json("keys", "create", "mine")
    assert (tmp_path / "runs" / "gateway" / "ledger.sqlite").is_file()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["create", "x", "--daily-budget=-1"], "daily-budget must be in [0, 1e9] USD, got -1"),
        (["create", "x", "--daily-budget=nan"], "daily-budget must be in [0, 1e9] USD, got nan"),
        (["create", "x", "--rate=0"], "rate must be > 0 requests per second, got 0"),
        (["create", "x", "--rate=inf"], "rate must be > 0 requests per second, got inf"),
        (["create", "x", "--dear-share=1.5"], "dear-share must be in [0, 1], got 1.5"),
        (["create", "x", "--scope=owner"], "owner"),
        (["revoke", "absent", "--ledger=mysql://host/name"], "got 'mysql://host/name'"),
        (["list", "absent.toml"], "no pool file at absent.toml"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_is_wrong_is_said_in_one_line(refused, words, said, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert said in refused("keys", *words)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (
            ["revoke", "absent"],
            "no key 'absent' that lives in the ledger {path}; `forethought keys list {place}` shows",
        ),
        (["forget", "absent"], "no key 'absent' in the ledger {path}; `forethought keys list {place}` shows them"),
    ],
)
def test_an_unknown_key_is_told_with_the_command_that_lists_them(call, refused, words, said, ledger, tmp_path):
    call("keys", "create", "x", ledger)
    place = ledger.replace("=", " ", 1)
    assert said.format(path=tmp_path / "ledger.sqlite", place=place) in refused("keys", *words, ledger)


@pytest.mark.parametrize("words", [["list"], ["list", "--json"], ["revoke", "x"], ["forget", "x"]])
def test_a_ledger_that_is_not_there_is_not_made_by_looking_for_keys(refused, words, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    said = refused("keys", *words, "--ledger", "sqlite:///absent.sqlite")
    assert f"there is no ledger {tmp_path}/absent.sqlite" in said
    assert "`forethought keys create NAME --ledger sqlite:///absent.sqlite` makes one" in said
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def gateway_file(tmp_path):
    """A gateway file that names a ledger."""
    path = tmp_path / "gate way.toml"
    path.write_text(f'ledger = "sqlite:///{tmp_path}/named.sqlite"\n[[target]]\nname = "t"\nmodel = "m"\n')
    return path


def test_keys_are_those_of_the_gateway_file_and_every_command_says_so(gateway_file, capsys, tmp_path):
    def said(*words: object) -> tuple[str, list[str]]:
        main(["keys", *map(str, words)])
        out, err = capsys.readouterr()
        return out, err.splitlines()

    where = f"in the ledger {tmp_path}/named.sqlite"
    out, err = said("create", "ops", gateway_file)
    id = parse_key(out.strip())[0]
    assert err == [where, f"This key is shown once. `forethought keys revoke {id} '{gateway_file}'` ends it."]
    for words in (["list"], ["list", "--json"], ["forget", id], ["revoke", id]):
        out, err = said(*words, gateway_file)
        assert id in out
        assert err == [where]
    assert not (tmp_path / "runs").exists()


def test_what_is_printed_to_end_a_key_ends_it(gateway_file, call, call_json, capsys):
    call("keys", "create", "ops", gateway_file, "--ledger", f"sqlite:///{gateway_file.parent}/other.sqlite")
    main(["keys", "create", "ops", str(gateway_file)])
    ends = shlex.split(capsys.readouterr().err.split("`")[1])
    assert ends[0] == "forethought"
    main(ends[1:])
    assert [key["revoked_at"] is None for key in call_json("keys", "list", gateway_file)] == [False]


def test_a_password_is_not_in_what_is_printed():
    ledger = "postgresql://u:secret@host/name"
    command = keys_command("revoke", "x", file=None, ledger=ledger)
    assert command == "forethought keys revoke x --ledger 'postgresql://***@host/name'"


def test_at_80_columns_ids_and_days_are_whole(call, call_json, ledger, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    limits = ("--daily-budget=12345", "--rate=50", "--dear-share=0.25")
    made = [call_json("keys", "create", "a rather long name of a team", ledger, *limits)["id"] for _ in range(2)]
    call("keys", "revoke", made[0], ledger)
    shown = call("keys", "list", ledger)
    assert all(len(line) <= 80 for line in shown.splitlines())
    for id in made:
        assert id in shown
    assert shown.count(time.strftime("%Y-%m-%d", time.gmtime())) == 3


@pytest.mark.parametrize("words", [["list", "--json"], ["list"]])
def test_a_reader_that_has_enough_ends_the_list_quietly(words, call, ledger):
    call("keys", "create", "x", ledger)
    reader, writer = os.pipe()
    os.close(reader)
    command = [sys.executable, "-m", "forethought", "keys", *words, ledger]
    done = subprocess.run(command, stdout=writer, stderr=subprocess.PIPE, text=True)
    os.close(writer)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert "BrokenPipe" not in done.stderr


def test_a_second_revocation_is_told(call, call_json, refused, ledger):
    id = call_json("keys", "create", "x", ledger)["id"]
    call("keys", "revoke", id, ledger)
    assert f"no key {id!r} that lives" in refused("keys", "revoke", id, ledger)


async def asked(url: str, key: Key, count: int) -> None:
    """Requests of a key that were answered and judged."""
    ledger = Ledger(url)
    await ledger.start()
    for number in range(count):
        opening = Opening(f"dec-{key.id}-{number}", time.time(), key, "/completions", "m", False, Plan(("m",)))
        await ledger.admit(opening)
        attempts = (Attempt("m", 200, 3, 0, 5, 7),)
        await ledger.settle(Closing(opening.id, time.time(), key, "ok", 200, "m", attempts, 0.1, opening.day))
        await ledger.feedback(Feedback(opening.id, 1.0, "user", time.time()))
    await ledger.close()


def test_what_a_key_asked_is_forgotten_and_the_key_lives_on(call, call_json, ledger, tmp_path):
    mine, other = (Key(call_json("keys", "create", name, ledger)["id"]) for name in ("mine", "other"))
    url = ledger.removeprefix("--ledger=")
    for key, count in ((mine, 3), (other, 2), (LOCAL, 1)):
        asyncio.run(asked(url, key, count))
    assert call("keys", "forget", mine.id, ledger) == f"forgot 3 decisions of {mine.id}\n"
    assert call("keys", "forget", mine.id, ledger) == f"forgot 0 decisions of {mine.id}\n"
    connection = sqlite3.connect(tmp_path / "ledger.sqlite")
    for table in ("decisions", "attempts", "outcomes"):
        assert connection.execute(f"SELECT count(*) FROM {table}").fetchone() == (3,)
    connection.close()
    assert call("keys", "forget", "local", ledger) == "forgot 1 decisions of local\n"
    assert [key["revoked_at"] for key in call_json("keys", "list", ledger)] == [None, None]
