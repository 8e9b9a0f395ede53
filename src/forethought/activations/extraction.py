"""Extraction: prefill every question once, shard by shard, so that a killed run resumes where it stood.

A shard is a slice of the questions. Its name is the hash of the layout and of the slice's ids and
messages, its file appears whole by renaming, and its vectors depend on the slice alone: whatever was
killed, the resumed store is bit-identical to an uninterrupted one.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Literal

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import save_file

from forethought.activations.base import Encoder, Float32Array
from forethought.activations.manifest import INDEX, Layout, ShardLine, question_hash, shard_lines, shard_path
from forethought.activations.store import ActivationStore, tensor_hash, tensor_name
from forethought.artifacts import atomic_write
from forethought.core import Question, content_hash
from forethought.errors import ArtifactError, ConfigError, DataError, FeatureError

Report = Callable[[int, int], object]
"""Called with questions done and questions in all."""


def extract(
    encoder: Encoder,
    questions: Sequence[Question],
    store: Path,
    *,
    layers: Sequence[int] | None = None,
    readouts: Sequence[str] | None = None,
    shard_size: int = 256,
    dtype: Literal["float32", "float16"] = "float32",
    shard: tuple[int, int] = (0, 1),
    report: Report | None = None,
) -> ActivationStore:
    """Store the activations of every question; finished shards are kept, the rest is computed.

    Memory holds one shard at a time, however many questions there are.

    Args:
        encoder: What reads them.
        questions: With unique ids.
        store: Directory, made if missing.
        layers: By default every layer, embeddings included.
        readouts: By default every readout of the encoder.
        shard_size: Questions a shard.
        dtype: Precision on disk; float16 halves it and refuses values beyond its range.
        shard: `(i, n)` computes every n-th shard from the i-th on, 0 <= i < n: one machine's part.
        report: Progress callback.

    Raises:
        DataError: Empty or duplicate questions.
        ConfigError: A setting out of range.
        FeatureError: The store is of another layout, or holds one of the ids with another text; a layer
            or readout that the encoder lacks; a vector not finite, or not in float16's range.
        ArtifactError: The disk is full or not writable. Finished shards stay.
    """
    _check(questions, shard)
    store = Path(store)
    layout = Layout.of(
        encoder,
        tuple(range(encoder.n_layers + 1) if layers is None else layers),
        tuple(encoder.readouts if readouts is None else readouts),
        stored=dtype,
        shard_size=shard_size,
    )
    _claim(store, layout)
    held = _held(store, questions)
    mine = list(_slices(questions, layout))[shard[0] :: shard[1]]
    done, total = 0, sum(len(part) for _, part in mine)
    for name, part in mine:
        if not all(question.id in held for question in part):
            _complete(encoder, part, layout, store, name)
        done += len(part)
        if report is not None:
            report(done, total)
    return ActivationStore(store)


def _check(questions: Sequence[Question], shard: tuple[int, int]) -> None:
    if not 0 <= shard[0] < shard[1]:
        raise ConfigError(f"shard must be (i, n) with 0 <= i < n, got {shard}")
    if not questions:
        raise DataError("no questions to extract")
    seen: set[str] = set()
    for question in questions:
        if question.id in seen:
            raise DataError(f"question id {question.id!r} occurs twice; ids must be unique")
        seen.add(question.id)


def _claim(store: Path, layout: Layout) -> None:
    """Make the store, or check that it holds the same kind of vectors."""
    if not (store / INDEX).exists():
        layout.write(store)
    elif differing := Layout.read(store).differences(layout):
        raise FeatureError(f"store {store} holds other activations than asked: {differing}; choose another folder")


def _held(store: Path, questions: Sequence[Question]) -> set[str]:
    """Ids already stored; none of them may stand for another text than before."""
    lines = (line for line in shard_lines(store) if shard_path(store, line.name).exists())
    stored = {key: value for line in lines for key, value in line.questions.items()}
    for question in questions:
        if stored.get(question.id, found := question_hash(question)) != found:
            raise FeatureError(
                f"question {question.id!r} has other messages than when {store} was made; choose another folder or id"
            )
    return set(stored)


def _slices(questions: Sequence[Question], layout: Layout) -> Iterator[tuple[str, Sequence[Question]]]:
    """Slices of the questions with their names."""
    kind = json.dumps(asdict(layout), sort_keys=True)
    for start in range(0, len(questions), layout.shard_size):
        part = questions[start : start + layout.shard_size]
        yield content_hash(json.dumps([kind, *((q.id, question_hash(q)) for q in part)]))[:24], part


def _complete(encoder: Encoder, part: Sequence[Question], layout: Layout, store: Path, name: str) -> None:
    """Compute one shard and put it in place, tensors first."""
    states = _narrowed(encoder.encode(part, layers=layout.layers, readouts=layout.readouts), layout, part)
    tensors = {
        tensor_name(layer, readout): np.ascontiguousarray(states[:, i, j])
        for i, layer in enumerate(layout.layers)
        for j, readout in enumerate(layout.readouts)
    }
    tensors["lengths"] = encoder.lengths(part)
    path = shard_path(store, name)
    for leftover in path.parent.glob(f".{path.name}.*"):  # of a killed run of this slice
        leftover.unlink()
    with atomic_write(path) as temporary:
        try:
            save_file(tensors, temporary)
        except SafetensorError as error:
            raise ArtifactError(f"cannot write {path}: {error}") from error
    ShardLine(
        name,
        questions={question.id: question_hash(question) for question in part},
        tensors={key: tensor_hash(tensor) for key, tensor in tensors.items()},
    ).write(store)


def _narrowed(states: Float32Array, layout: Layout, part: Sequence[Question]) -> np.ndarray:
    """Cast to the stored precision; never clips."""
    if layout.stored == "float32":
        return states
    peaks = np.abs(states).max(axis=(1, 2, 3))
    row = int(peaks.argmax())
    if peaks[row] > np.finfo(np.float16).max:
        raise FeatureError(
            f"activations of question {part[row].id!r} reach {peaks[row]:.3g}, float16 holds 65504; store as float32"
        )
    return states.astype(np.float16)
