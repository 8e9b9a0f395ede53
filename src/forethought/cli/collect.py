"""`forethought collect`: let targets answer questions and record what happened."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from forethought.cli.console import print_json, print_table, progress

if TYPE_CHECKING:
    from forethought.core import Question
    from forethought.outcomes import Outcomes
    from forethought.targets.pool import Pool

SAMPLED = ":sample"
"""Suffix of the target whose single samples a voting target counts."""


def collect(
    out: Path,
    *,
    pool: Path | None = None,
    questions: Path | None = None,
    examples: Path | None = None,
    targets: Annotated[Sequence[str], Parameter(consume_multiple=True, negative=())] = (),
    samples: int = 1,
    limit: int | None = None,
    seed: int = 0,
    shard: str = "0/1",
    confidence: Annotated[bool, Parameter(negative=())] = False,
    json: Annotated[bool, Parameter(negative=())] = False,
) -> None:
    """Let targets answer questions in batches, grade the answers, record tokens and seconds.

    A voting target is recorded twice: the single samples under NAME:sample and the vote over them
    under NAME, so that other rules can be replayed on the same samples. A killed run resumes.

    Example: `forethought collect runs/mine --targets smollm2-chat smollm2-5shot --limit 100`

    Args:
        out: Folder for the shards and the merged `outcomes.parquet`.
        pool: Pool file (TOML) of targets and prices; by default the embedded models' pool.
        questions: Questions as JSON lines; by default the committed ones.
        examples: Solved questions for few-shot prompts, of the same format.
        targets: Names in the pool; by default all of it.
        samples: Samples a question of each target that is not greedy.
        limit: Only so many questions, drawn by the seed and spread over groups.
        seed: Seed of sampling and of `limit`.
        shard: i/n collects every n-th slice only, for job arrays.
        confidence: Ask the first target how likely it is to be right, and grade nothing.
        json: Print one JSON object.
    """
    from forethought.data import default_examples, default_pool, default_questions
    from forethought.outcomes import by_group, concat
    from forethought.questions import read_questions, spread
    from forethought.targets.pool import read_pool

    chosen = read_pool(pool or default_pool())
    asked = spread(read_questions(questions or default_questions()), limit, seed)
    solved = by_group(read_questions(examples or default_examples()))
    names = tuple(targets) or tuple(target.name for target in chosen.targets)
    if confidence:
        _collect_confidence(out, chosen, names[0], asked, seed)
        return
    tables = [_collect_target(out, chosen, name, asked, solved, samples, seed, parse_shard(shard)) for name in names]
    merged = concat(tables)
    merged.write(out / "outcomes.parquet")
    summary = _summary(merged)
    if json:
        print_json({"path": str(out / "outcomes.parquet"), "targets": summary})
    else:
        _print_summary(out, summary)


def _collect_target(
    out: Path,
    pool: Pool,
    name: str,
    questions: Sequence[Question],
    examples: dict[str, list[Question]],
    samples: int,
    seed: int,
    shard: tuple[int, int],
) -> Outcomes:
    """Collect one target; a voting one by its single samples."""
    from forethought.cli.responders import Responders
    from forethought.outcomes import concat, vote_outcomes
    from forethought.outcomes.collect import CollectOptions
    from forethought.outcomes.collect import collect as collect_outcomes

    target = pool.entry(name).target
    votes = target.policy.votes
    responder = Responders(pool, examples, seed=seed).single(name, named=name + SAMPLED if votes > 1 else name)
    drawn = 1 if target.policy.temperature == 0 else max(samples, votes)
    options = CollectOptions(samples=drawn, shard=shard)
    with progress(f"collect {name}") as report:
        recorded = collect_outcomes([responder], questions, out, options, report)
    return concat([recorded, vote_outcomes(recorded, responder.target.name, name, votes)]) if votes > 1 else recorded


def _collect_confidence(out: Path, pool: Pool, name: str, questions: Sequence[Question], seed: int) -> None:
    from forethought.cli.responders import Responders
    from forethought.evaluation import ask_confidence

    with progress(f"ask {name}") as report:
        stated = ask_confidence(Responders(pool, {}, seed=seed).single(name), questions, report)
    stated.write(out / "confidence.parquet")
    print(f"{len(stated)} statements of {name} in {out / 'confidence.parquet'}")


def parse_shard(text: str) -> tuple[int, int]:
    """Read i/n.

    Raises:
        ConfigError: Not two numbers around a slash.
    """
    from forethought.errors import ConfigError

    index, slash, count = text.partition("/")
    if not (slash and index.isdigit() and count.isdigit()):
        raise ConfigError(f"shard must look like i/n with 0 <= i < n, got {text!r}")
    return int(index), int(count)


def _summary(outcomes: Outcomes) -> list[dict[str, Any]]:
    import polars as pl

    table = outcomes.frame.group_by("target", maintain_order=True).agg(
        n=pl.len(),
        success=pl.col("success").mean(),
        unparsable=pl.col("unparsable").mean(),
        input_tokens=pl.col("input_tokens").mean(),
        output_tokens=pl.col("output_tokens").mean(),
        seconds=pl.col("seconds").mean(),
    )
    return table.to_dicts()


def _print_summary(out: Path, summary: Sequence[dict[str, Any]]) -> None:
    shares, lengths = ("success", "unparsable"), ("output_tokens", "seconds")
    rows = [
        [s["target"], f"{s['n']}", *(f"{s[key]:.3f}" for key in shares), *(f"{s[key]:.2f}" for key in lengths)]
        for s in summary
    ]
    print_table(f"Outcomes in {out}", ("target", "rows", "success", "unparsable", "tokens out", "seconds"), rows)
