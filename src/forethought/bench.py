"""Benchmarks of a checkout: where they are, what a figure is, and how a benchmark's script reports it."""

from __future__ import annotations

import argparse
import json
import os
import platform
import shlex
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Self

from forethought.errors import ConfigError, ForethoughtError

DATA_VARIABLE = "FORETHOUGHT_DATA"


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured number.

    Attributes:
        value: The number.
        low: Lower end of its 95 % interval, or of the rounds where a timing has none.
        high: Upper end.
        n: What was counted: questions, or rounds of a timing.
        goal: What it should be, as `<= 50`; None for a reference.
        met: Whether it is; None without a goal. A missed goal is a result like any other.
    """

    value: float
    low: float | None = None
    high: float | None = None
    n: int | None = None
    goal: str | None = None
    met: bool | None = None

    def at_most(self, limit: float) -> Self:
        """The same figure with an upper limit as its goal."""
        return type(self)(self.value, self.low, self.high, self.n, f"<= {limit:g}", self.value <= limit)

    def at_least(self, limit: float) -> Self:
        """The same figure with a lower limit as its goal."""
        return type(self)(self.value, self.low, self.high, self.n, f">= {limit:g}", self.value >= limit)

    def surely_above(self, limit: float) -> Self:
        """The same figure with the goal that its whole interval lies above a value."""
        sure = self.low is not None and self.low > limit
        return type(self)(self.value, self.low, self.high, self.n, f"interval > {limit:g}", sure)

    def surely_below(self, limit: float) -> Self:
        """The same figure with the goal that its whole interval lies below a value."""
        sure = self.high is not None and self.high < limit
        return type(self)(self.value, self.low, self.high, self.n, f"interval < {limit:g}", sure)

    def above(self, limit: float, name: str = "") -> Self:
        """The same figure with a value to beat as its goal, said by `name` where that is another figure."""
        return type(self)(self.value, self.low, self.high, self.n, f"> {name or f'{limit:g}'}", self.value > limit)

    def __str__(self) -> str:
        interval = "" if self.low is None or self.high is None else f" [{_short(self.low)}, {_short(self.high)}]"
        return f"{_short(self.value)}{interval}"


@dataclass(frozen=True, slots=True)
class Options:
    """What a benchmark is asked.

    Attributes:
        quick: A smaller form, for tests; its figures are not comparable.
        data: Folder of recorded tables, None where none was given.
        cache: Folder for what takes long and is worth keeping.
        variant: Which of its forms, for a benchmark that has several; else empty.
    """

    quick: bool
    data: Path | None
    cache: Path
    variant: str = ""

    def recorded(self, name: str) -> Path:
        """A folder of recorded tables.

        Raises:
            ConfigError: No data folder was given, or it lacks `name`.
        """
        if self.data is None:
            raise ConfigError(f"this benchmark reads recorded tables: give their folder by --data or {DATA_VARIABLE}")
        if not (folder := self.data / name).is_dir():
            raise ConfigError(f"{self.data} has no folder {name!r}; this benchmark needs it")
        return folder


Measure = Callable[[Options], Mapping[str, Figure]]


def script(
    name: str, measure: Measure, *, seed: int, variants: Sequence[str] = (), arguments: list[str] | None = None
) -> int:
    """Run a benchmark as the body of its `run.py` and report its figures.

    Args:
        name: Name of its folder.
        measure: What it does.
        seed: The seed it uses, for the record.
        variants: Its forms, the default first.
        arguments: Command line, by default the process's own.

    Returns:
        Exit code: 0 also where a goal is missed, 2 after a user's error.
    """
    given = _parser(name, variants).parse_args(arguments)
    options = Options(given.quick, given.data, given.cache, given.variant)
    start = time.perf_counter()
    try:
        figures = measure(options)
    except ForethoughtError as error:
        print(f"forethought: {error}", file=sys.stderr)
        return 2
    result = {
        "name": name,
        "command": shlex.join(["forethought", "bench", name, *_flags(given, variants), "--json"]),
        "seed": seed,
        "seconds": round(time.perf_counter() - start, 1),
        "machine": machine(),
        "figures": {key: _plain(figure) for key, figure in figures.items()},
    }
    print(json.dumps(result, indent=2) if given.json else _table(figures))
    return 0


def find_checkout(start: Path | None = None) -> Path:
    """The checkout that holds the benchmarks: the package's own, or one around the current folder.

    Args:
        start: Looked at, with its parents, after the package's own place; by default the current folder.

    Raises:
        ConfigError: Neither is a checkout.
    """
    own = Path(__file__).resolve().parents[2]
    here = (start or Path.cwd()).resolve()
    for folder in (own, here, *here.parents):
        if (folder / "benchmarks").is_dir() and (folder / "src" / "forethought").is_dir():
            return folder
    raise ConfigError(
        "benchmarks live in a checkout, not in the installed package: unpack the sdist "
        "(pip download --no-deps --no-binary=forethought forethought) or clone the repository, and run there"
    )


def find_benchmarks(checkout: Path) -> dict[str, str]:
    """Name of each benchmark and the first line of what its script says about itself."""
    scripts = sorted((checkout / "benchmarks").glob("*/run.py"))
    return {path.parent.name: path.read_text().lstrip('"').partition("\n")[0].rstrip('."') for path in scripts}


def machine() -> str:
    """Processor, its matrix extensions, memory and versions: what a timing depends on."""
    cpu = _cpu_info()
    extensions = [flag for flag in ("amx_bf16", "avx512_bf16") if flag in cpu.get("flags", "").split()]
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    parts = [
        f"{os.cpu_count()} x {cpu.get('model name', platform.machine())}",
        *extensions,
        f"{memory:.0f} GiB",
        f"Python {platform.python_version()}",
        *(f"{package} {found}" for package in ("numpy", "torch") if (found := _version(package))),
    ]
    return ", ".join(parts)


def _flags(given: argparse.Namespace, variants: Sequence[str]) -> list[str]:
    """What changes the figures, as it is typed."""
    flags = ["--quick"] if given.quick else []
    return flags + (["--variant", given.variant] if given.variant != next(iter(variants), "") else [])


def _parser(name: str, variants: Sequence[str]) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog=f"benchmarks/{name}/run.py")
    parser.add_argument("--quick", action="store_true", help="a smaller form; its figures are not comparable")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    data = os.environ.get(DATA_VARIABLE)
    parser.add_argument("--data", type=Path, default=Path(data) if data else None, help="folder of recorded tables")
    parser.add_argument("--cache", type=Path, default=Path("runs/bench") / name, help="folder for what takes long")
    parser.add_argument("--variant", choices=variants or ("",), default=next(iter(variants), ""), help="which form")
    return parser


def _plain(figure: Figure) -> dict[str, Any]:
    return {key: _rounded(value) for key, value in asdict(figure).items()}


def _rounded(value: Any) -> Any:
    """Six significant digits; NaN becomes null, since JSON has none."""
    if not isinstance(value, float):
        return value
    return float(f"{value:.6g}") if value == value else None


def _table(figures: Mapping[str, Figure]) -> str:
    width = max(map(len, figures), default=0)
    return "\n".join(f"{name:<{width}}  {figure}{_verdict(figure)}" for name, figure in figures.items())


def _verdict(figure: Figure) -> str:
    count = "" if figure.n is None else f"  n={figure.n}"
    return count + ("" if figure.goal is None else f"  goal {figure.goal}: {'met' if figure.met else 'missed'}")


def _short(value: float) -> str:
    return f"{value:.3f}" if abs(value) < 10 else f"{value:.1f}"


def _cpu_info() -> dict[str, str]:
    path = Path("/proc/cpuinfo")
    if not path.is_file():
        return {}
    lines = (line.partition(":") for line in path.read_text().splitlines())
    return {key.strip(): value.strip() for key, _, value in lines}


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return ""
