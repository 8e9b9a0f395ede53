from __future__ import annotations

import json
from pathlib import Path

import pytest

from forethought import bench as library
from forethought.bench import find_checkout
from forethought.cli import main
from forethought.errors import ConfigError

RUN = '''"""Doubles a number."""
import sys
from forethought.bench import Figure, script

def measure(options):
    options.recorded("table")
    return {"double": Figure(4.0).at_most(3), "seen": Figure(float(options.quick))}

sys.exit(script("double", measure, seed=7))
'''


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A checkout with one benchmark, around the current folder; the package's own is out of sight."""
    (tmp_path / "src" / "forethought").mkdir(parents=True)
    folder = tmp_path / "benchmarks" / "double"
    folder.mkdir(parents=True)
    (folder / "run.py").write_text(RUN)
    (tmp_path / "data" / "table").mkdir(parents=True)
    monkeypatch.chdir(folder)
    monkeypatch.setattr(library, "__file__", str(tmp_path / "site" / "lib" / "forethought" / "bench.py"))
    monkeypatch.delenv("FORETHOUGHT_DATA", raising=False)
    return tmp_path


def test_list_names_every_benchmark_of_this_checkout(capsys: pytest.CaptureFixture[str]) -> None:
    main(["bench", "list", "--json"])
    named = json.loads(capsys.readouterr().out)
    assert {"decision", "extraction", "math"} <= named.keys()
    assert all(named.values())


def test_a_checkout_is_found_around_the_current_folder(checkout: Path) -> None:
    assert find_checkout() == checkout.resolve()


def test_a_missed_goal_is_said_and_the_run_succeeds(checkout: Path, capfd: pytest.CaptureFixture[str]) -> None:
    main(["bench", "double", "--quick", "--json", "--data", str(checkout / "data")])
    result = json.loads(capfd.readouterr().out)
    assert result["name"] == "double"
    assert result["command"] == "forethought bench double --quick --json"
    assert result["seed"] == 7
    assert result["figures"]["double"] == {
        "value": 4.0,
        "low": None,
        "high": None,
        "n": None,
        "goal": "<= 3",
        "met": False,
    }
    assert result["figures"]["seen"]["value"] == 1.0


def test_missing_data_is_one_line_and_exit_code_2(checkout: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(["bench", "double"])
    assert stopped.value.code == 2
    message = capfd.readouterr().err
    assert "FORETHOUGHT_DATA" in message
    assert message.count("\n") == 1


def test_an_unknown_name_says_which_there_are(checkout: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(["bench", "triple"])
    assert stopped.value.code == 2
    assert "there are double" in capsys.readouterr().err


def test_without_a_checkout_it_says_how_to_get_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(library, "__file__", str(tmp_path / "a" / "b" / "c" / "bench.py"))
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match="checkout"):
        find_checkout()
    with pytest.raises(SystemExit) as stopped:
        main(["bench", "list"])
    assert stopped.value.code == 2
    assert capsys.readouterr().err.count("\n") == 1
