"""From a table's fits to its standing: champions chosen, expected costs put beside, everybody scored."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from choice import Champion, champion, mean_cost, predicted_cost
from contest import Fitted
from crossfit import Array, View
from field import ANY_TEXT, OURS, TEXT, encoders_of, our_candidates, text_heads, text_peers
from numpy.typing import NDArray
from ours import CostHead
from peers.carrot import CARROT, NeighbourCost
from peers.knn import Neighbours
from peers.nvidia import RECIPE, TOLERANCE
from scores import Entrant, Standing, score

ENCODER_PRICE = 0.10
"""USD per million prompt tokens: what the committed pool charges for an encoder of this size."""

WITH_COST_HEAD = f"{OURS}, with the cost head"


def stand(view: View, fitted: Mapping[str, Fitted], clusters: NDArray[np.int64], count: int) -> Standing:
    """Choose the champions and score everybody on one table."""
    ours = [entry.contender.name for entry in our_candidates(encoders_of(view.features), repeated=True)]
    text = [entry.contender.name for entry in text_peers()]
    heads = [entry.contender.name for entry in text_heads(repeated=True)]
    champions = {
        family: champion(view, fitted, [name for name in names if name in fitted])
        for family, names in ((OURS, ours), (TEXT, text), (ANY_TEXT, [*text, *heads]))
    }
    entrants = {
        **{name: _spliced(view, found, "both" if name == OURS else "text") for name, found in champions.items()},
        **{name: _entrant(view, name, found) for name, found in fitted.items() if found.kind != "cost"},
    }
    if view.table.cost is not None:
        best, near = champions[OURS], fitted[Neighbours().name].predictions
        head, neighbours = (predicted_cost(view, fitted[name]) for name in (CostHead.name, NeighbourCost.name))
        entrants[WITH_COST_HEAD] = Entrant("both", best.test, best.inner, head)
        entrants[CARROT] = Entrant("text", near.test, near.inner, neighbours)
    return score(view, entrants, champions, (clusters, count), encoder_cost(view))


def encoder_cost(view: View) -> dict[str, Array]:
    """USD of the prefills that a router of each kind pays for, (n,); a sentence embedding is counted as free."""
    none = np.zeros(len(view.table))
    tokens = sum(view.features.prompt_tokens(view.table, name) for name in view.features.encoders)
    read = np.asarray(tokens) * ENCODER_PRICE / 1e6
    return {"text": none, "published": none, "label": none, "activations": read, "both": read}


def cluster_numbers(views: Sequence[View]) -> tuple[dict[str, NDArray[np.int64]], int]:
    """One numbering over all tables: a text, or a group of one source, is one cluster wherever it stands."""
    numbers: dict[tuple[str, int], int] = {}
    found = {}
    for view in views:
        source = "" if view.split.kind == "in_domain" else view.table.source
        keys = [(source, cluster) for cluster in view.split.clusters.tolist()]
        found[view.table.name] = np.array([numbers.setdefault(key, len(numbers)) for key in keys], dtype=np.int64)
    return found, len(numbers)


def _spliced(view: View, found: Champion, kind: str) -> Entrant:
    return Entrant(kind, found.test, found.inner, _mean_cost(view))


def _entrant(view: View, name: str, found: Fitted) -> Entrant:
    inner = found.predictions.inner
    return Entrant(
        found.kind,
        found.predictions.test,
        None if np.isnan(inner).all() else inner,
        _mean_cost(view),
        TOLERANCE if name.startswith(RECIPE) else None,
        found.seconds,
    )


def _mean_cost(view: View) -> Array | None:
    return None if view.table.cost is None else mean_cost(view)
