"""Arithmetic questions graded by their number of operations, with the steps that lead to each answer.

`37+58-4=` is of level 2, and its worked text is `37+58=95;95-4=91;91`. Every value met on the way lies
in 0..`MOST`, and a product only ever comes first, so reading from left to right is ordinary precedence.
An expression belongs to one of three parts by a hash of its own text: whatever is drawn, from whatever
seed, no expression is ever in two parts. A single step may be: `37+58=95` occurs within longer expressions.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterator, Sequence
from itertools import cycle, islice
from typing import Literal

from forethought.core import Question, content_hash
from forethought.errors import ConfigError, DataError

Part = Literal["train", "validation", "test"]

LEVELS = (1, 2, 3, 4, 5)
"""Numbers of operations."""
MOST = 199
"""Largest value of an operand, of a step or of an answer; the least is 0."""

_EXPRESSION = re.compile(r"\d+(?:[-+*]\d+)+=")
_OPERATION = re.compile(r"([-+*])(\d+)")
_PARTS: tuple[Part, ...] = ("test", "validation", *(("train",) * 8))
# Draws in a row that bring nothing new before a level counts as used up.
_PATIENCE = 10_000
_APPLY: dict[str, Callable[[int, int], int]] = {
    "+": lambda a, b: a + b,
    "-": lambda a, b: a - b,
    "*": lambda a, b: a * b,
}


def arithmetic_questions(part: Part, n: int, *, seed: int, levels: Sequence[int] = LEVELS) -> list[Question]:
    """Draw distinct questions, the levels in turn.

    Args:
        part: `train`, `validation` or `test`; eight, one and one tenth of all expressions.
        n: How many.
        seed: Same part, number, seed and levels, same questions.
        levels: Numbers of operations, each in 1..5.

    Raises:
        ConfigError: An unknown part or level, or more questions of a level than there are.
    """
    _check(part, levels)
    streams = {level: _of_level(part, level, random.Random(f"{seed}-{part}-{level}")) for level in levels}
    seen: dict[str, None] = {}
    for level in islice(cycle(levels), n):
        fresh = (expression for expression in islice(streams[level], _PATIENCE) if expression not in seen)
        if (expression := next(fresh, None)) is None:
            raise ConfigError(f"no {n} distinct questions of levels {tuple(levels)} in {part!r}: found {len(seen)}")
        seen[expression] = None
    return [arithmetic_question(expression) for expression in seen]


def arithmetic_question(expression: str) -> Question:
    """An expression such as `37+58-4=` as a question.

    Raises:
        DataError: As in `steps`.
    """
    taken = steps(expression)
    level = len(taken)
    return Question.ask(
        expression,
        answers=(str(taken[-1][3]),),
        group=f"arithmetic-{level}",
        grader="number",
        difficulty=float(level),
    )


def expressions(part: Part, n: int, *, seed: int, levels: Sequence[int] = LEVELS) -> list[str]:
    """Draw expressions, repeats allowed, the levels in turn: `arithmetic_questions` for training, and faster.

    Raises:
        ConfigError: An unknown part or level.
    """
    _check(part, levels)
    rng = random.Random(f"{seed}-{part}")
    return [next(_of_level(part, level, rng)) for level in islice(cycle(levels), n)]


def worked(question: Question) -> str:
    """What a model is to write: every step with its result, then the answer.

    Raises:
        DataError: As in `steps`.
    """
    return written_out(question.text)


def written_out(expression: str) -> str:
    """The worked text of an expression: `37+58-4=` -> `37+58=95;95-4=91;91`.

    Raises:
        DataError: As in `steps`.
    """
    taken = steps(expression)
    return "".join(f"{a}{sign}{b}={c};" for a, sign, b, c in taken) + str(taken[-1][3])


def steps(expression: str) -> list[tuple[int, str, int, int]]:
    """Left operand, operation, right operand and result of each step, from left to right.

    Raises:
        DataError: It is not of the form `37+58-4=`.
    """
    if not _EXPRESSION.fullmatch(expression):
        raise DataError(f"an arithmetic question looks like '37+58-4=', got {expression!r}")
    head, *_ = re.split(r"\D", expression, maxsplit=1)
    value = int(head)
    taken = []
    for sign, digits in _OPERATION.findall(expression):
        result = _APPLY[sign](value, int(digits))
        taken.append((value, sign, int(digits), result))
        value = result
    return taken


def part_of(expression: str) -> Part:
    """The part that an expression belongs to, by a hash of its text."""
    return _PARTS[int(content_hash(expression)[:8], 16) % len(_PARTS)]


def _check(part: Part, levels: Sequence[int]) -> None:
    if part not in _PARTS:
        raise ConfigError(f"part must be 'train', 'validation' or 'test', got {part!r}")
    if not levels or not set(levels) <= set(LEVELS):
        raise ConfigError(f"levels must be some of {LEVELS}, got {tuple(levels)}")


def _of_level(part: Part, level: int, rng: random.Random) -> Iterator[str]:
    """Expressions of one part and level, without end."""
    while True:
        if part_of(expression := _expression(level, rng)) == part:
            yield expression


def _expression(level: int, rng: random.Random) -> str:
    """A random expression of `level` operations none of whose values leaves 0..MOST."""
    draw = rng.random
    if draw() < 1 / 3:
        factor = 2 + int(draw() * 8)
        first = 10 + int(draw() * (min(99, MOST // factor) - 9))
        value, text, left = first * factor, f"{first}*{factor}", level - 1
    else:
        value = 10 + int(draw() * 90)
        text, left = str(value), level
    for _ in range(left):
        up, down = min(99, MOST - value), min(99, value)
        if up and (not down or draw() < 0.5):
            term = 1 + int(draw() * up)
            value, text = value + term, f"{text}+{term}"
        else:
            term = 1 + int(draw() * down)
            value, text = value - term, f"{text}-{term}"
    return text + "="
