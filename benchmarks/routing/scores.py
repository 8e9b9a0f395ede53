"""From predictions to figures: what each contender achieved on one table under one split, with intervals."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

import numpy as np
from choice import Champion, Choice, routed, single_choice, thrifty_choice
from crossfit import Array, View
from numpy.typing import NDArray
from tally import Tally

from forethought.allocation import Tolerance
from forethought.metrics import (
    Interval,
    agreement_zones,
    debiased_ece,
    mean_auroc,
    p_auccc,
    paired_bootstrap,
    pairwise_win_rate,
    picked,
)

DRAWS = 1000
AUROC_DRAWS = 100

DEVELOPED = 1500
"""Questions a table, the first drawn, on which the form of our head was settled by cross-fitting (docs/log.md)."""

SEED = 0


@dataclass(frozen=True)
class Row:
    """One contender on one table.

    Attributes:
        kind: What it looks at.
        accuracy: Of the likeliest target, and `gap` the share of the way from best single to oracle.
        auroc: Mean over targets; `pairs` the share of right-wrong pairs of targets on a question put in order.
        calibration: Debiased calibration error, mean over targets. None for packages' own routers, whose scores are no
            probabilities, and for tables of success rates.
        disagree: Accuracy where some targets are right and some wrong.
        area: P-AUCCC over the oracle's, each target at its mean cost; None without costs.
        thrifty: Accuracy minus the best single target's at the setting chosen on inner predictions for the least cost
            without a loss (NVIDIA's recipe: at its published tolerance), and `thrifty_cost` its cost over the best
            single target's, the encoders' prefill included; None without costs or inner predictions.
        seconds: CPU seconds of one fit with its predictions.
    """

    kind: str
    accuracy: Interval
    gap: Interval
    auroc: Interval
    pairs: float
    calibration: float | None
    disagree: float
    area: float | None
    thrifty: Interval | None
    thrifty_cost: Interval | None
    seconds: float


@dataclass(frozen=True)
class Standing:
    """Everything of one table under one split.

    Attributes:
        view: The table and its split.
        rows: Contender -> its figures.
        champions: Family -> who was chosen for each fold.
        tally: Hits of every contender, of `single` and `oracle`, summed by cluster.
        late: The same of the questions drawn after those that our head's form was settled on.
        clusters: Number of each question's cluster over all tables, (n,), and how many there are.
        chosen: Predictions of the champions, (n, K), by family.
        prefill_share: Cost of the encoders' prefills over that of the best single target's answers; None without costs.
    """

    view: View
    rows: Mapping[str, Row]
    champions: Mapping[str, tuple[str, ...]]
    tally: Tally
    late: Tally
    clusters: tuple[NDArray[np.int64], int]
    chosen: Mapping[str, Array]
    prefill_share: float | None = None

    @property
    def headroom(self) -> float:
        """Oracle minus best single target."""
        return float(self._column("oracle") - self._column("single"))

    def _column(self, name: str) -> float:
        total: float = self.tally.sums[:, self.tally.names.index(name)].sum() / self.tally.n
        return total


@dataclass(frozen=True)
class Entrant:
    """Predictions to be scored: a contender's own or a champion's spliced ones.

    Attributes:
        kind: What it looks at.
        test: (n, K), and `inner` (folds, n, K) where an operating point is chosen.
        expected: USD of each answer that the operating point is chosen with, (folds, n, K).
        tolerance: Published setting of a tolerance rule, which then is the operating point.
        seconds: Of one fit.
    """

    kind: str
    test: Array
    inner: Array | None = None
    expected: Array | None = None
    tolerance: float | None = None
    seconds: float = float("nan")


def gap(totals: Mapping[str, float], name: str) -> float:
    """(router - best single) / (oracle - best single), NaN without headroom."""
    headroom = totals["oracle"] - totals["single"]
    return (totals[name] - totals["single"]) / headroom if headroom > 0 else float("nan")


def score(
    view: View,
    entrants: Mapping[str, Entrant],
    champions: Mapping[str, Champion],
    clusters: tuple[NDArray[np.int64], int],
    encoder_cost: Mapping[str, Array],
) -> Standing:
    """Score every entrant.

    Args:
        view: Table and split.
        entrants: Name -> predictions.
        champions: Family -> who was chosen; their spliced predictions are entrants too.
        clusters: Number of each question's cluster (n,) and how many clusters there are, over all tables.
        encoder_cost: Kind -> USD of the prefills that an entrant of that kind needs, (n,).
    """
    table = view.table
    hits = {name: routed(table.success, entrant.test) for name, entrant in entrants.items()}
    columns = {
        "single": picked(table.success, single_choice(view)),
        "oracle": table.success.max(axis=1),
        **hits,
    }
    thrifty: dict[str, Choice] = {}
    if table.cost is not None:
        columns["single cost"] = picked(table.cost, single_choice(view))
        for name, entrant in entrants.items():
            if (choice := operating_choice(view, entrant)) is not None:
                thrifty[name] = choice
                columns[f"{name}: thrifty"] = picked(table.success, thrifty[name])
                columns[f"{name}: cost"] = picked(table.cost, thrifty[name]) + encoder_cost[entrant.kind]
    tally = Tally.of(columns, *clusters)
    late = np.array(table.draw()[DEVELOPED:], dtype=np.intp)
    tally_late = Tally.of({name: values[late] for name, values in columns.items()}, clusters[0][late], clusters[1])
    rows = {name: _row(view, name, entrant, tally, name in thrifty) for name, entrant in entrants.items()}
    names = {family: champion.names for family, champion in champions.items()}
    chosen = {family: champion.test for family, champion in champions.items()}
    share = None if table.cost is None else float(encoder_cost["both"].sum() / columns["single cost"].sum())
    return Standing(view, rows, names, tally, tally_late, clusters, chosen, share)


def operating_choice(view: View, entrant: Entrant) -> Choice | None:
    """An entrant's thrifty choices, (n,); None where nothing says what to expect or to choose by."""
    if entrant.expected is None:
        return None
    if entrant.tolerance is not None:
        # Expected costs of a tested row are those of its own fold.
        cost = entrant.expected[view.split.fold, np.arange(len(view.table))]
        return Tolerance(entrant.tolerance).choose(entrant.test, cost)
    if entrant.inner is None:
        return None
    return thrifty_choice(view, entrant.test, entrant.inner, entrant.expected)


def _row(view: View, name: str, entrant: Entrant, tally: Tally, thrifty: bool) -> Row:
    table, P = view.table, entrant.test
    asked: dict[str, Callable[[Mapping[str, float]], float]] = {
        "accuracy": lambda totals: totals[name] / totals["n"],
        "gap": partial(gap, name=name),
    }
    if thrifty:
        asked["thrifty"] = lambda totals: (totals[f"{name}: thrifty"] - totals["single"]) / totals["n"]
        asked["cost"] = lambda totals: totals[f"{name}: cost"] / totals["single cost"]
    found = dict(zip(asked, tally.intervals(list(asked.values()), draws=DRAWS, seed=SEED), strict=True))
    # A package's own router only chooses, or ranks against one target.
    honest = entrant.kind != "published" and set(np.unique(table.success)) <= {0.0, 1.0}
    return Row(
        kind=entrant.kind,
        accuracy=found["accuracy"],
        gap=found["gap"],
        auroc=_auroc(view, P),
        pairs=pairwise_win_rate(table.success, P),
        calibration=_calibration(table.success, P) if honest else None,
        disagree=agreement_zones(table.success, P.argmax(axis=1)).accuracy,
        area=None if table.cost is None else p_auccc(P, table.cost.mean(axis=0), table.success).oracle_share,
        thrifty=found.get("thrifty"),
        thrifty_cost=found.get("cost"),
        seconds=entrant.seconds,
    )


def _auroc(view: View, P: Array) -> Interval:
    found = paired_bootstrap(
        lambda rows: mean_auroc(view.table.success[rows], P[rows]),
        len(P),
        clusters=view.split.clusters,
        draws=AUROC_DRAWS,
        seed=SEED,
    )
    assert isinstance(found, Interval)
    return found


def _calibration(Y: Array, P: Array) -> float:
    clipped = np.clip(P, 0.0, 1.0)
    return float(np.mean([debiased_ece(y, p, draws=50) for y, p in zip(Y.T, clipped.T, strict=True)]))
