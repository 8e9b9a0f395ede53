"""Code, run against its tests in a process that has no network and little of anything else."""

from __future__ import annotations

import ast
import contextlib
import json
import os
import re
import secrets
import signal
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from forethought.core import Question
from forethought.errors import ConfigError, DataError
from forethought.outcomes.graders import code_sandbox
from forethought.outcomes.graders.base import Grade, judged, unparsable

FENCE = re.compile(r"^[ \t]*```[^\n]*\n(.*?)(?:^[ \t]*```|\Z)", re.M | re.S)
LONGEST = 100_000
SAYING = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Assign, ast.AnnAssign, ast.Import, ast.ImportFrom)


@dataclass(frozen=True, slots=True)
class CodeLimits:
    """What a run may use.

    Attributes:
        seconds: Wall clock; the whole process group is killed then. CPU seconds are limited to it, too.
        memory_bytes: Address space.
        file_bytes: Size of any one file.
        files: Files open at once.
        processes: Processes and threads beside the first.
    """

    seconds: float = 10.0
    memory_bytes: int = 1 << 30
    file_bytes: int = 16 << 20
    files: int = 64
    processes: int = 0

    def __post_init__(self) -> None:
        if not self.seconds > 0 or min(self.memory_bytes, self.file_bytes, self.files) < 1 or self.processes < 0:
            raise ConfigError(f"limits must be > 0 (processes >= 0), got {self}")

    def resources(self) -> dict[str, int]:
        """Names in the module `resource` -> values."""
        return {
            "RLIMIT_CPU": int(self.seconds) + 1,
            "RLIMIT_AS": self.memory_bytes,
            "RLIMIT_FSIZE": self.file_bytes,
            "RLIMIT_NOFILE": self.files,
            "RLIMIT_NPROC": self.processes,
            "RLIMIT_CORE": 0,
        }


class CodeGrader:
    """Right if every test in `question.answers` passes after the candidate's code.

    Each accepted answer is a piece of test code (assertions); all are run, in their order, in the
    candidate's namespace. The grade's detail says how the network was cut (`namespace`, or the
    weaker `audit hook` where the kernel gives none) and why a run failed. POSIX only.
    """

    name = "code"
    version = 1

    def __init__(self, limits: CodeLimits | None = None) -> None:
        self.limits = limits or CodeLimits()

    def extract(self, question: Question, text: str) -> str | None:
        """The first fenced block that defines something, else the whole text if it is such Python; None otherwise."""
        blocks = [block.strip("\n") for block in FENCE.findall(text[:LONGEST])] or [text[:LONGEST].strip("\n")]
        return next((block for block in blocks if _defines(block)), None)

    def grade(self, question: Question, text: str) -> Grade:
        """Run the code and the tests.

        Raises:
            DataError: The question has no tests.
        """
        if not any(map(str.strip, question.answers)):
            raise DataError(f"question {question.id!r} has no tests among its answers")
        code = self.extract(question, text)
        if code is None:
            return unparsable("no Python code in the text")
        passed, detail = self._run(code, "\n".join(question.answers))
        return judged(passed, code, detail)

    def _run(self, code: str, tests: str) -> tuple[bool, str]:
        token = secrets.token_hex(16)
        task = {"code": code, "tests": tests, "token": token, "limits": self.limits.resources()}
        with tempfile.TemporaryDirectory(prefix="forethought-code-", ignore_cleanup_errors=True) as name:
            folder = Path(name)
            (folder / "work").mkdir()
            (folder / "task").write_text(json.dumps(task))
            late = _execute(folder, self.limits.seconds)
            isolation, _, end = _head(folder / "out", 200).partition("\n")
            passed = end == token and not late
            reason = "passed" if passed else "deadline passed" if late else _last_line(folder / "err")
        return passed, f"network cut by {isolation or 'nothing: never ran'}; {reason}"


def _execute(folder: Path, seconds: float) -> bool:
    """Run the sandbox on `folder/task`; whether it had to be killed."""
    command = [sys.executable, "-I", code_sandbox.__file__]
    with (folder / "task").open("rb") as task, (folder / "out").open("wb") as out, (folder / "err").open("wb") as err:
        process = subprocess.Popen(  # noqa: S603
            command, stdin=task, stdout=out, stderr=err, cwd=folder / "work", env={}, start_new_session=True
        )
        (folder / "task").unlink()
        try:
            process.wait(seconds)
            return False
        except subprocess.TimeoutExpired:
            return True
        finally:
            # The group may outlive its leader: whatever was started goes with it.
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def _defines(code: str) -> bool:
    try:
        tree = ast.parse(code)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    return any(isinstance(node, SAYING) for node in tree.body)


def _head(path: Path, size: int) -> str:
    with path.open("rb") as stream:
        return stream.read(size).decode(errors="replace")


def _last_line(path: Path) -> str:
    with path.open("rb") as stream:
        stream.seek(max(0, path.stat().st_size - 2000))
        lines = stream.read().decode(errors="replace").strip().splitlines()
    return lines[-1][:300] if lines else "ended before its tests did"
