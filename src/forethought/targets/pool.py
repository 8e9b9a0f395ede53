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
from typing import Annotated, Any, Literal, TypeVar

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


Feature = Literal["tools", "json", "images", "logprobs", "n"]
"""What a request may ask of a target beyond a plain answer."""


class VoteEntry(_Strict):
    """How a target answers by voting.

    Attributes:
        rule: Name of a stopping rule.
        setting: Its settings.
        width: Answers drawn at once.
        grader: Reads the answer to vote on out of a text.
    """

    rule: str
    setting: dict[str, float | str] = {}
    width: Annotated[int, Field(ge=1)] = 4
    grader: str = "text"


class PoolEntry(_Strict):
    """One target of a pool file.

    Attributes:
        name: What the pool calls it.
        model: What its endpoint, or the local cache, calls the model.
        prices: USD per million tokens, None where no cost is recorded.
        policy: How the model is asked.
        base_url: Up to and without `/chat/completions`; None for a local model.
        api_key_env: Variable of the environment that holds its key.
        features: What may be asked of it beyond a plain answer.
        context: Longest prompt and answer together, tokens; None where unknown.
        max_output: Longest answer where neither the request nor the policy says, tokens.
        dear: Whether it counts towards a key's quota of dear targets.
        vote: Stopping rule it answers by; None for plain answers.
    """

    name: str = Field(min_length=1)
    model: str = Field(min_length=1)
    prices: _Prices | None = None
    policy: DecodingPolicy = DecodingPolicy()
    base_url: str | None = None
    api_key_env: str | None = None
    features: frozenset[Feature] = frozenset()
    context: Annotated[int, Field(ge=1)] | None = None
    max_output: Annotated[int, Field(ge=1)] = 4096
    dear: bool = False
    vote: VoteEntry | None = None

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


P = TypeVar("P", bound=Pool)


def read_pool(path: Path | str) -> Pool:
    """Read a pool file.

    Raises:
        ConfigError: Not TOML, an unknown key, a value out of range, or two targets of one name.
    """
    return parse_pool(path, Pool)


def parse_pool(path: Path | str, kind: type[P], **overrides: Any) -> P:
    """Read a file that describes a pool and maybe more.

    Args:
        path: TOML.
        kind: What it describes.
        overrides: Fields that win over the file.

    Raises:
        ConfigError: As in `read_pool`.
    """
    try:
        raw = tomllib.loads(Path(path).read_text())
        pool = kind.model_validate({**raw, **overrides})
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
