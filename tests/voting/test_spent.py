from __future__ import annotations

import pytest

from forethought.core import Prices
from forethought.errors import ConfigError
from forethought.targets import Response
from forethought.voting.spent import Spent, spent_on


def test_an_account_by_hand() -> None:
    read = [Response("a", 10, 3, 0.5, "stop"), Response("b", 10, 4, 0.5, "stop", cached_tokens=8)]
    wasted = [Response("", 10, 5, 0.25, "error", estimated=True)]
    failed = [Response("", 0, 0, 1.0, "error")]
    assert spent_on(read, wasted=wasted, failed=failed, rounds=2) == Spent(
        samples=4,
        input_tokens=30,
        cached_tokens=8,
        output_tokens=12,
        rounds=2,
        wasted_samples=1,
        wasted_tokens=5,
        failed=1,
        seconds=2.25,
        estimated=True,
    )


def test_accounts_add_up() -> None:
    one, other = Spent(1, 10, 2, 3, 1, 0, 0, 0, 0.5), Spent(2, 20, 4, 6, 1, 1, 3, 1, 0.5, estimated=True)
    assert one + other == Spent(3, 30, 6, 9, 2, 1, 3, 1, 1.0, True)
    assert sum([one, other], start=Spent()) == one + other


def test_money_with_and_without_prefix_caching() -> None:
    spent = Spent(samples=2, input_tokens=1_000_000, cached_tokens=400_000, output_tokens=250_000)
    assert spent.usd(Prices(1.0, 4.0)) == 2.0
    assert spent.usd(Prices(1.0, 4.0, cached_input=0.25)) == pytest.approx(0.6 + 0.1 + 1.0)
    with pytest.raises(ConfigError, match=">= 0"):
        Prices(1.0, 4.0, cached_input=-1.0)
