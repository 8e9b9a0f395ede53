from __future__ import annotations

from collections.abc import Callable
from types import ModuleType

import numpy as np
import pytest


def test_both_solvers_agree_on_a_batch(module: Callable[[str, str], ModuleType]) -> None:
    figures = module("allocation", "run").batch_figures(quick=True)
    assert figures["greedy_milp_difference"].met
    assert figures["milp_over_greedy"].value > 1


@pytest.mark.parametrize("harder", [True, False])
def test_a_stream_shifts_and_stays_near_its_budget(module: Callable[[str, str], ModuleType], harder: bool) -> None:
    stream, pacing = module("allocation", "stream"), module("allocation", "pacing")
    drawn = stream.draw_stream(0, harder=harder, size=20_000)
    before, after = np.split(drawn.requests.gain[:, 0], 2)
    assert (before.mean() > after.mean() + 0.1) == harder
    assert drawn.requests.paid.mean() == pytest.approx(drawn.requests.cost.mean(), rel=0.02)
    run = pacing.followed(0, harder=harder, window=300, size=20_000)
    assert abs(run.error) < 0.02
    assert run.gain > 0.95
    assert -0.01 < run.fixed_error <= 0
