"""Sharded activations on disk: one safetensors file a slice of the questions, one tensor a layer and readout."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, final

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open

from forethought.activations.base import Features
from forethought.activations.manifest import Layout, ShardLine, shard_lines, shard_path
from forethought.errors import ArtifactError, FeatureError


def tensor_name(layer: int, readout: str) -> str:
    """Name of a tensor inside a shard."""
    return f"{layer}.{readout}"


def tensor_hash(tensor: NDArray[Any]) -> str:
    """SHA-256 of a tensor's type, shape and bytes, in hex."""
    digest = hashlib.sha256(f"{tensor.dtype.str}{tensor.shape}".encode())
    digest.update(np.ascontiguousarray(tensor).data)
    return digest.hexdigest()


@final
class ActivationStore:
    """Extracted activations; reading one layer never loads the others.

    Attributes:
        layout: Encoder, layers, readouts and precisions.
        question_ids: Every question stored.

    Args:
        path: Directory made by `extract`.

    Raises:
        ArtifactError: No store, or an unreadable one.
    """

    def __init__(self, path: Path) -> None:
        self.path = Path(path)
        self.layout = Layout.read(self.path)
        self._lines: Mapping[str, ShardLine] = {line.name: line for line in shard_lines(self.path)}
        self._place: dict[str, tuple[str, int]] = {}
        for line in self._lines.values():
            for row, question_id in enumerate(line.questions):
                self._place.setdefault(question_id, (line.name, row))

    def __repr__(self) -> str:
        return f"ActivationStore({str(self.path)!r}, {len(self._place)} questions of {self.encoder!r})"

    @property
    def question_ids(self) -> tuple[str, ...]:
        """Every question stored, shard by shard."""
        return tuple(self._place)

    @property
    def encoder(self) -> str:
        """Name of the encoder; `layout` says the rest."""
        return self.layout.encoder

    @property
    def layers(self) -> tuple[int, ...]:
        """Layers stored."""
        return self.layout.layers

    @property
    def readouts(self) -> tuple[str, ...]:
        """Readouts stored."""
        return self.layout.readouts

    def block(self, layers: Sequence[int], readout: str, question_ids: Sequence[str] | None = None) -> Features:
        """Read some layers, concatenated in this order, at one readout.

        Args:
            layers: Of `self.layers`.
            readout: Of `self.readouts`.
            question_ids: Rows wanted, in this order; by default all.

        Raises:
            FeatureError: A question, layer or readout that is not stored.
            ArtifactError: A shard that is missing, altered or cannot be read.
        """
        ids = self.question_ids if question_ids is None else tuple(question_ids)
        spec = self.layout.spec(tuple(layers), readout)
        width = self.layout.width
        values = np.empty((len(ids), len(layers) * width), dtype=np.float32)
        for name, mine, theirs in self._shards_of(ids):
            with self._open(name) as shard:
                for i, layer in enumerate(layers):
                    tensor = self._tensor(shard, name, tensor_name(layer, readout))
                    values[mine, i * width : (i + 1) * width] = tensor[theirs]
        return Features(spec, ids, values)

    def lengths(self, question_ids: Sequence[str] | None = None) -> NDArray[np.int64]:
        """Tokens of each prompt as the encoder read it, (n,).

        Raises:
            FeatureError: A question that is not stored.
            ArtifactError: A shard that is missing, altered or cannot be read.
        """
        ids = self.question_ids if question_ids is None else tuple(question_ids)
        out = np.empty(len(ids), dtype=np.int64)
        for name, mine, theirs in self._shards_of(ids):
            with self._open(name) as shard:
                out[mine] = self._tensor(shard, name, "lengths")[theirs]
        return out

    def verify(self) -> None:
        """Compare every tensor with the SHA-256 recorded when it was written; `block` does so for what it reads.

        Raises:
            ArtifactError: A shard is missing or was altered.
        """
        for line in self._lines.values():
            with self._open(line.name) as shard:
                for tensor in line.tensors:
                    self._tensor(shard, line.name, tensor)

    def _shards_of(self, ids: tuple[str, ...]) -> Iterator[tuple[str, list[int], list[int]]]:
        """Shard name, rows of the answer, rows of the shard."""
        wanted: dict[str, tuple[list[int], list[int]]] = {}
        for row, question_id in enumerate(ids):
            if question_id not in self._place:
                raise FeatureError(f"no activations of question {question_id!r} in {self.path}; extract it first")
            name, place = self._place[question_id]
            mine, theirs = wanted.setdefault(name, ([], []))
            mine.append(row)
            theirs.append(place)
        for name, (mine, theirs) in wanted.items():
            yield name, mine, theirs

    @contextmanager
    def _open(self, name: str) -> Iterator[Any]:
        path = shard_path(self.path, name)
        try:
            with safe_open(path, framework="np") as shard:
                yield shard
        except (SafetensorError, FileNotFoundError, PermissionError) as error:
            raise ArtifactError(f"shard {path} cannot be read: {error}") from error

    def _tensor(self, shard: Any, name: str, tensor: str) -> NDArray[Any]:
        """One tensor of an open shard, compared with its recorded hash."""
        values: NDArray[Any] = shard.get_tensor(tensor)
        if tensor_hash(values) != self._lines[name].tensors.get(tensor):
            raise ArtifactError(f"tensor {tensor!r} of shard {name} in {self.path} was altered since it was written")
        return values
