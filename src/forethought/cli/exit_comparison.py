"""What one answer took with exits, beside what the unmodified model took for its own."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from rich.table import Table

from forethought.cli.exit_answer import DepthWriter, Written, share, write

if TYPE_CHECKING:
    from collections.abc import Callable

    from forethought.core import DecodingPolicy
    from forethought.early_exit.task import Task

_WARM = 4
"""Tokens of the answer that nobody measures."""

_TOTALS = {"tokens": "tokens", "layers": "layers", "macs": "MACs", "seconds": "seconds"}
_TOTALS_OF_DRAFTS = {
    "tokens": "tokens",
    "layers": "layers",
    "layer_calls": "layer calls",
    "macs": "MACs",
    "seconds": "seconds",
}
"""A check runs a layer once for several tokens, so that it calls fewer than it computes."""


def warm_up(task: Task, make: Callable[[DecodingPolicy], Any], writer: DepthWriter) -> None:
    """Write a few tokens that nobody sees or measures: the first answer of a process pays for what later ones find."""
    short = replace(task.policy, max_tokens=min(_WARM, task.policy.max_tokens))
    write(task, make(short), replace(writer, out=None))


def saved(ours: Written, whole: Written) -> dict[str, float | None]:
    """Share of each total that was spared; None where the unmodified model took nothing."""
    return {
        name: 1 - ours.totals[name] / total if total else None
        for name, total in whole.totals.items()
        if name != "tokens"
    }


def comparison(ours: Written, whole: Written, name: str) -> Table:
    """Totals of both answers, and what was spared.

    Args:
        ours: As it was asked for.
        whole: The unmodified model's.
        name: Of the first.
    """
    header = _TOTALS_OF_DRAFTS if ours.totals["layers"] != ours.totals["layer_calls"] else _TOTALS
    table = Table(box=None, pad_edge=False, header_style="dim")
    table.add_column("")
    for each in header.values():
        table.add_column(each, justify="right")
    for label, totals in ((name, ours.totals), ("unmodified", whole.totals)):
        table.add_row(label, *(_written(key, totals[key]) for key in header))
    spared = saved(ours, whole)
    table.add_row("saved", *("" if (part := spared.get(key)) is None else share(part) for key in header))
    return table


def about(ours: Written, whole: Written) -> str:
    """How to read the table."""
    same = "the same text" if ours.tokens == whole.tokens else f"another text, whose totals are its own: {whole.text!r}"
    prompt = f"{whole.prompt_tokens} tokens, {_written('macs', whole.prompt_macs)} MACs"
    return (
        f"the unmodified model: {same}\nof generated tokens: the prompt's own pass ({prompt}) is the same for both and "
        "not in it; seconds are of one run each, after a short one that was not measured"
    )


def _written(name: str, total: float) -> str:
    if name == "seconds":
        return f"{total:.2f}"
    if name == "macs":
        return f"{total / 1e9:.2f} G" if total >= 1e7 else f"{total / 1e6:.2f} M"
    return f"{total:,.0f}"
