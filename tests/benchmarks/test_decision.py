from __future__ import annotations

from collections.abc import Callable
from types import ModuleType

import numpy as np


def test_synthetic_routers_decide_over_64_targets(module: Callable[[str, str], ModuleType]) -> None:
    synthetic = module("decision", "synthetic")
    rng = np.random.default_rng(0)
    blocks = [rng.normal(size=(1, synthetic.WIDTH)).astype(np.float32) for _ in range(synthetic.BLOCKS)]
    for scorer in (synthetic.linear_scorer(rng), synthetic.trunk_scorer(rng)):
        decision = synthetic.router(scorer).decide(blocks, 64.0)
        best = max(decision.predictions, key=lambda p: 0.01 * p.success - p.cost_usd)
        assert len(decision.predictions) == 64
        assert decision.target == best.target
