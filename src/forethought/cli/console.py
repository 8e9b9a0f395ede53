"""What every verb prints with: tables for people, one JSON object for machines, a bar for waits."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Protocol

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table

console = Console(stderr=False, highlight=False)
notes = Console(stderr=True, highlight=False)


class Report(Protocol):
    """Called as work goes on, with what is done of how much."""

    def __call__(self, done: int, total: int, text: str = "") -> None:
        """Take note of progress."""


def print_json(value: Mapping[str, Any] | Sequence[Any]) -> None:
    """Print one JSON value; NaN and infinity become null, since JSON has neither."""
    json.dump(_finite(value), sys.stdout, indent=2, default=str)
    sys.stdout.write("\n")


def print_table(title: str, header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a table; every column but the first is right-aligned."""
    table = Table(title=title, title_justify="left", title_style="bold", header_style="dim")
    for index, name in enumerate(header):
        table.add_column(name, justify="left" if index == 0 else "right", overflow="fold")
    for row in rows:
        table.add_row(*row)
    console.print(table)


@contextmanager
def progress(label: str) -> Iterator[Report]:
    """Show a bar on stderr, where that is a terminal, while the body calls the reporter."""
    bar = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=notes,
        disable=not notes.is_terminal,
    )
    with bar:
        task = bar.add_task(label, total=None)

        def report(done: int, total: int, text: str = "") -> None:
            bar.update(task, completed=done, total=total, description=f"{label} {text}".rstrip())

        yield report


def _finite(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
