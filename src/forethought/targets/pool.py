"""The pool file: which targets there are and what they cost now.

    [encoder]
    model = "smollm2-135m-instruct"
    system = "Give only the final answer."  # read as the chat target reads it
    price = 0.10                            # USD per million prompt tokens

    [[target]]
    name = "small-chat"
    model = "smollm2-135m-instruct"
    prices = { input = 0.10, output = 0.10 }
    policy = { prompt = "chat", system = "Give only the final answer.", max_tokens = 24 }

A target with `base_url` lives behind an OpenAI-compatible endpoint, one without is a local model.
"""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from forethought.core import DecodingPolicy, Prices, Target
from forethought.errors import ConfigError

_NonNegative = Annotated[float, Field(ge=0)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class _Prices(_Strict):
    input: _NonNegative
    output: _NonNegative
    cached_input: _NonNegative | None = None


class PoolEntry(_Strict):
    """One target of a pool file."""

    name: str = Field(min_length=1)
    model: str = Field(min_length=1)
    prices: _Prices | None = None
    policy: DecodingPolicy = DecodingPolicy()
    base_url: str | None = None
    api_key_env: str | None = None

    @property
    def target(self) -> Target:
        """The target that this entry describes."""
        return Target(self.name, self.model, self.policy)


class EncoderEntry(_Strict):
    """The model whose prefill is read, how it is prompted and what that costs."""

    model: str = Field(min_length=1)
    system: str | None = None
    price: _NonNegative = 0.0


class Pool(_Strict):
    """Targets in order, with the prices that hold while the file is served."""

    target: tuple[PoolEntry, ...] = Field(min_length=1)
    encoder: EncoderEntry = EncoderEntry(model="smollm2-135m-instruct")

    @property
    def targets(self) -> tuple[Target, ...]:
        """Every target, in file order."""
        return tuple(entry.target for entry in self.target)

    @property
    def prices(self) -> dict[str, Prices]:
        """Prices by target name; targets without recorded prices are absent."""
        return {e.name: Prices(**e.prices.model_dump()) for e in self.target if e.prices is not None}

    def entry(self, name: str) -> PoolEntry:
        """The entry of one target.

        Raises:
            ConfigError: No such target in the pool.
        """
        for entry in self.target:
            if entry.name == name:
                return entry
        raise ConfigError(f"no target {name!r} in the pool; it has {', '.join(e.name for e in self.target)}")


def read_pool(path: Path | str) -> Pool:
    """Read a pool file.

    Raises:
        ConfigError: Not TOML, an unknown key, a value out of range, or two targets of one name.
    """
    try:
        raw = tomllib.loads(Path(path).read_text())
        pool = Pool.model_validate(raw)
    except FileNotFoundError:
        raise ConfigError(f"no pool file at {path}") from None
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path} is not TOML: {error}") from error
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise ConfigError(f"{path}: {where}: {first['msg']}, got {first['input']!r}") from error
    names = [entry.name for entry in pool.target]
    if twice := {name for name in names if names.count(name) > 1}:
        raise ConfigError(f"{path} names target {sorted(twice)[0]!r} twice; names must be unique")
    return pool
