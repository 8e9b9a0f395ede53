from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

Import = Callable[[str, str], ModuleType]


def point(accuracy: float, depth: float) -> dict[str, float]:
    return {"accuracy": accuracy, "depth": depth, "macs_saved": 1 - depth / 6}


def arm(points: dict[str, dict[str, float]], **more: float) -> dict[str, Any]:
    return {"validation": points, "test": points, **more}


@pytest.fixture
def seed() -> dict[str, Any]:
    """Full depth .99; cuts on a line from (2, .0) to (6, .99); gates at 3 layers that lose nothing."""
    full = {"full": point(0.99, 6.0)}
    cuts = {"static 2": point(0.0, 2.0), "static 4": point(0.495, 4.0)}
    gates = {"gate 0.5": point(0.9, 2.5), "gate 0.9": point(0.99, 4.0)}
    return {
        "base": arm(full),
        "calibrated": arm({**full, **cuts, **gates, "gap 0.9": point(0.99, 5.0)}, oracle=2.0),
        "continued": arm({**full, "gate 0.5": point(0.99, 3.5)}),
        "price 0.1": arm({**full, "gate 0.9": point(0.986, 3.0), "gate 0.5": point(0.98, 2.0)}),
        "price 1": arm({**full, "gate 0.9": point(0.95, 2.0)}),
    }


def test_the_setting_is_the_thriftiest_that_loses_half_a_point_on_validation(module: Import, seed: Any) -> None:
    frontier = module("exits", "frontier")
    assert frontier.setting(seed, "price 0.1") == "gate 0.9"
    assert frontier.setting(seed, "price 1") == "full", "where no threshold keeps the accuracy, nobody leaves"
    assert frontier.best_price(seed) == "price 0.1"


def test_headroom_is_measured_from_the_cuts_at_the_same_accuracy(module: Import, seed: Any) -> None:
    frontier = module("exits", "frontier")
    assert frontier.static(seed, 0.495) == pytest.approx(4.0)
    assert frontier.share(seed, "calibrated") == pytest.approx((6 - 4) / (6 - 2))
    at = 2 + 4 * 0.986 / 0.99  # layers of the mixture of cuts that is right so often
    assert frontier.share(seed, "price 0.1") == pytest.approx((at - 3) / (at - 2))
    assert frontier.share(seed, "calibrated", "gap") == pytest.approx(0.25)


def test_figures_are_means_over_seeds(module: Import, seed: Any) -> None:
    frontier = module("exits", "frontier")
    deeper = {**seed, "price 0.1": arm({"full": point(0.99, 6.0), "gate 0.9": point(0.99, 4.2)})}
    figures = frontier.study_figures([seed, deeper])
    assert figures["rl_over_calibrated"].value == pytest.approx((3 / 3.5 + 4.2 / 3.5) / 2)
    assert figures["rl_over_calibrated"].met is False, "an interval of two seeds that far apart proves nothing"
    assert figures["depth_continued"].value == pytest.approx(3.5)
    assert figures["accuracy_unmodified"].n == 2


def test_a_picture_is_drawn(module: Import, seed: Any, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib").use("Agg")
    module("exits", "frontier").draw([seed, seed], tmp_path / "frontier.png")
    assert (tmp_path / "frontier.png").stat().st_size > 10_000


@pytest.mark.slow
def test_a_small_study_runs_and_is_not_run_again(module: Import, tmp_path: Path) -> None:
    arithmetic = module("exits", "arithmetic")
    size = replace(
        arithmetic.QUICK,
        train=64,
        validation=20,
        test=20,
        calibration=replace(arithmetic.QUICK.calibration, steps=4),
        continued=replace(arithmetic.QUICK.continued, steps=2),
        reinforcement=replace(arithmetic.QUICK.reinforcement, steps=2, prompts=2),
    )
    told: list[str] = []
    found = arithmetic.Study(tmp_path, size, 0, told.append).points()
    assert {"base", "calibrated", "continued", "sequence", "price 0.1"} <= set(found)
    assert 1 <= found["calibrated"]["oracle"] <= 6
    told.clear()
    assert arithmetic.Study(tmp_path, size, 0, told.append).points() == found
    assert told == [], "what is on disk is not computed again"
