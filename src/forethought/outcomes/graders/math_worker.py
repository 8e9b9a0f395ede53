"""The process in which mathematics is parsed: one JSON request a line in, one JSON reply a line out.

Run as `python -m forethought.outcomes.graders.math_worker BYTES`. Parsing untrusted mathematics can
hang or swell without end, and math-verify's own timeouts need `signal.alarm` in a main thread.
Here they are off: whoever started this process keeps the deadline and kills it.
"""

from __future__ import annotations

import json
import logging
import os
import resource
import sys
from collections.abc import Callable
from typing import Any

from math_verify import parse, verify


def final_expression(text: str) -> str | None:
    """The expression that math-verify takes for the text's answer."""
    found = parse(text, parsing_timeout=None)
    return str(found[-1]) if found else None


def same(a: str, b: str) -> bool:
    """Whether two expressions are equal, whichever is taken for the reference."""
    left, right = (parse(f"${text}$", parsing_timeout=None) for text in (a, b))
    if not left or not right:
        return False
    return bool(verify(left, right, timeout_seconds=None) or verify(right, left, timeout_seconds=None))


OPERATIONS: dict[str, Callable[..., str | bool | None]] = {"final_expression": final_expression, "same": same}


def main(limit: int) -> None:
    """Answer requests until the input ends, within `limit` bytes of address space."""
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    logging.disable(logging.CRITICAL)
    # The protocol keeps the real standard output; whatever a library prints goes nowhere.
    channel = os.fdopen(os.dup(1), "w")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    _say(channel, "ready")
    for line in sys.stdin:
        operation, *arguments = json.loads(line)
        _say(channel, _perform(operation, arguments))


def _perform(operation: str, arguments: list[str]) -> Any:
    # Whatever sympy's parsers raise on untrusted text, the text has no readable answer.
    try:
        return OPERATIONS[operation](*arguments)
    except (ArithmeticError, AttributeError, LookupError, MemoryError, NotImplementedError) as error:
        return {"error": type(error).__name__}
    except (RecursionError, SyntaxError, TypeError, ValueError) as error:
        return {"error": type(error).__name__}


def _say(channel: Any, reply: Any) -> None:
    channel.write(json.dumps(reply) + "\n")
    channel.flush()


if __name__ == "__main__":
    main(int(sys.argv[1]))
