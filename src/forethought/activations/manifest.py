"""What a store holds: its layout, fixed when it is made, and one line a finished shard."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Self

from forethought.activations.base import Encoder
from forethought.artifacts import atomic_write
from forethought.core import FeatureSpec, Question, content_hash
from forethought.errors import ArtifactError, ConfigError, FeatureError

SCHEMA_VERSION = 1
INDEX = "index.json"
SHARDS = "shards"


@dataclass(frozen=True, slots=True)
class Layout:
    """Everything that decides a stored vector apart from its question.

    Attributes:
        encoder: Name of the model read; `weights` and `template` its fingerprints.
        computed: Precision the encoder ran in.
        stored: Precision on disk, `float32` or `float16`.
        layers: Layers kept; `readouts` positions kept.
        width: Size of the residual stream.
        window: Longest prompt read whole, tokens.
        system: System turn put before each chat.
        shard_size: Questions a shard.
    """

    encoder: str
    weights: str
    template: str
    computed: str
    stored: str
    layers: tuple[int, ...]
    readouts: tuple[str, ...]
    width: int
    window: int
    system: str | None
    shard_size: int

    def __post_init__(self) -> None:
        if self.stored not in ("float32", "float16"):
            raise ConfigError(f"dtype must be 'float32' or 'float16', got {self.stored!r}")
        if self.shard_size < 1:
            raise ConfigError(f"shard_size must be >= 1, got {self.shard_size}")
        if len(set(self.layers)) != len(self.layers) or len(set(self.readouts)) != len(self.readouts):
            raise ConfigError(f"layers and readouts must not repeat, got {self.layers} and {self.readouts}")

    @classmethod
    def of(
        cls, encoder: Encoder, layers: tuple[int, ...], readouts: tuple[str, ...], *, stored: str, shard_size: int
    ) -> Self:
        """Layout of what `encoder` will be asked for.

        Raises:
            FeatureError: A layer or readout that the encoder lacks.
        """
        specs = [encoder.spec(layers, readout) for readout in readouts]
        if not specs:
            raise FeatureError("no readout asked; at least one is needed")
        return cls(
            encoder=encoder.name,
            weights=specs[0].weights,
            template=specs[0].template,
            computed=specs[0].dtype,
            stored=stored,
            layers=layers,
            readouts=readouts,
            width=encoder.width,
            window=encoder.window,
            system=encoder.system,
            shard_size=shard_size,
        )

    def spec(self, layers: tuple[int, ...], readout: str) -> FeatureSpec:
        """The meaning of the vectors of some layers and a readout.

        Raises:
            FeatureError: Not in the store.
        """
        missing = [layer for layer in layers if layer not in self.layers]
        if missing or not layers:
            raise FeatureError(f"layers {missing} of {list(layers)} are not stored; stored are {list(self.layers)}")
        if readout not in self.readouts:
            raise FeatureError(f"readout {readout!r} is not stored; stored are {', '.join(self.readouts)}")
        return FeatureSpec(self.encoder, self.weights, self.template, tuple(layers), readout, self.computed)

    def write(self, store: Path) -> None:
        """Write the store's index."""
        with atomic_write(store / INDEX) as temporary:
            temporary.write_text(json.dumps({"schema_version": SCHEMA_VERSION, **asdict(self)}, indent=2) + "\n")

    @classmethod
    def read(cls, store: Path) -> Self:
        """Read a store's index.

        Raises:
            ArtifactError: No store, an altered one, or one of another schema version.
        """
        body = _read_json(store / INDEX)
        version = body.pop("schema_version", None)
        if version != SCHEMA_VERSION or body.keys() != {field.name for field in fields(cls)}:
            raise ArtifactError(f"{store} has schema version {version!r}; this release reads {SCHEMA_VERSION}")
        return cls(**{**body, "layers": tuple(body["layers"]), "readouts": tuple(body["readouts"])})

    def differences(self, other: Layout) -> str:
        """What differs from another layout, in words; empty if nothing."""
        mine, theirs = asdict(self), asdict(other)
        return "; ".join(f"{key} is {mine[key]!r}, not {theirs[key]!r}" for key in mine if mine[key] != theirs[key])


@dataclass(frozen=True, slots=True)
class ShardLine:
    """One finished shard.

    Attributes:
        name: Content hash of the layout and of its questions; the files are `<name>.safetensors`
            and `<name>.json`.
        questions: Id of each row -> hash of its messages.
        tensors: Name of each tensor -> SHA-256 of its bytes, so that one can be checked without the others.
    """

    name: str
    questions: dict[str, str]
    tensors: dict[str, str]

    def write(self, store: Path) -> None:
        """Record the shard as finished: after its tensors are in place, never before."""
        with atomic_write(store / SHARDS / f"{self.name}.json") as temporary:
            temporary.write_text(json.dumps(asdict(self)) + "\n")


def shard_path(store: Path, name: str) -> Path:
    """Where a shard's tensors stand."""
    return store / SHARDS / f"{name}.safetensors"


def shard_lines(store: Path) -> Iterator[ShardLine]:
    """Every finished shard, by name.

    Raises:
        ArtifactError: A manifest line that cannot be read.
    """
    for path in sorted((store / SHARDS).glob("*.json")):
        body = _read_json(path)
        parts = [body.get("name"), body.get("questions"), body.get("tensors")]
        if parts[0] != path.stem or not all(isinstance(part, dict) for part in parts[1:]):
            raise ArtifactError(f"{path} does not describe a shard of that name")
        yield ShardLine(**body)


def question_hash(question: Question) -> str:
    """Hash of what an encoder reads of a question: its messages."""
    return content_hash(json.dumps(question.messages))[:16]


def _read_json(path: Path) -> dict[str, Any]:
    try:
        body = json.loads(path.read_text())
    except FileNotFoundError:
        raise ArtifactError(f"{path} does not exist: no activation store there") from None
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise ArtifactError(f"{path} is not JSON: {error}") from error
    if not isinstance(body, dict):
        raise ArtifactError(f"{path} must hold a JSON object, got {type(body).__name__}")
    return body
