"""A router over 64 made-up targets, of the real classes: what a decision costs does not depend on what was learned."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from forethought.activations import TransformersEncoder
from forethought.allocation import Value
from forethought.core import Prices, Target
from forethought.probes import LinearScorer, Scorer, TokenScorer, TrunkScorer
from forethought.probes.linear_scorer import Part
from forethought.probes.projection import Projection
from forethought.probes.trunk_scorer import stack_networks
from forethought.router import FeatureBlocks, Heads, InputLength, PriceList, Router

TARGETS = 64
WIDTH = 576
BLOCKS = 2
COMPONENTS = 100
SEEDS = 5


def linear_scorer(rng: np.random.Generator) -> LinearScorer:
    """What a stacked head serves: one matrix a block."""
    parts = [Part(rng.normal(size=WIDTH), rng.normal(size=(WIDTH, TARGETS)) / WIDTH) for _ in range(BLOCKS)]
    return LinearScorer(parts, rng.normal(size=TARGETS))


def trunk_scorer(rng: np.random.Generator) -> TrunkScorer:
    """An ensemble of 256-128 trunks behind one shared transform, calibrated."""
    sizes = (COMPONENTS, 256, 128, TARGETS)
    shapes = [shape for a, b in pairwise(sizes) for shape in ((a, b), (b,))]
    networks = [[rng.normal(size=shape) / shape[0] for shape in shapes] for _ in range(SEEDS)]
    width = BLOCKS * WIDTH
    components = (rng.normal(size=(width, COMPONENTS)) / width).astype(np.float32)
    projection = Projection(0, width, rng.normal(size=width), components)
    scale, offset = rng.uniform(0.5, 1.5, TARGETS), rng.normal(size=TARGETS)
    return TrunkScorer(width, (projection,), stack_networks(networks), np.full(TARGETS, np.nan), scale, offset)


def router(scorer: Scorer, encoder: TransformersEncoder | None = None, layer: int = 23) -> Router:
    """A router around a scorer; with an encoder its features are that encoder's at one layer."""
    rng = np.random.default_rng(0)
    names = [f"target-{k:02}" for k in range(TARGETS)]
    tokens = TokenScorer(
        (rng.normal(size=(WIDTH, TARGETS)) / WIDTH).astype(np.float32),
        rng.normal(5, 1, TARGETS),
        np.full(TARGETS, 1.1),
        np.full(TARGETS, 1.0),
        np.full(TARGETS, 4096.0),
    )
    specs = () if encoder is None else tuple(encoder.spec((layer,), readout) for readout in ("mean", "last"))
    heads = Heads(
        targets=tuple(Target(name, name) for name in names),
        features=FeatureBlocks(specs),
        scorer=scorer,
        tokens=tokens,
        lengths=InputLength(np.ones(TARGETS), rng.uniform(0, 300, TARGETS)),
    )
    prices = {name: Prices(*sorted(rng.uniform(0.05, 15, 2))) for name in names}
    return Router(heads, Value(0.01), PriceList.of(names, prices), encoder=encoder, artifact="synthetic")
