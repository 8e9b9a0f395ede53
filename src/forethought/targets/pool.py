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

A target with `base_url` lives behind an OpenAI-compatible endpoint, one without is a local model. A local model may
have exits, `exits = { path = "runs/exits", threshold = 0.8 }`: its tokens stop before the last layer where a gate is
sure. That lowers seconds and multiply-accumulates, not tokens: prices stay what the file says, so lower
`prices.output` by the share that `forethought exits evaluate` shows to be saved.
"""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from forethought.artifacts import load_artifact
from forethought.core import DecodingPolicy, Prices, Target
from forethought.errors import ConfigError

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

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


class ExitEntry(_Strict):
    """Where a local target's exits are, and when its tokens leave.

    Attributes:
        path: Folder that `forethought exits calibrate` or `reinforce` wrote; None for the committed exits.
        threshold: Gate probability above which a token leaves; None for the one that was certified.
    """

    path: str | None = Field(default=None, min_length=1)
    threshold: Annotated[float, Field(ge=0, le=1)] | None = None


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
        exits: Of a local model whose tokens may stop before the last layer; None for full depth.
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
    exits: ExitEntry | None = None

    @model_validator(mode="after")
    def _exits_are_local(self) -> PoolEntry:
        if self.exits is not None and self.base_url is not None:
            raise ValueError("exits are for local models: a target with base_url has none")
        return self

    @property
    def target(self) -> Target:
        """The target that this entry describes."""
        return Target(self.name, self.model, self.policy)

    @property
    def has_policy(self) -> bool:
        """Whether it is asked by a policy: a local model always is, an endpoint where the file gives it one."""
        return self.base_url is None or "policy" in self.model_fields_set

    @property
    def longest_answer(self) -> int:
        """Tokens of the longest answer where a request says nothing: the policy's, else `max_output`."""
        return self.policy.max_tokens if self.has_policy else self.max_output


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

_OF_A_KEY = ("missing", "extra_forbidden", "unexpected_keyword_argument")
"""Faults of pydantic that are told of the table that holds, or lacks, the key."""


def read_pool(path: Path | str) -> Pool:
    """Read a pool file.

    Raises:
        ConfigError: Not TOML, an unknown key, a value out of range, a folder of exits that holds none, or two targets
            of one name.
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
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} is not TOML: {error}") from error
    except ValidationError as error:
        raise ConfigError(f"{path}: {_told(kind, {**raw, **overrides}, error)}") from None
    for entry in pool.target:
        _check_exits(path, entry)
    names = [entry.name for entry in pool.target]
    if twice := {name for name in names if names.count(name) > 1}:
        raise ConfigError(f"{path} names target {sorted(twice)[0]!r} twice; names must be unique")
    return pool


def _check_exits(path: Path | str, entry: PoolEntry) -> None:
    """Refuse a folder that holds no exits when the file is read, not at the first answer.

    Raises:
        ConfigError: It is missing, damaged or something else.
    """
    if entry.exits is None or entry.exits.path is None:
        return
    try:
        kind = load_artifact(Path(entry.exits.path))[0].get("kind")
    except OSError as error:
        raise ConfigError(f"{path}: target {entry.name!r}: exits.path: {error}") from None
    if kind != "exits":
        raise ConfigError(f"{path}: target {entry.name!r}: exits.path: {entry.exits.path} holds {kind!r}, not exits")


def _told(kind: type[Pool], raw: Mapping[str, Any], error: ValidationError) -> str:
    """What is wrong with a file, by the names that its author gave."""
    found = error.errors()
    if raw.get("target"):  # entries that are wrong are not counted, and what is said of them is enough
        found = [each for each in found if each["type"] != "too_short"] or found
    return "; ".join(": ".join([*_where(raw, each), _what(kind, each)]) for each in found)


def _where(raw: Mapping[str, Any], fault: ErrorDetails) -> list[str]:
    place = list(fault["loc"][:-1] if fault["type"] in _OF_A_KEY else fault["loc"])
    words = []
    if len(place) > 1 and place[0] == "target":
        entry, number = raw["target"][place[1]], place[1]
        named = entry.get("name") if isinstance(entry, Mapping) else None
        words.append(f"target {named!r}" if named else f"target number {int(number) + 1}")
        place = place[2:]
    inner = ".".join(part for part in place if isinstance(part, str))
    return [*words, inner] if inner and inner != "target" else words


def _what(kind: type[Pool], fault: ErrorDetails) -> str:
    place, got = fault["loc"], fault["input"]
    match fault["type"]:
        case "missing" | "too_short" if place == ("target",):
            return "at least one [[target]] is needed"
        case "tuple_type" if place == ("target",):
            return "write [[target]] above each target"
        case "missing":
            return f"{place[-1]!r} is missing"
        case "extra_forbidden" | "unexpected_keyword_argument":  # whose value may be a key: it is not shown
            keys = _keys(kind.model_json_schema(), place[:-1])
            return f"unknown key {place[-1]!r}{_meant(place[-1], keys)} allowed are {', '.join(keys)}"
        case "literal_error":
            allowed = fault["ctx"]["expected"]
            meant = _meant(got, re.findall("'([^']*)'", allowed))
            return f"{got!r} is not allowed{meant} allowed are {allowed}"
        case "value_error":
            return fault["msg"].removeprefix("Value error, ")
        case _:
            return f"{fault['msg']}, got {got!r}"


def _meant(given: object, known: Sequence[str]) -> str:
    near = difflib.get_close_matches(str(given), known, n=1)
    return f", did you mean {near[0]!r}?" if near else ";"


def _keys(schema: Mapping[str, Any], place: Sequence[int | str]) -> list[str]:
    """The keys that a table of a file may have."""
    node = schema
    for part in place:
        inner = node["items"] if isinstance(part, int) else node.get("properties", {}).get(part)
        node = inner or node["additionalProperties"]
        node = next(iter(node.get("anyOf", [node])))
        node = schema["$defs"][node["$ref"].rpartition("/")[2]] if "$ref" in node else node
    return list(node["properties"])
