r"""Mathematics, compared by meaning with math-verify.

The answer is the content of the last `\boxed{}`, else what follows the last "answer is" or
`####`, else the last expression in the text that math-verify can read.
"""

from __future__ import annotations

import json
import re
import selectors
import subprocess
import sys
import threading
import time
import weakref
from typing import Any

from forethought.core import Question
from forethought.errors import ConfigError, DataError, UpstreamError
from forethought.outcomes.graders.base import Grade, judged, unparsable

STATED = re.compile(r"(?:####|\banswer\b[^.\n]{0,40}?(?:\bis\b|[:=]))[\s:*$]*([^\n]+)", re.I)
SENTENCE_END = re.compile(r"\.(?:\s|$)")
SPACING = re.compile(r"\\(?:left|right|[!,;: ])|~|(?<![\\])\$|\s+")
UNIT_DOLLAR = re.compile(r"\\\$")
FRACTION = re.compile(r"\\[dt]frac\b")
TRAILING = " .,;:*`"
LONGEST = 20_000
MEMORY_BYTES = 4 << 30
START_SECONDS = 120.0


class MathGrader:
    """Right if the answer equals an accepted one by math-verify, decided in a worker process.

    Args:
        deadline: Seconds for one operation. A worker that takes longer is killed and a new one
            started; the text is then unparsable, or the comparison unequal, with that as detail.

    The worker starts at first need and is shared by threads, one operation at a time. `close`
    (or the `with` statement, or the grader's end) ends it.
    """

    name = "math"
    version = 1

    def __init__(self, deadline: float = 10.0) -> None:
        if not deadline > 0:
            raise ConfigError(f"deadline must be > 0 seconds, got {deadline}")
        self._worker = _Worker(deadline)
        weakref.finalize(self, self._worker.close)

    def extract(self, question: Question, text: str) -> str | None:
        """The final expression as written, freed of spacing; `same` compares two by meaning."""
        text = text[-LONGEST:]
        stated = last_boxed(text) or _after_marker(text)
        if stated is None:
            stated = self._worker.call("final_expression", text)
        return _plain(stated) or None if isinstance(stated, str) else None

    def same(self, a: str, b: str) -> bool:
        """Whether two extracted answers are equal, thus the same vote; what cannot be compared in time is not."""
        return a == b or self._worker.call("same", a, b) is True

    def grade(self, question: Question, text: str) -> Grade:
        """Compare with every accepted answer.

        Raises:
            DataError: The question has no accepted answer.
            UpstreamError: The worker cannot be started.
        """
        if not any(map(str.strip, question.answers)):
            raise DataError(f"question {question.id!r} has no accepted answer to grade against")
        kills = self._worker.kills
        answer = self.extract(question, text)
        right = answer is not None and any(
            self.same(_plain(last_boxed(reference) or reference), answer) for reference in question.answers
        )
        detail = "deadline passed" if self._worker.kills > kills else ""
        return unparsable(detail or "no expression in the text") if answer is None else judged(right, answer, detail)

    def close(self) -> None:
        """End the worker; the next operation would start another."""
        self._worker.close()

    def __enter__(self) -> MathGrader:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class _Worker:
    """A process of `math_worker`, restarted when it hangs or dies.

    It is a new program and no fork: a fork of a process whose libraries run threads may hang.
    """

    def __init__(self, deadline: float) -> None:
        self.deadline = deadline
        self.kills = 0
        self._process: subprocess.Popen[bytes] | None = None
        self._lock = threading.Lock()

    def call(self, *request: str) -> Any:
        """The reply, None when the worker had to be killed."""
        with self._lock:
            process = self._process if self._process and self._process.poll() is None else self._start()
            reply = _exchange(process, json.dumps(request).encode() + b"\n", self.deadline)
            if reply is None:
                self.kills += 1
                self._end()
            return None if reply is None else json.loads(reply)

    def close(self) -> None:
        with self._lock:
            self._end()

    def _start(self) -> subprocess.Popen[bytes]:
        self._end()
        command = [
            sys.executable,
            "-P",
            "-W",
            "ignore",
            "-m",
            "forethought.outcomes.graders.math_worker",
            str(MEMORY_BYTES),
        ]
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0)  # noqa: S603
        self._process = process
        if _exchange(process, b"", START_SECONDS) is None:
            self._end()
            raise UpstreamError(f"the math worker did not start within {START_SECONDS:g} seconds: {command}")
        return process

    def _end(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        process.kill()
        process.wait()
        for stream in (process.stdin, process.stdout):
            if stream is not None:
                stream.close()


def _exchange(process: subprocess.Popen[bytes], request: bytes, seconds: float) -> bytes | None:
    """Send a line and read one back, None when none came in time."""
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        process.stdin.write(request)
    except BrokenPipeError:
        return None
    reply, end = b"", time.monotonic() + seconds
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)
        while not reply.endswith(b"\n"):
            if not selector.select(max(0.0, end - time.monotonic())):
                return None
            part = process.stdout.read(65536)
            if not part:
                return None
            reply += part
    return reply


def last_boxed(text: str) -> str | None:
    r"""Content of the last `\boxed{...}` (or `\fbox`) whose braces close, None when there is none."""
    for start in reversed([found.end() for found in re.finditer(r"\\f?boxed\s*\{|\\fbox\s*\{", text)]):
        depth = 1
        for i in range(start, len(text)):
            escaped = i > 0 and text[i - 1] == "\\"
            depth += 0 if escaped else {"{": 1, "}": -1}.get(text[i], 0)
            if depth == 0:
                return text[start:i]
    return None


def _after_marker(text: str) -> str | None:
    found = STATED.findall(text)
    return SENTENCE_END.split(found[-1], maxsplit=1)[0] if found else None


def _plain(expression: str) -> str:
    r"""The expression without spacing commands, with `\frac` for its variants."""
    expression = SPACING.sub(" ", FRACTION.sub(r"\\frac", UNIT_DOLLAR.sub("", expression)))
    return " ".join(expression.split()).strip(TRAILING)
