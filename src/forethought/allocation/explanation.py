"""A decision in one sentence."""

from __future__ import annotations

from collections.abc import Sequence

from forethought.allocation.base import Policy
from forethought.core import Prediction


def explain(policy: Policy, chosen: str | None, predictions: Sequence[Prediction]) -> str:
    """Say what was chosen and why.

    Args:
        policy: The rule that decided.
        chosen: Name of the chosen target, None for an abstention.
        predictions: What was expected of each target.
    """
    if chosen is None:
        best = max(predictions, key=_success)
        floor = policy.setting.get("floor")
        wanted = "" if floor is None else f", under the floor of {floor:g}"
        return f"abstained: the best P(success) is {best.success:.2f}{wanted}"
    _, success, _, usd = predictions[[prediction[0] for prediction in predictions].index(chosen)]
    cost = "" if usd is None else f" at {usd:.2g} USD"
    return f"{chosen}, P(success) {success:.2f}{cost}: {policy.because}"


def _success(prediction: Prediction) -> float:
    return prediction.success
