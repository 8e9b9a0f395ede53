"""Encoders by name: local decoders, and kinds that plugins announce as `forethought.encoders`."""

from __future__ import annotations

from collections.abc import Callable

from forethought.activations.base import Encoder
from forethought.errors import ConfigError
from forethought.models import load
from forethought.registry import Registry

MakeEncoder = Callable[..., Encoder]

encoders: Registry[MakeEncoder] = Registry(
    "encoder", "forethought.encoders", {"transformers": "forethought.activations.loading:transformers_encoder"}
)


def load_encoder(source: str, *, system: str | None = None, dtype: str = "float32") -> Encoder:
    """Load the encoder that a pool file or an artifact names.

    Args:
        source: `KIND:SOURCE` for an encoder of a registered kind; without a kind, a catalogue name,
            folder or hub id that `transformers` reads here.
        system: System turn put before each question.
        dtype: Precision it runs in.

    Raises:
        ConfigError: Weights that are not installed, or an unusable source.
    """
    kind, colon, rest = source.partition(":")
    if colon and kind in encoders:
        return encoders[kind](rest, system=system, dtype=dtype)
    return transformers_encoder(source, system=system, dtype=dtype)


def transformers_encoder(source: str, *, system: str | None = None, dtype: str = "float32") -> Encoder:
    """A local decoder read by `TransformersEncoder`."""
    from forethought.activations.transformers_encoder import TransformersEncoder

    if dtype not in ("float32", "bfloat16"):
        raise ConfigError(f"dtype must be 'float32' or 'bfloat16', got {dtype!r}")
    return TransformersEncoder(load(source, dtype="float32" if dtype == "float32" else "bfloat16"), system=system)
