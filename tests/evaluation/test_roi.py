from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from forethought.core import Prices
from forethought.errors import ConfigError, DataError
from forethought.evaluation.roi import PriceChange, project_savings


def hand_made() -> dict[str, Any]:
    """Two targets: small costs 1 and big 10 USD a thousand; the point takes each on half of the questions."""

    def found(value: float, low: float, high: float) -> dict[str, Any]:
        return {"value": value, "low": low, "high": high, "n": 200}

    pair = [found(-0.01, -0.03, 0.01), found(-0.44, -0.50, -0.38)]
    return {
        "about": {
            "best_single": "big",
            "encoder_tokens": 50.0,
            "tokens": {"small": {"input": 100.0, "output": 10.0}, "big": {"input": 100.0, "output": 40.0}},
        },
        "frontier": {
            "targets": {"small": {"accuracy": 0.5, "cost": 0.001}, "big": {"accuracy": 0.7, "cost": 0.01}},
            "encoder_cost": 0.0001,
        },
        "operating": [
            {
                "name": "certified",
                "cost": found(0.0056, 0.005, 0.0062),
                "against_best_single": pair,
                "against_dearest": pair,
                "taken": {
                    "small": {"share": 0.5, "input_tokens": 90.0, "output_tokens": 8.0},
                    "big": {"share": 0.5, "input_tokens": 110.0, "output_tokens": 50.0},
                },
            }
        ],
    }


def test_a_month_by_hand() -> None:
    found = project_savings(hand_made(), queries_per_month=1000)
    assert found.baseline == "big"
    assert found.baseline_usd == pytest.approx(10.0)
    assert found.routed_usd == pytest.approx(5.6)
    assert found.encoder_usd == pytest.approx(0.1)
    assert found.saved_usd[:3] == pytest.approx((4.4, 3.8, 5.0))
    assert found.saved_share[:3] == pytest.approx((0.44, 0.38, 0.50))
    assert found.accuracy_change == (-0.01, -0.03, 0.01, 200)


def test_new_prices_by_hand() -> None:
    prices = PriceChange({"small": Prices(1.0, 1.0), "big": Prices(2.0, 4.0)}, encoder=1.0)
    found = project_savings(hand_made(), queries_per_month=1_000_000, prices=prices)
    before = 2 * 100 + 4 * 40
    after = 0.5 * (90 + 8) + 0.5 * (2 * 110 + 4 * 50) + 50
    assert found.baseline_usd == pytest.approx(before)
    assert found.routed_usd == pytest.approx(after)
    assert found.encoder_usd == pytest.approx(50)
    ratio = after / before
    assert found.saved_share.low == pytest.approx(1 - ratio * 0.62 / 0.56)
    assert found.saved_share.high == pytest.approx(1 - ratio * 0.50 / 0.56)
    assert found.repriced


@given(queries=st.integers(1, 10**9), factor=st.integers(2, 1000))
def test_volume_scales_money_and_leaves_shares(queries: int, factor: int) -> None:
    one = project_savings(hand_made(), queries_per_month=queries)
    many = project_savings(hand_made(), queries_per_month=queries * factor)
    assert many.saved_usd[:3] == pytest.approx(tuple(factor * x for x in one.saved_usd[:3]))
    assert many.saved_share == one.saved_share
    assert many.accuracy_change == one.accuracy_change


@given(scale=st.floats(1e-3, 1e3))
def test_scaling_all_prices_leaves_the_share_saved(scale: float) -> None:
    def share(by: float) -> tuple[float, ...]:
        prices = PriceChange({"small": Prices(by, by), "big": Prices(2 * by, 4 * by)}, encoder=by)
        return project_savings(hand_made(), queries_per_month=10, prices=prices).saved_share[:3]

    assert share(scale) == pytest.approx(share(1.0))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=5)
@given(baseline=st.sampled_from(["best single", "dearest"]))
def test_parts_of_a_real_evaluation_agree(evaluation: dict[str, Any], baseline: str) -> None:
    for row in evaluation["operating"]:
        found = project_savings(evaluation, queries_per_month=1000, baseline=baseline, point=row["name"])
        assert found.saved_usd.value == pytest.approx(found.baseline_usd - found.routed_usd)
        ratio = row["against_best_single" if baseline == "best single" else "against_dearest"][1]
        assert found.saved_share.value == pytest.approx(-ratio["value"])
        assert found.saved_share.low <= found.saved_share.value <= found.saved_share.high


def test_own_prices_given_again_give_the_own_costs(evaluation: dict[str, Any]) -> None:
    prices = {
        name: Prices(0.16, 0.16) if name.startswith("gemma") else Prices(0.1, 0.1)
        for name in evaluation["frontier"]["targets"]
    }
    same = project_savings(evaluation, queries_per_month=10**6, prices=PriceChange(prices, encoder=0.1))
    found = project_savings(evaluation, queries_per_month=10**6)
    assert same.routed_usd == pytest.approx(found.routed_usd)
    assert same.saved_usd[:3] == pytest.approx(found.saved_usd[:3])


def test_what_cannot_be_projected_is_refused() -> None:
    with pytest.raises(ConfigError, match="must be >= 1, got 0"):
        project_savings(hand_made(), queries_per_month=0)
    with pytest.raises(ConfigError, match="no operating point 'fast'"):
        project_savings(hand_made(), queries_per_month=1, point="fast")
    with pytest.raises(ConfigError, match="got baseline 'small'"):
        project_savings(hand_made(), queries_per_month=1, baseline="small")
    with pytest.raises(ConfigError, match="no price for 'big'"):
        project_savings(hand_made(), queries_per_month=1, prices=PriceChange({"small": Prices(1, 1)}))
    free = PriceChange({"small": Prices(0, 0), "big": Prices(0, 0)})
    with pytest.raises(DataError, match="nothing can be saved"):
        project_savings(hand_made(), queries_per_month=1, prices=free)
    unsure = hand_made()
    unsure["operating"][0]["against_best_single"][1]["low"] = None
    with pytest.raises(DataError, match="could not give an interval"):
        project_savings(unsure, queries_per_month=1)


def test_savings_as_plain_data() -> None:
    found = project_savings(hand_made(), queries_per_month=1).json()
    assert found["saved_share"] == pytest.approx({"value": 0.44, "low": 0.38, "high": 0.5, "n": 200})
