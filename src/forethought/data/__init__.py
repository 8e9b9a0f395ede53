"""Committed data of the main job: questions, examples, the pool and recorded outcomes; and a small decoder."""

from __future__ import annotations

from pathlib import Path

_HERE = Path(__file__).parent


def default_questions() -> Path:
    """Questions of the main job, as JSON lines."""
    return _HERE / "questions.jsonl"


def default_examples() -> Path:
    """Solved questions for few-shot prompts."""
    return _HERE / "examples.jsonl"


def default_pool() -> Path:
    """The pool of embedded targets with illustrative prices."""
    return _HERE / "pool.toml"


def recorded_outcomes() -> Path:
    """What every target of the pool did on the questions, samples of voting targets included."""
    return _HERE / "outcomes.parquet"


def recorded_samples() -> Path:
    """40 samples of one target to every question, for stopping rules."""
    return _HERE / "samples.parquet"


def recorded_confidence() -> Path:
    """What the default model answers when asked how likely it is to be right."""
    return _HERE / "confidence.parquet"


def small_decoder() -> Path:
    """The decoder that `models.train_small_decoder` trained on arithmetic, as a model folder."""
    return _HERE / "arithmetic-small"


def exits() -> Path:
    """Exits of the default model, calibrated and reinforced: an artifact of `forethought exits`."""
    return _HERE / "exits" / "smollm2-135m-instruct"
