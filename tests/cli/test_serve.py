"""`forethought serve` as it is typed."""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest
from processes import command


@pytest.fixture
def gateway_file(tmp_path):
    """A gateway file of one target that nobody asks."""
    path = tmp_path / "gateway.toml"
    path.write_text(
        f'ledger = "sqlite:///{tmp_path}/ledger.sqlite"\n'
        '[[target]]\nname = "large"\nmodel = "m"\nbase_url = "http://127.0.0.1:9/v1"\n'
    )
    return path


def test_a_gateway_to_which_nobody_listens_any_more_ends_well(gateway_file):
    """As of `forethought serve 2>&1 | head -1`."""
    process = subprocess.Popen(command(gateway_file, "--port", 0), stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    assert process.stderr.readline().startswith("forethought serves http://127.0.0.1:")
    process.stderr.close()
    process.send_signal(signal.SIGTERM)
    assert process.wait(10) == 0


@pytest.mark.parametrize("by", ["file", "ledger", "both"])
def test_how_an_admin_key_is_made_is_told_for_the_ledger_that_was_named(by, gateway_file, refused, tmp_path):
    ledger = ["--ledger", f"sqlite:///{tmp_path}/other.sqlite"]
    named = {"file": [], "ledger": ledger, "both": ledger}[by]
    place = f"--ledger sqlite:///{tmp_path}/other.sqlite" if named else str(gateway_file)
    router = [] if by != "ledger" else ["--router", tmp_path / "router"]
    said = refused("serve", *([gateway_file] if by != "ledger" else []), *router, *named, "--host=0.0.0.0", "--port=0")
    assert said == (
        "forethought: no admin key exists, and a gateway that other machines can reach needs one: "
        f"make it with `forethought keys create ops --scope admin {place}`\n"
    )


def test_without_a_driver_for_its_ledger_the_extra_is_named(gateway_file, refused, monkeypatch):
    monkeypatch.setitem(sys.modules, "psycopg", None)
    said = refused("serve", gateway_file, "--ledger", "postgresql://u:secret@host/name", "--port=0")
    assert said == "forethought: a ledger in PostgreSQL needs psycopg: pip install 'forethought[postgres]'\n"


def test_a_mistake_in_the_file_is_told_once(gateway_file, refused):
    gateway_file.write_text(gateway_file.read_text() + 'featurs = ["tools"]\n')
    said = refused("serve", gateway_file)
    assert f"{gateway_file}: target 'large': unknown key 'featurs', did you mean 'features'? allowed are " in said
    assert "Tuple" not in said
