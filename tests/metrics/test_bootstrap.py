import numpy as np
import pytest

from forethought.errors import ConfigError, DataError
from forethought.metrics import Interval, paired_bootstrap


def test_mean_interval_matches_normal_theory():
    x = np.random.default_rng(1).normal(2.0, 3.0, 4000)
    interval = paired_bootstrap(lambda rows: x[rows].mean(), len(x))
    assert interval.value == pytest.approx(x.mean())
    half = 1.96 * x.std() / np.sqrt(len(x))
    assert interval.low == pytest.approx(x.mean() - half, abs=0.1 * half)
    assert interval.high == pytest.approx(x.mean() + half, abs=0.1 * half)
    assert interval.n == 4000


def test_clusters_are_drawn_whole():
    clusters = np.array(["b", "a", "b", "c", "a", "b"])
    sizes = {"a": 2, "b": 3, "c": 1}

    def statistic(rows):
        for name, size in sizes.items():
            counts = np.bincount(rows[clusters[rows] == name], minlength=6)[clusters == name]
            assert len(set(counts.tolist())) == 1
            assert counts.sum() % size == 0
        return float(len(rows))

    interval = paired_bootstrap(statistic, 6, clusters=clusters, draws=200)
    assert interval.low < 6 < interval.high


def test_clusters_of_one_are_questions_and_repeats_widen():
    x = np.random.default_rng(0).normal(size=300)
    single = paired_bootstrap(lambda rows: x[rows].mean(), 300, clusters=np.arange(300))
    assert (single.low, single.high) == pytest.approx((-0.11, 0.11), abs=0.09)
    repeated, groups = np.repeat(x, 4), np.repeat(np.arange(300), 4)
    naive = paired_bootstrap(lambda rows: repeated[rows].mean(), 1200)
    clustered = paired_bootstrap(lambda rows: repeated[rows].mean(), 1200, clusters=groups)
    assert (clustered.high - clustered.low) / (naive.high - naive.low) == pytest.approx(2.0, rel=0.15)


def test_an_array_gives_paired_intervals():
    x = np.random.default_rng(0).normal(size=200)
    a, b = paired_bootstrap(lambda rows: np.array([x[rows].mean(), x[rows].mean() + 1]), 200)
    assert (b.low - a.low, b.high - a.high) == pytest.approx((1.0, 1.0))


@pytest.mark.parametrize(("share", "undefined"), [(0.02, False), (0.2, True)])
def test_nan_draws(share, undefined):
    rng = np.random.default_rng(0)
    interval = paired_bootstrap(lambda rows: float("nan") if rng.random() < share else 1.0, 10, draws=500)
    assert np.isnan(interval.low) == undefined
    assert np.isnan(interval.high) == undefined


def test_same_seed_same_interval():
    x = np.random.default_rng(0).normal(size=50)
    first, second = (paired_bootstrap(lambda rows: x[rows].mean(), 50, seed=3) for _ in range(2))
    assert first == second


@pytest.mark.parametrize(
    ("interval", "text"),
    [
        (Interval(0.752, 0.731, 0.771, 870), ".752 [.731, .771] (n=870)"),
        (Interval(-0.012, -0.05, 1.0, 5), "-.012 [-.050, 1.000] (n=5)"),
        (Interval(0.00012, 0.0, 2.5, 5), "0.00012 [.000, 2.500] (n=5)"),
    ],
)
def test_text(interval, text):
    assert str(interval) == text


def test_bad_input():
    with pytest.raises(ConfigError, match="draws=0"):
        paired_bootstrap(lambda rows: 0.0, 5, draws=0)
    with pytest.raises(DataError, match="n=0"):
        paired_bootstrap(lambda rows: 0.0, 0)
    with pytest.raises(DataError, match="2 cluster labels"):
        paired_bootstrap(lambda rows: 0.0, 5, clusters=np.arange(2))
