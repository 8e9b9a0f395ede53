"""Read every question of the tables once with an encoder: the one slow step, apart and resumable."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

import torch
from minilm import MiniLM, fetch_minilm
from tables import TABLES, Table, read_tables

from forethought.activations import ActivationStore, TransformersEncoder, extract
from forethought.bench import DATA_VARIABLE
from forethought.cli.console import progress
from forethought.core import Question
from forethought.errors import ForethoughtError
from forethought.models import load

STORED: Mapping[str, Literal["float16", "float32"]] = {"smollm2-135m-instruct": "float16", "gemma-3-270m": "float32"}
"""Gemma's residual stream outgrows half precision on some questions."""

LAYERS: Mapping[str, tuple[int, ...]] = {
    "smollm2-135m-instruct": (8, 12, 15, 18, 21, 24),
    "gemma-3-270m": (4, 6, 8, 10, 12, 14),
}
"""Six of each encoder's layers, from a quarter to four fifths of its depth."""

DEPTHS: Mapping[str, int] = {"smollm2-135m-instruct": 30, "gemma-3-270m": 18}

MINILM = "all-minilm-l6-v2"

LIMIT = 4000
"""Questions a table: five folds then train on 3,200."""

ROUND = 250
SHARD = 250


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("encoder", choices=(*LAYERS, MINILM))
    data = os.environ.get(DATA_VARIABLE)
    parser.add_argument("--data", type=Path, default=data, required=data is None, help="folder of recorded tables")
    parser.add_argument("--cache", type=Path, default=Path("runs/bench/routing"))
    parser.add_argument("--limit", type=int, default=LIMIT, help="most questions a table")
    given = parser.parse_args()
    torch.set_num_threads(1)
    try:
        tables = read_tables(TABLES, Path(given.data))
        read_questions(given.encoder, in_rounds(tables, given.limit), given.cache / given.encoder)
    except ForethoughtError as error:
        print(f"forethought: {error}", file=sys.stderr)
        return 2
    return 0


def in_rounds(tables: Sequence[Table], limit: int) -> list[Question]:
    """Every drawn question once, some of each table in turn: a run cut short has read a draw of every table."""
    drawn = [[table.questions[row] for row in table.draw()[:limit]] for table in tables]
    found: dict[str, Question] = {}
    for start in range(0, limit, ROUND):
        for questions in drawn:
            found.update((question.id, question) for question in questions[start : start + ROUND])
    return list(found.values())


def read_questions(name: str, questions: Sequence[Question], store: Path) -> ActivationStore:
    """Extract what the store lacks: an encoder's six layers in bfloat16, or MiniLM's embeddings.

    Beside `mean` and `last` the first end-of-instruction token is kept, the one that has seen the question and
    nothing else.
    """
    if name == MINILM:
        sentences = MiniLM(fetch_minilm())
        layers, readouts, stored = (sentences.n_layers,), sentences.readouts, "float32"
    else:
        decoder = TransformersEncoder(load(name, dtype="bfloat16"))
        layers, readouts, stored = LAYERS[name], ("mean", "last", decoder.readouts[-1]), STORED[name]
    with progress(f"extract {name}") as report:
        return extract(
            sentences if name == MINILM else decoder,
            questions,
            store,
            layers=layers,
            readouts=readouts,
            shard_size=SHARD,
            dtype=stored,
            report=report,
        )


if __name__ == "__main__":
    sys.exit(main())
