from __future__ import annotations

import json
from pathlib import Path

import pytest

from forethought.bench import Figure, Options, script
from forethought.errors import ConfigError


@pytest.mark.parametrize(
    ("figure", "goal", "met"),
    [
        (Figure(50.0).at_most(50), "<= 50", True),
        (Figure(50.1).at_most(50), "<= 50", False),
        (Figure(0.6).at_least(0.6), ">= 0.6", True),
        (Figure(0.0).above(0), "> 0", False),
        (Figure(0.2).above(0.1, "text"), "> text", True),
        (Figure(float("nan")).at_most(1), "<= 1", False),
        (Figure(0.2, 0.1, 0.3).surely_above(0.1), "interval > 0.1", False),
        (Figure(0.9, 0.8, 0.99).surely_below(1), "interval < 1", True),
        (Figure(0.9, 0.8, 1.0).surely_below(1), "interval < 1", False),
        (Figure(0.9).surely_below(1), "interval < 1", False),
        (Figure(3.0), None, None),
    ],
)
def test_a_goal_says_whether_it_is_met(figure: Figure, goal: str | None, met: bool | None) -> None:
    assert (figure.goal, figure.met) == (goal, met)


def test_a_goal_keeps_the_interval() -> None:
    figure = Figure(0.5, 0.4, 0.6, 10).at_least(0.45)
    assert (figure.low, figure.high, figure.n) == (0.4, 0.6, 10)


def test_json_has_no_nan(capsys: pytest.CaptureFixture[str]) -> None:
    assert script("x", lambda options: {"a": Figure(float("nan"))}, seed=0, arguments=["--json"]) == 0
    result = json.loads(capsys.readouterr().out, parse_constant=pytest.fail)
    assert result["figures"]["a"]["value"] is None
    assert result.keys() == {"name", "command", "seed", "seconds", "machine", "figures"}


def test_table_says_goal_and_verdict(capsys: pytest.CaptureFixture[str]) -> None:
    figures = {"speed": Figure(70.0, 60.0, 80.0, 5).at_most(50)}
    script("x", lambda options: figures, seed=0, arguments=[])
    assert capsys.readouterr().out == "speed  70.0 [60.0, 80.0]  n=5  goal <= 50: missed\n"


def test_data_comes_from_flag_before_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    seen: list[Options] = []

    def measure(options: Options) -> dict[str, Figure]:
        seen.append(options)
        return {}

    monkeypatch.setenv("FORETHOUGHT_DATA", str(tmp_path / "environment"))
    script("x", measure, seed=0, arguments=[])
    script("x", measure, seed=0, arguments=["--data", str(tmp_path / "flag"), "--quick"])
    assert [options.data for options in seen] == [tmp_path / "environment", tmp_path / "flag"]
    assert [options.quick for options in seen] == [False, True]


def test_recorded_tables_must_be_there(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="FORETHOUGHT_DATA"):
        Options(quick=True, data=None, cache=tmp_path).recorded("t")
    with pytest.raises(ConfigError, match="no folder 't'"):
        Options(quick=True, data=tmp_path, cache=tmp_path).recorded("t")
