"""Which setting of a policy is thrifty and still provably as good as the safe one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from forethought.allocation import Single, Tolerance, Utility, Value
from forethought.metrics import learn_then_test, map_tolerance, signed_loss

if TYPE_CHECKING:
    from forethought.allocation import Policy
    from forethought.metrics import Certificate

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Certified:
    """A setting and the evidence for it.

    Attributes:
        policy: The thriftiest setting that passed; the safe one where none did.
        path: The settings tested, from safe to thrifty, in an order fixed on the training part.
        certificate: The tests; its `index` is None for 'insufficient evidence'.
        safe: Name of the target that the safe setting always takes.
    """

    policy: Policy
    path: tuple[Policy, ...]
    certificate: Certificate
    safe: str

    def summary(self) -> dict[str, Any]:
        """What the manifest records."""
        found = self.certificate
        return {
            "verdict": "insufficient evidence" if found.index is None else "certified",
            "policy": self.policy.name,
            "setting": self.policy.setting,
            "safe": self.safe,
            "tolerance": found.tolerance,
            "delta": found.delta,
            "n": found.n,
            "smallest_tolerance": found.smallest_tolerance,
            "path": [{"policy": policy.name, "setting": policy.setting} for policy in self.path],
            "p_values": [float(p) for p in found.p_values],
        }


def settings_path(
    family: Literal["value", "tolerance", "utility"], success: Array, cost: Array, labels: Array, best_single: int
) -> list[Policy]:
    """Order a family's settings from safe to thrifty on out-of-fold predictions.

    Settings that another one beats in both accuracy and cost are dropped; what is left falls
    in accuracy as it falls in cost.

    Args:
        family: Which rule.
        success: Out-of-fold P(success), shape (n, K).
        cost: Expected USD, shape (n, K).
        labels: Success, NaN where missing, shape (n, K).
        best_single: Column of the safe target; its own setting opens the path.
    """
    points = [(policy, *_achieved(policy, success, cost, labels)) for policy in _family(family, cost)]
    kept: list[Policy] = []
    cheapest = np.inf
    for policy, _, price in sorted(points, key=lambda point: (-point[1], point[2])):
        if price < cheapest:
            kept.append(policy)
            cheapest = price
    return [Single(best_single), *kept]


def certify(
    path: Sequence[Policy],
    success: Array,
    cost: Array,
    labels: Array,
    *,
    names: Sequence[str],
    tolerance: float,
    delta: float,
) -> Certified:
    """Choose the thriftiest setting whose loss against the first is provably tolerable.

    The loss of a question is the safe setting's success minus the chosen one's, in [-1, 1]
    (Learn-then-Test, arXiv 2110.01052, with fixed-sequence testing). Questions where either
    label is missing are left out. The test counts questions as independent: those that share an
    entity are not quite, so with large components `delta` is a little optimistic.

    Args:
        path: Settings from safe to thrifty, fixed on other data; the first is the safe one.
        success: P(success) of questions that nothing was fitted on, shape (n, K).
        cost: Expected USD, shape (n, K).
        labels: Success, shape (n, K).
        names: Target names.
        tolerance: Mean success that may be lost.
        delta: Probability of being wrong.
    """
    chosen = np.stack([_obtained(policy, success, cost, labels) for policy in path], axis=1)
    known = ~np.isnan(chosen).any(axis=1)
    losses = signed_loss(chosen[known, :1], chosen[known, 1:])
    certificate = learn_then_test(losses, tolerance=map_tolerance(tolerance), delta=delta)
    policy = path[0] if certificate.index is None else path[1 + certificate.index]
    safe = int(path[0].choose(success[:1], cost[:1])[0])
    return Certified(policy, tuple(path), certificate, names[safe])


def _family(family: str, cost: Array) -> list[Policy]:
    match family:
        case "value":
            scale = max(float(np.nanmean(cost)), 1e-12)
            return [Value(scale * factor) for factor in np.geomspace(1e-1, 1e4, 41).tolist()]
        case "tolerance":
            return [Tolerance(float(tau)) for tau in np.linspace(0, 1, 41)]
        case _:
            return [Utility.normalised_by(float(lam), cost) for lam in np.linspace(0, 1, 41)]


def _obtained(policy: Policy, success: Array, cost: Array, labels: Array) -> Array:
    choice = policy.choose(success, cost)
    return np.take_along_axis(labels, choice[:, None], axis=1)[:, 0]


def _achieved(policy: Policy, success: Array, cost: Array, labels: Array) -> tuple[float, float]:
    choice = policy.choose(success, cost)[:, None]
    return (
        float(np.nanmean(np.take_along_axis(labels, choice, axis=1))),
        float(np.mean(np.take_along_axis(cost, choice, axis=1))),
    )
