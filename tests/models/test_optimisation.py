from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from forethought.errors import ArtifactError, ConfigError, DataError
from forethought.models import ConstantRate, Group, Optimisation, Schedule

STEPS = 12
Loss = Callable[[int], tuple[torch.Tensor, dict[str, float]]]


class Problem:
    """Least squares on batches that depend on the step alone; `unused` never has a gradient."""

    def __init__(self, *, start: float = 0.0, bad: Mapping[int, float] | None = None) -> None:
        self.weights = nn.Parameter(torch.full((3,), start))
        self.offset = nn.Parameter(torch.zeros(()))
        self.unused = nn.Parameter(torch.ones(2))
        self.bad = bad or {}

    def loss(self, step: int) -> tuple[torch.Tensor, dict[str, float]]:
        inputs = torch.randn(5, 3, generator=torch.Generator().manual_seed(step))
        wanted = inputs @ torch.tensor([1.0, -2.0, 0.5]) + 0.3
        value = (inputs @ self.weights + self.offset - wanted).square().mean()
        return value * self.bad.get(step, 1.0), {"batch": float(inputs.sum())}

    def optimisation(self, folder: Path | None, **changes: Any) -> Optimisation:
        rate = changes.pop("rate", 0.1)
        schedule = Schedule(changes.pop("steps", STEPS), 0.25, every=changes.pop("every", 3))
        groups = [Group([self.weights, self.unused], rate), Group([self.offset], 0.05)]
        return Optimisation(groups, schedule, folder, changes.pop("identity", {"seed": 0}), **changes)

    @property
    def bits(self) -> list[list[float]]:
        return [self.weights.tolist(), [self.offset.item()], self.unused.tolist()]


def whole(bad: Mapping[int, float] | None = None) -> tuple[Problem, Optimisation]:
    problem = Problem(bad=bad)
    run = problem.optimisation(None)
    list(run.run(problem.loss))
    return problem, run


def killed(folder: Path, after: int, **changes: Any) -> None:
    """Take so many steps, the last of which is interrupted."""
    problem = Problem(**{key: changes.pop(key) for key in ("bad", "start") if key in changes})
    steps = problem.optimisation(folder, **changes).run(problem.loss)
    for _ in range(after):
        next(steps)
    steps.close()  # type: ignore[attr-defined]


@pytest.mark.parametrize("every", [1, 3, 5])
@pytest.mark.parametrize("after", [1, 3, 4, 7, 11, STEPS])
def test_a_killed_run_goes_on_as_if_it_had_not_been(tmp_path: Path, after: int, every: int) -> None:
    folder = tmp_path / "run"
    killed(folder, after, every=every)
    problem = Problem()
    run = problem.optimisation(folder, every=every)
    went_on = list(run.run(problem.loss))
    wanted, uninterrupted = whole()
    assert problem.bits == wanted.bits
    assert run.history == uninterrupted.history
    assert [figures["step"] for figures in run.history] == list(range(STEPS))
    kept = STEPS if after == STEPS else after // every * every
    assert [figures["step"] for figures in went_on] == (list(range(kept, STEPS)) or [STEPS - 1])


def test_a_run_killed_twice_and_within_a_step(tmp_path: Path) -> None:
    for after in (4, 3):
        problem = Problem()

        def loss(step: int, problem: Problem = problem, last: int = after) -> tuple[torch.Tensor, dict[str, float]]:
            if step >= 3 + last:
                raise KeyboardInterrupt
            return problem.loss(step)

        with pytest.raises(KeyboardInterrupt):
            list(problem.optimisation(tmp_path / "run").run(loss))
    problem = Problem()
    list(problem.optimisation(tmp_path / "run").run(problem.loss))
    assert problem.bits == whole()[0].bits


def test_a_finished_run_gives_its_weights_and_last_figures_back(tmp_path: Path) -> None:
    killed(tmp_path / "run", STEPS)
    problem = Problem()
    assert list(problem.optimisation(tmp_path / "run").run(problem.loss)) == whole()[1].history[-1:]
    assert problem.bits == whole()[0].bits


def test_it_learns(tmp_path: Path) -> None:
    problem = Problem()
    history = list(problem.optimisation(None, steps=150).run(problem.loss))
    assert history[-1]["loss"] < 1e-3 * history[0]["loss"]
    assert problem.unused.tolist() == [1.0, 1.0]


@pytest.mark.parametrize(
    "changes",
    [{"rate": 0.2}, {"steps": STEPS + 1}, {"clip": 2.0}, {"identity": {"seed": 1}}, {"start": 1e-7}],
    ids=["rate", "length", "clip", "identity", "starting weights"],
)
def test_a_checkpoint_of_another_run_is_refused(tmp_path: Path, changes: dict[str, Any]) -> None:
    folder = tmp_path / "run"
    killed(folder, 4)
    before = {file.name: file.read_bytes() for file in folder.iterdir()}
    with pytest.raises(ArtifactError, match="other settings, other data or other weights to start from"):
        killed(folder, 1, **changes)
    assert {file.name: file.read_bytes() for file in folder.iterdir()} == before


def test_weights_of_another_order_are_other_weights(tmp_path: Path) -> None:
    """Sums are equal, bits are not."""

    def taken(values: list[float]) -> list[dict[str, float]]:
        parameter = nn.Parameter(torch.tensor(values))
        run = Optimisation([Group([parameter], 0.1)], Schedule(4, every=1), tmp_path / "run", {})
        return list(run.run(lambda step: (parameter.square().sum(), {})))

    taken([1.0, 2.0])
    with pytest.raises(ArtifactError, match="weights to start from"):
        taken([2.0, 1.0])


def _flip(file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(bytes(content))


def _shorten(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-9])


def _forge(file: Path) -> None:
    file.write_text(json.dumps({**json.loads(file.read_text()), "step": 11}))


@pytest.mark.parametrize(
    ("name", "damage"),
    [
        ("tensors.safetensors", _flip),
        ("tensors.safetensors", _shorten),
        ("tensors.safetensors", Path.unlink),
        ("manifest.json", _shorten),
        ("manifest.json", _forge),
        ("manifest.json", Path.unlink),
    ],
)
def test_a_damaged_checkpoint_is_refused(tmp_path: Path, name: str, damage: Callable[[Path], None]) -> None:
    killed(tmp_path / "run", 4)
    damage(tmp_path / "run" / name)
    with pytest.raises(ArtifactError, match="run"):
        killed(tmp_path / "run", 1)


def test_a_folder_of_something_else_is_left_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "letters.txt").write_text("dear")
    with pytest.raises(ArtifactError, match=r"no manifest\.json"):
        killed(tmp_path, 4)
    assert [file.name for file in tmp_path.iterdir()] == ["letters.txt"]


def test_an_empty_folder_is_a_beginning(tmp_path: Path) -> None:
    killed(tmp_path, 3)
    assert (tmp_path / "manifest.json").is_file()


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_loss_that_is_not_finite_moves_nothing_and_is_counted(tmp_path: Path, value: float) -> None:
    problem = Problem(bad={2: value, 5: value})
    run = problem.optimisation(tmp_path / "run")
    before = problem.bits
    for figures in run.run(problem.loss):
        moved = problem.bits != before
        assert moved is (figures["step"] not in (2, 5))
        before = problem.bits
    assert run.lost == 2


def test_lost_steps_are_counted_across_a_kill(tmp_path: Path) -> None:
    bad = {2: float("nan"), 5: float("nan")}
    killed(tmp_path / "run", 4, bad=bad)
    problem = Problem(bad=bad)
    run = problem.optimisation(tmp_path / "run")
    list(run.run(problem.loss))
    assert run.lost == 2
    assert problem.bits == whole(bad)[0].bits


def test_an_infinite_gradient_of_a_finite_loss_moves_nothing() -> None:
    parameter = nn.Parameter(torch.zeros(1))
    run = Optimisation([Group([parameter], 0.1)], Schedule(3), None, {})
    assert [figures["loss"] for figures in run.run(lambda step: (parameter.sqrt().sum(), {}))] == [0.0] * 3
    assert parameter.item() == 0.0
    assert run.lost == 3


def test_a_run_is_given_up_after_twenty_lost_steps() -> None:
    problem = Problem(bad=dict.fromkeys(range(100), float("nan")))
    steps = problem.optimisation(None, steps=100).run(problem.loss)
    taken = []
    with pytest.raises(DataError, match="not finite in 21 steps, the last of them 20"):
        taken.extend(steps)
    assert problem.bits == Problem().bits


def test_the_schedule_by_hand() -> None:
    schedule = Schedule(10, warmup=0.2)
    half = [schedule.factor(step) for step in range(11)]
    assert half[:3] == [0.5, 1.0, 1.0]
    assert half[6] == pytest.approx(0.5)  # halfway down a cosine of 8 steps
    assert half[4] == pytest.approx((1 + 2**-0.5) / 2)
    assert half[10] == pytest.approx(0.0)
    assert Schedule(1, warmup=0.0).factor(0) == 1.0
    assert Schedule(4, warmup=1.0).factor(3) == 1.0


def test_each_group_has_its_rate_times_the_schedule() -> None:
    """Adam's first step is the rate itself, whatever the gradient."""
    problem = Problem()
    next(problem.optimisation(None).run(problem.loss))
    first = Schedule(STEPS, 0.25).factor(0)
    assert problem.weights.detach().abs().tolist() == pytest.approx([0.1 * first] * 3, rel=1e-4)
    assert abs(problem.offset.item()) == pytest.approx(0.05 * first, rel=1e-4)


def test_the_gradient_of_all_groups_together_is_clipped() -> None:
    problem = Problem(start=50.0)
    next(problem.optimisation(None, clip=0.5).run(problem.loss))
    norms = [parameter.grad.norm() for parameter in (problem.weights, problem.offset) if parameter.grad is not None]
    assert float(torch.stack(norms).norm()) == pytest.approx(0.5, rel=1e-4)


@pytest.mark.parametrize("rate", [0.0, -1.0, float("nan"), float("inf")])
def test_a_learning_rate_is_finite_and_positive(rate: float) -> None:
    with pytest.raises(ConfigError, match="learning rate"):
        Group([], rate)


# --- one rate throughout --------------------------------------------------------------------------


def constant(problem: Problem, folder: Path | None, **changes: Any) -> Optimisation:
    rates = ConstantRate(changes.pop("steps", STEPS), changes.pop("every", 3))
    groups = [Group([problem.weights, problem.unused], 0.1), Group([problem.offset], 0.05)]
    return Optimisation(groups, rates, folder, {"seed": 0}, **changes)


def test_a_constant_rate_is_torchs_own_adam() -> None:
    problem, reference = Problem(), Problem()
    list(constant(problem, None).run(problem.loss))
    adam = torch.optim.Adam([{"params": [reference.weights], "lr": 0.1}, {"params": [reference.offset], "lr": 0.05}])
    for step in range(STEPS):
        adam.zero_grad()
        reference.loss(step)[0].backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_([reference.weights, reference.offset], 1.0)
        adam.step()
    assert problem.bits == reference.bits
    assert [ConstantRate(5).factor(step) for step in range(5)] == [1.0] * 5


@pytest.mark.parametrize("every", [1, 4])
def test_a_run_at_a_constant_rate_is_resumed(tmp_path: Path, every: int) -> None:
    wanted = Problem()
    list(constant(wanted, None).run(wanted.loss))
    problem = Problem()
    steps = constant(problem, tmp_path / "run", every=every).run(problem.loss)
    for _ in range(7):
        next(steps)
    steps.close()  # type: ignore[attr-defined]
    problem = Problem()
    went_on = list(constant(problem, tmp_path / "run", every=every).run(problem.loss))
    assert problem.bits == wanted.bits
    assert went_on[0]["step"] == 7 // every * every


def test_courses_of_one_length_are_not_one_course(tmp_path: Path) -> None:
    """A checkpoint at a constant rate is none of a schedule, nor of another length; how often it was saved is free."""
    problem = Problem()
    next(iter(constant(problem, tmp_path / "run", every=1).run(problem.loss)))
    with pytest.raises(ArtifactError, match="other settings"):
        killed(tmp_path / "run", 1)
    with pytest.raises(ArtifactError, match="other settings"):
        next(iter(constant(Problem(), tmp_path / "run", steps=STEPS + 1).run(problem.loss)))
    again = Problem()
    assert next(iter(constant(again, tmp_path / "run", every=2).run(again.loss)))["step"] == 1


# --- memory ---------------------------------------------------------------------------------------


class Recollection:
    """Carries a sum from step to step, which the loss reads."""

    def __init__(self) -> None:
        self.seen = np.zeros((2, 2))
        self.count = np.zeros(1, dtype=np.int64)

    def state(self) -> dict[str, np.ndarray]:
        return {"seen": self.seen, "count": self.count}

    def restore(self, state: dict[str, np.ndarray]) -> None:
        self.seen, self.count = state["seen"], state["count"]

    def loss(self, problem: Problem, step: int) -> tuple[torch.Tensor, dict[str, float]]:
        value, figures = problem.loss(step)
        self.seen = 0.9 * self.seen + figures["batch"] * np.array([[1.0, 2.0], [3.0, 1 / 3]])
        self.count = self.count + 1
        return value * float(1 + np.abs(self.seen).sum() % 1), {"seen": float(self.seen.sum())}


@pytest.mark.parametrize("after", [1, 3, 5, STEPS])
def test_what_a_run_remembers_is_resumed_too(tmp_path: Path, after: int) -> None:
    problem, memory = Problem(), Recollection()
    run = constant(problem, None, memory=memory)
    list(run.run(lambda step: memory.loss(problem, step)))
    begun, old = Problem(), Recollection()
    steps = constant(begun, tmp_path / "run", memory=old).run(lambda step: old.loss(begun, step))
    for _ in range(after):
        next(steps)
    steps.close()  # type: ignore[attr-defined]
    resumed, new = Problem(), Recollection()
    again = constant(resumed, tmp_path / "run", memory=new)
    list(again.run(lambda step: new.loss(resumed, step)))
    assert resumed.bits == problem.bits
    assert again.history == run.history
    assert np.array_equal(new.seen, memory.seen)
    assert (new.count.tolist(), new.count.dtype) == ([STEPS], np.int64)
