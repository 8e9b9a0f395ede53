"""Stopping rules as their packages publish them, run by an environment made in the cache; see `README.md`."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from forethought.errors import UpstreamError

HERE = Path(__file__).parent
REQUIREMENTS = HERE / "requirements.txt"
SCRIPT = HERE / "run_published.py"
LONGEST = 1800
"""Seconds that an installation or a replay may take."""


class Replayed(NamedTuple):
    """What a package's rule did on one question.

    Attributes:
        answer: What it returned; None where that is an answer that could not be read.
        counted: Answers that it decided on.
        charged: Requests sent by then, which are paid for.
    """

    answer: str | None
    counted: int
    charged: int


def published(answers: Mapping[str, Sequence[str | None]], cache: Path) -> dict[str, list[Replayed]]:
    """Replay recorded answers through every rule; empty, with one line on stderr, where the packages do not install.

    Args:
        answers: Those of each question, in the order in which they are to come; as many are the cap.
        cache: Folder in which the environment is made and kept.

    Returns:
        What each rule did, in the order of the questions.

    Raises:
        UpstreamError: The packages are installed but their run failed.
    """
    try:
        python = environment(cache)
    except UpstreamError as error:
        print(f"published packages are left out: {error}", file=sys.stderr)
        return {}
    return replay(python, answers)


def environment(cache: Path) -> Path:
    """The interpreter of the packages' environment, which is made where it is not there yet.

    Raises:
        UpstreamError: It could not be made.
    """
    digest = hashlib.sha256(REQUIREMENTS.read_bytes()).hexdigest()[:12]
    folder = (cache / f"published-{digest}").resolve()
    python, whole = folder / "bin" / "python", folder / "whole"
    if not whole.exists():
        _run([sys.executable, "-m", "venv", "--clear", str(folder)], "its environment could not be made")
        # The requirements are complete; --no-deps keeps out what a later release might pull in.
        install = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps"]
        _run([*install, "-r", str(REQUIREMENTS)], f"{REQUIREMENTS.name} did not install")
        whole.touch()
    return python


def replay(python: Path, answers: Mapping[str, Sequence[str | None]]) -> dict[str, list[Replayed]]:
    """Write the answers, run the packages and read what they did.

    Raises:
        UpstreamError: The run failed, or did not tell of every question.
    """
    with TemporaryDirectory() as name:
        given, written = Path(name) / "answers.json", Path(name) / "replayed.json"
        given.write_text(json.dumps(answers))
        _run([str(python), str(SCRIPT), str(given), str(written)], "the replay failed")
        found = json.loads(written.read_text())
    for rule, rows in found.items():
        if len(rows) != len(answers):
            raise UpstreamError(f"{rule} told of {len(rows)} questions, it was given {len(answers)}")
    return {rule: [Replayed(answer or None, *counts) for answer, *counts in rows] for rule, rows in found.items()}


def _run(command: Sequence[str], problem: str) -> None:
    outside = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    try:
        ran = subprocess.run(
            command, env=outside | {"OMP_NUM_THREADS": "1"}, capture_output=True, text=True, timeout=LONGEST
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise UpstreamError(f"{problem}: {error}") from error
    if ran.returncode:
        last = ran.stderr.strip().splitlines()[-1:] or [f"exit code {ran.returncode}"]
        raise UpstreamError(f"{problem}: {last[0]}")
