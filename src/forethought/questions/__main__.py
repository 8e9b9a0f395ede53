"""Regenerate the committed question files: `python -m forethought.questions --seed 0 --out src/forethought/data`."""

from __future__ import annotations

import argparse
from pathlib import Path

from forethought.questions.files import write_questions
from forethought.questions.generation import examples, families, generate
from forethought.questions.kept import KEPT

PER_FAMILY = 120


def main() -> None:
    """Write `questions.jsonl` and `examples.jsonl` of the kept families."""
    parser = argparse.ArgumentParser(prog="python -m forethought.questions", description=__doc__)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("src/forethought/data"))
    parser.add_argument("--per-family", type=int, default=PER_FAMILY)
    options = parser.parse_args()
    every = families()
    chosen = [every[name] for name in KEPT]
    write_questions(options.out / "questions.jsonl", generate(chosen, per_family=options.per_family, seed=options.seed))
    write_questions(options.out / "examples.jsonl", examples(chosen, seed=options.seed))


if __name__ == "__main__":
    main()
