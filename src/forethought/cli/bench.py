"""`forethought bench`: run a checkout's benchmarks."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from forethought.cli.console import print_json

LIST = "list"


def bench(
    name: str,
    *,
    quick: Annotated[bool, Parameter(negative=())] = False,
    data: Path | None = None,
    cache: Path | None = None,
    variant: str | None = None,
    json: Annotated[bool, Parameter(negative=())] = False,
) -> None:
    """Run a benchmark of a checkout; `forethought bench list` names them.

    A figure that misses its goal says so, and the run still succeeds.

    Example: `forethought bench decision --json`

    Args:
        name: Name of a benchmark, or `list`.
        quick: A smaller form; its figures are not comparable.
        data: Folder of recorded tables, by default FORETHOUGHT_DATA.
        cache: Folder for what takes long and is worth keeping; by default runs/bench/NAME.
        variant: Which form of a benchmark that has several; its README names them.
        json: Print one JSON object.
    """
    from forethought.bench import find_benchmarks, find_checkout
    from forethought.errors import ConfigError

    checkout = find_checkout()
    known = find_benchmarks(checkout)
    if name == LIST:
        _print_list(known, json)
        return
    if name not in known:
        raise ConfigError(f"no benchmark {name!r} in {checkout / 'benchmarks'}; there are {', '.join(known)}")
    flags = ["--cache", str(cache or checkout / "runs" / "bench" / name)]
    flags += ["--quick"] * quick + ["--json"] * json
    flags += [] if data is None else ["--data", str(data)]
    flags += [] if variant is None else ["--variant", variant]
    _run(checkout / "benchmarks" / name / "run.py", flags)


def _print_list(known: dict[str, str], json: bool) -> None:
    if json:
        print_json(known)
    else:
        width = max(map(len, known), default=0)
        print("\n".join(f"{name:<{width}}  {text}" for name, text in known.items()))


def _run(script: Path, flags: list[str]) -> None:
    """Run in a process of its own, with one thread for every library: shares of one core can be compared."""
    threads = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    code = subprocess.run([sys.executable, str(script), *flags], env={**os.environ, **threads}, check=False).returncode  # noqa: S603
    if code:
        sys.exit(code)
