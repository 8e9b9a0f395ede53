from __future__ import annotations

import json

import pytest

from forethought.gateway.keys import digest, parse_key


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
    assert "$20.0000" in shown
    assert "lives" in shown
    assert "revoked 2" in shown
    listed = json.dumps(call_json("keys", "list", ledger)) + shown
    for made in (first, second):
        assert made["key"][12:] not in listed


def test_a_ledger_without_keys_lists_none(call_json, ledger):
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
        (["revoke", "absent"], "no key 'absent' that lives"),
        (["revoke", "absent", "--ledger=mysql://host/name"], "got mysql://"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_is_wrong_is_said_in_one_line(refused, words, said, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert said in refused("keys", *words)


def test_a_second_revocation_is_told(call, call_json, refused, ledger):
    id = call_json("keys", "create", "x", ledger)["id"]
    call("keys", "revoke", id, ledger)
    assert f"no key {id!r} that lives" in refused("keys", "revoke", id, ledger)
