from __future__ import annotations

import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from forethought.core import Question
from forethought.errors import ConfigError, DataError
from forethought.outcomes.graders import code_sandbox
from forethought.outcomes.graders.code import CodeGrader, CodeLimits

QUESTION = Question.ask("Write add(a, b).", answers=("assert add(1, 2) == 3", "assert add(-1, 1) == 0"))
GRADER = CodeGrader(CodeLimits(seconds=5))
ADD = "def add(a, b):\n    return a + b\n"


@pytest.mark.parametrize(
    "text",
    [
        ADD,
        f"Here it is:\n```python\n{ADD}```\nUse it so:\n```python\nadd(1, 2)\n```",
        f"open('kept', 'w').close()\n{ADD}",
    ],
)
def test_right(text: str) -> None:
    grade = GRADER.grade(QUESTION, text)
    assert grade.verdict == "right", grade.detail
    assert grade.detail.startswith("network cut by ")


@pytest.mark.parametrize(
    ("text", "detail"),
    [
        (ADD.replace("+", "-"), "AssertionError"),
        ("import sys\nsys.exit(0)", "ended before its tests did"),
        ("import os\nos._exit(0)", "ended before its tests did"),
        ("import socket\nsocket.socket()", "PermissionError: socket"),
        ("import subprocess\nsubprocess.run(['true'])", "PermissionError: subprocess"),
        ("import os\nx = os.fork()", "PermissionError: os.fork"),
        ("x = 'a' * (4 << 30)", "MemoryError"),
        ("x = open('big', 'w').write('x' * (64 << 20))", "File too large"),
        ("x = open('/proc/self/environ').read()", "PermissionError"),
        ("import os\nassert not os.environ.keys() - {'LC_CTYPE'}, 'environment'", "NameError: name 'add'"),
    ],
)
def test_wrong(text: str, detail: str) -> None:
    grade = GRADER.grade(QUESTION, text)
    assert grade.verdict == "wrong"
    assert detail in grade.detail


def test_nothing_is_written_outside_the_working_folder(tmp_path: Path) -> None:
    grade = GRADER.grade(QUESTION, f"open({str(tmp_path / 'out')!r}, 'w').close()\n{ADD}")
    assert grade.verdict == "wrong"
    assert not (tmp_path / "out").exists()


def test_an_endless_loop_is_killed_in_time() -> None:
    start = time.monotonic()
    grade = CodeGrader(CodeLimits(seconds=1)).grade(QUESTION, f"{ADD}while True: pass")
    assert (grade.verdict, grade.detail.split("; ")[1]) == ("wrong", "deadline passed")
    assert time.monotonic() - start < 4


@pytest.mark.parametrize("text", ["", "I cannot.", "Paris", "def add(a, b) return"])
def test_unparsable(text: str) -> None:
    assert GRADER.grade(QUESTION, text).verdict == "unparsable"


def test_the_namespace_alone_reaches_no_server() -> None:
    program = (
        f"import runpy, socket, sys\nsandbox = runpy.run_path({code_sandbox.__file__!r})\n"
        "print(sandbox['cut_network'](), flush=True)\n"
        "socket.create_connection(('127.0.0.1', int(sys.argv[1])), timeout=5)\nprint('reached')"
    )
    with socket.create_server(("127.0.0.1", 0)) as server:
        command = [sys.executable, "-I", "-c", program, str(server.getsockname()[1])]
        out = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False).stdout.splitlines()
    if out[0] != "namespace":
        pytest.skip("the kernel gives no network namespace here")
    assert out == ["namespace"]


def test_bad_input() -> None:
    with pytest.raises(DataError, match="no tests"):
        GRADER.grade(Question.ask("Write add(a, b)."), ADD)
    with pytest.raises(ConfigError, match="limits"):
        CodeLimits(seconds=0)
