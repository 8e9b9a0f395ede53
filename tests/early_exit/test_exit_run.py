from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch

from forethought.artifacts import save_artifact
from forethought.early_exit.calibration import CalibrationConfig
from forethought.early_exit.exit_run import (
    Calibration,
    Certification,
    ExitRun,
    Reinforcement,
    begun,
    check_free,
    some,
    work,
)
from forethought.early_exit.gates import GateFitConfig
from forethought.early_exit.model import ExitConfig, ExitModel
from forethought.early_exit.parts import Parts, Source
from forethought.early_exit.reinforcement import ReinforcementConfig
from forethought.early_exit.saved import SavedExits
from forethought.early_exit.traces import Trace
from forethought.errors import ConfigError
from forethought.models import load
from forethought.targets.generation import Prompt

torch.set_num_threads(1)
SHORT = CalibrationConfig(steps=2, batch=4)


def run(out: Path, certification: Certification | None = None, **config: Any) -> ExitRun:
    source = Source("arithmetic", 36)
    model = ExitModel(load("arithmetic-small"), ExitConfig((2, 4), **config))
    return ExitRun(model, Parts.read(source), source.policy(None, 8), out, certification or Certification())


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    out = tmp_path_factory.mktemp("exits") / "exits"
    return out, run(out).calibrate(Calibration(SHORT, samples=1))


def test_the_report_says_what_was_done(made: tuple[Path, dict[str, Any]]) -> None:
    out, report = made
    assert SavedExits.read(out).report == report
    assert report["calibrate"]["ridge"] == 1.0
    assert report["gates"] == {"epochs": 12, "batch": 512, "rate": 2e-3, "decay": 1e-2, "seed": 0, "answers": "sampled"}
    assert len(report["gate_losses"]) == 2
    assert report["certificate"]["n"] == 12
    assert begun(out, "calibrate") is None
    assert (work(out) / "traces").is_dir()  # for another run


def test_gates_may_be_fitted_on_greedy_answers(made: tuple[Path, dict[str, Any]], tmp_path: Path) -> None:
    fit = GateFitConfig(epochs=1)
    losses = {}
    for answers in ("sampled", "greedy"):
        stage = Calibration(SHORT, samples=2, temperature=20.0, gates=fit, gate_answers=answers)  # type: ignore[arg-type]
        losses[answers] = run(tmp_path / answers).calibrate(stage)["gate_losses"]
        assert len(list((tmp_path / f"{answers}.work" / "traces").iterdir())) == 1 + (answers == "greedy")
    assert losses["sampled"] != losses["greedy"]


def test_rollouts_explore_around_a_threshold(made: tuple[Path, dict[str, Any]], tmp_path: Path) -> None:
    start = SavedExits.read(made[0])
    still = ReinforcementConfig(steps=1, prompts=2, group=2, adapter_rate=1e-12, gate_rate=1e-12)
    hidden = torch.randn(7, 64, generator=torch.Generator().manual_seed(0))
    logits = {}
    for name, stage in (("as they are", Reinforcement(still)), ("sharpened", Reinforcement(still, 0.8, 3.0))):
        there = run(tmp_path / name)
        there.model.load_state(ExitModel.load(made[0], there.model.base).state())
        report = there.reinforce(stage, start)
        assert report["start"]["gates"] == start.report["gates"]
        assert report["sharpened"] == (None if stage.around is None else {"around": 0.8, "sharpness": 3.0})
        with torch.no_grad():
            logits[name] = there.model.heads.gate_logit(0, hidden)
    wanted = 3 * (logits["as they are"] - math.log(0.8 / 0.2))
    torch.testing.assert_close(logits["sharpened"], wanted, atol=1e-4, rtol=1e-4)


def test_only_the_thresholds_that_are_stated_are_tested(tmp_path: Path) -> None:
    out = tmp_path / "exits"
    report = run(out, Certification(thresholds=(0.9, 0.3))).calibrate(Calibration(SHORT, samples=1))
    assert report["certificate"]["thresholds"] == [0.9, 0.3]
    assert report["threshold"] in (None, 0.9, 0.3)


def test_what_is_under_way_is_shown(tmp_path: Path) -> None:
    labels: list[str] = []

    @contextmanager
    def listed(label: str) -> Iterator[Callable[..., None]]:
        yield lambda done, total, text="": labels.append(label)

    there = run(tmp_path / "exits", map_rank=2)
    ExitRun(there.model, there.parts, there.policy, there.out, progress=listed).calibrate(Calibration(SHORT, 1))
    assert list(dict.fromkeys(labels)) == ["record answers", "fit maps", "calibrate", "fit gates", "certify"]


def test_nothing_finished_is_lost_unless_it_may_be(made: tuple[Path, dict[str, Any]], tmp_path: Path) -> None:
    check_free(tmp_path / "absent")
    check_free(tmp_path)  # empty
    with pytest.raises(ConfigError, match=r"holds finished exits \(stage calibrate\): nothing was changed"):
        check_free(made[0])
    check_free(made[0], overwrite=True)
    (tmp_path / "notes.txt").write_text("mine")
    for overwrite in (False, True):
        with pytest.raises(ConfigError, match="is there and holds no exits"):
            check_free(tmp_path, overwrite=overwrite)
        with pytest.raises(ConfigError, match="is there and is no folder"):
            check_free(tmp_path / "notes.txt", overwrite=overwrite)
    save_artifact(tmp_path / "router", {"kind": "router"}, {})
    with pytest.raises(ConfigError, match="holds 'router', not exits"):
        check_free(tmp_path / "router", overwrite=True)


def test_a_run_that_was_killed_has_begun(tmp_path: Path) -> None:
    save_artifact(work(tmp_path / "exits") / "calibrate", {"kind": "training", "step": 25}, {})
    assert begun(tmp_path / "exits", "calibrate") == 25
    assert begun(tmp_path / "exits", "reinforce") is None


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: Calibration(samples=0), "samples must be >= 1 and temperature > 0, got 0 and 0.7"),
        (lambda: Calibration(temperature=0.0), "samples must be >= 1 and temperature > 0, got 4 and 0"),
        (lambda: Calibration(ridge=0.0), "ridge must be > 0, got 0"),
        (lambda: Calibration(gate_answers="both"), "gate_answers must be 'sampled' or 'greedy', got 'both'"),
        (lambda: Reinforcement(around=1.0), r"must lie in \(0, 1\) and the sharpness be > 0, got 1.0 and 2"),
        (lambda: Reinforcement(sharpness=0.0), r"must lie in \(0, 1\) and the sharpness be > 0, got None and 0"),
        (lambda: Certification(thresholds=(0.3, 0.9)), "thresholds must fall"),
        (lambda: Certification(thresholds=(1.5,)), r"must lie in \[0, 1\], got 1.5"),
    ],
)
def test_what_cannot_be_is_refused(make: Callable[[], object], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        make()


def test_states_are_read_of_so_many_passes_at_most() -> None:
    traces = [Trace(i, Prompt((1,), 0), [0] * 5) for i in range(10)]
    kept = some(traces, 12, seed=0)
    assert len(kept) == 3
    assert kept == some(traces, 12, seed=0)
    assert len({trace.question for trace in kept}) == 3
    assert len(some(traces, 1, seed=0)) == 1
    assert len(some(traces, 10_000, seed=0)) == 10
