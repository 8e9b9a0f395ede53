"""Who takes part."""

from __future__ import annotations

from collections.abc import Sequence

from contest import Entry
from features import Features
from ours import ACTIVATIONS, CostHead, Ours
from peers.avengers import Clusters
from peers.carrot import NeighbourCost
from peers.group_best import GroupBest
from peers.irt import ItemResponse
from peers.knn import Neighbours
from peers.matrix_factorisation import MatrixFactorisation
from peers.mlp import Mlp
from peers.nvidia import Nvidia
from peers.published import Published, available
from peers.tfidf import Tfidf
from tables import Table

OURS, TEXT, ANY_TEXT = "ours, chosen", "best text peer, chosen", "best text, our head too, chosen"
"""The champions: of our heads that read activations, of the field's text routers, and of all that reads text alone."""

MIDDLE = 3
"""Of the six stored layers, where nearest neighbours look."""


def text_peers() -> list[Entry]:
    """The field's text routers; the best is chosen on inner predictions."""
    peers = (Tfidf(1.0), Tfidf(3.0), Neighbours(), Clusters(), MatrixFactorisation(), ItemResponse(), Mlp())
    return [Entry(contender, inner=True) for contender in peers]


def text_heads(repeated: bool) -> list[Entry]:
    """Our own head on text alone: what of our lead is the head's, and what the activations'.

    Args:
        repeated: Also learning from repeated samples, as `our_candidates` may.
    """
    heads = [Ours("average", ("text",))] + [Ours("average", ("text",), repeated=True)] * repeated
    return [Entry(contender, inner=True) for contender in heads]


def encoders_of(features: Features) -> tuple[str, ...]:
    """Short names of the encoders that were read."""
    return tuple(name for name, reads in ACTIVATIONS.items() if reads[0][0] in features.encoders)


def main_candidate(encoders: Sequence[str]) -> Ours:
    """Our head on activations alone."""
    return Ours("average", tuple(encoders))


def our_candidates(encoders: Sequence[str], repeated: bool) -> list[Entry]:
    """Our head on all activations, without and with text; where a source has repeated samples, with them too."""
    reads = [tuple(encoders), (*encoders, "text")]
    found = [Ours("average", read) for read in reads]
    found += [Ours("average", read, repeated=True) for read in reads] if repeated else []
    return [Entry(contender, inner=True) for contender in found]


def beside(features: Features) -> list[Entry]:
    """What is reported beside and chosen by nothing: ablations, NVIDIA's recipe, neighbours on activations, labels."""
    encoders = encoders_of(features)
    alone = [Ours("average", (name,)) for name in encoders] if len(encoders) > 1 else []
    heads = [Ours("stack", encoders), Ours("trunk", encoders)]
    neighbours = [Neighbours(name, features.layers(name)[MIDDLE], "mean") for name in features.encoders]
    own = [Published("llmrouter", "knn"), Published("routellm", "mf")] if available() else []
    contenders = (GroupBest(), *alone, *heads, *neighbours, Nvidia(features.encoders[0]), *own)
    return [Entry(contender, inner=False) for contender in contenders]


def rivals(features: Features) -> dict[str, str]:
    """Somebody else's method on an encoder's activations -> our head on the same ones."""
    found = {Nvidia(features.encoders[0]).name: main_candidate(encoders_of(features)[:1]).name}
    for name in encoders_of(features):
        encoder = ACTIVATIONS[name][0][0]
        found[Neighbours(encoder, features.layers(encoder)[MIDDLE], "mean").name] = main_candidate([name]).name
    return found


def cost_models(table: Table) -> list[Entry]:
    """Who predicts what an answer will cost."""
    return [] if table.cost is None else [Entry(CostHead(), inner=True), Entry(NeighbourCost(), inner=True)]
