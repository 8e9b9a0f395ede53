"""A whole gateway whose router is planted: `primary` first, then `fallback`. As a script it serves CONFIG on PORT."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from forethought.allocation import Value
from forethought.core import FeatureSpec, Prices, Question, Target
from forethought.probes import LinearScorer, TokenScorer
from forethought.probes.linear_scorer import Part
from forethought.router import FeatureBlocks, Heads, InputLength, PriceList, Router

PRIMARY, FALLBACK = "primary", "fallback"
NAMES = (PRIMARY, FALLBACK)
LOGITS = (2.0, 1.0)
PRICES = Prices(0.1, 0.4)
WIDTH = 4


class SteadyEncoder:
    """Reads the same of every question: what is measured is what happens after the decision."""

    name = "steady"
    n_layers = 1
    width = WIDTH
    window = 512
    system = None
    readouts = ("last",)

    def spec(self, layers: tuple[int, ...], readout: str) -> FeatureSpec:
        return FeatureSpec(self.name, "w", "t", tuple(layers), readout)

    def encode(self, questions: Sequence[Question], *, layers: Sequence[int], readouts: Sequence[str]) -> np.ndarray:
        return np.zeros((len(questions), len(layers), len(readouts), WIDTH), dtype=np.float32)

    def lengths(self, questions: Sequence[Question]) -> np.ndarray:
        return np.array([len(question.text.split()) for question in questions])


def save_router(path: Path) -> None:
    """The planted router's artifact."""
    encoder, k = SteadyEncoder(), len(NAMES)
    flat = np.zeros((WIDTH, k))
    heads = Heads(
        targets=tuple(Target(name, name) for name in NAMES),
        features=FeatureBlocks((encoder.spec((1,), "last"),)),
        scorer=LinearScorer([Part(np.zeros(WIDTH), flat)], np.array(LOGITS)),
        tokens=TokenScorer(flat.astype(np.float32), np.full(k, 4.0), np.ones(k), np.ones(k), np.full(k, 4096.0)),
        lengths=InputLength(np.ones(k), np.zeros(k)),
    )
    prices = PriceList.of(NAMES, dict.fromkeys(NAMES, PRICES))
    Router(heads, Value(1.0), prices, encoder=encoder).save(path)


def serve(config: Path, port: int) -> None:
    """`forethought serve`, with the encoder that needs no model."""
    import asyncio
    import signal

    import uvloop

    from forethought.gateway import Services
    from forethought.gateway.config import read_config
    from forethought.gateway.serve import bind
    from forethought.gateway.serve import serve as serve_until

    async def main() -> None:
        until = asyncio.Event()
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, until.set)
        services = Services(read_config(config), encoder=SteadyEncoder())
        await serve_until(services, bind("127.0.0.1", port), until)

    uvloop.run(main())


if __name__ == "__main__":
    serve(Path(sys.argv[1]), int(sys.argv[2]))
