"""Where in the encoder the signal is: AUROC and Fisher separability by layer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from forethought.evaluation.report.drawing import DASHES, SERIES, canvas, legend_below, light
from forethought.evaluation.report.source import Evaluated

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

READING = (
    "Each line is a target, each column a way to read the prefill; the ring marks the layer that the router reads. "
    "J is bias-corrected; the dotted lines are its mean under permuted labels: a J near its dotted line says nothing."
)


def draw_layers(evaluation: Evaluated, width: float) -> Figure:
    """Cross-validated AUROC (top) and J with its permutation null (bottom), one column a readout."""
    readouts = list(evaluation["layers"])
    wide = width > 5
    height = (2.3 if wide else 1.9) * 2 + 0.5
    columns = len(readouts) if wide else 1
    rows = 2 if wide else 2 * len(readouts)
    figure, axes = canvas(
        width, height if wide else 2.0 * rows + 0.7, rows, columns, sharex=True, sharey="row" if wide else False
    )
    for number, readout in enumerate(readouts):
        top, bottom = (axes[0, number], axes[1, number]) if wide else (axes[2 * number, 0], axes[2 * number + 1, 0])
        top.set_title(f"readout: {readout}")
        _auroc(top, evaluation, readout)
        _separability(bottom, evaluation, readout)
        if number == 0 or not wide:
            top.set_ylabel("AUROC")
            bottom.set_ylabel("Fisher J")
    for ax in axes[-1]:
        ax.set_xlabel("layer (0 = embeddings)")
    legend_below(figure, 3 if wide else 2)
    return figure


def layer_rows(evaluation: Evaluated) -> list[dict[str, Any]]:
    """One row a target and readout: best layer, its AUROC and J beside J's null, rank correlation over layers."""
    null = {(row["target"], row["readout"], row["layer"]): row for row in _separabilities(evaluation)}
    rows = []
    for readout, choice in evaluation["layers"].items():
        for k, target in enumerate(evaluation["about"]["targets"]):
            best, correlation = choice["per_target"][k], choice["rank_correlation"][k]
            beside = null.get((target, readout, best["layers"][0]), {})
            found = {key: beside.get(key) for key in ("null_mean", "null_p", "within")}
            rows.append({"target": target, "readout": readout, **best, **found, "rank_correlation": correlation})
    return rows


def geometry_rows(evaluation: Evaluated) -> list[dict[str, Any]]:
    """One row a readout and layer: effective dimension and anisotropy, the same for every target."""
    rows: dict[tuple[str, int], dict[str, Any]] = {}
    for row in evaluation.get("diagnostics") or ():
        shown = {key: row[key] for key in ("readout", "layer", "effective_dimension", "anisotropy")}
        rows.setdefault((row["readout"], row["layer"]), shown)
    return list(rows.values())


def _separabilities(evaluation: Evaluated) -> list[dict[str, Any]]:
    """Rows of the diagnostics where J could be told, flat."""
    return [
        {**row, **row["fisher"], "within": (row.get("within") or {}).get("J"), "layers": [row["layer"]]}
        for row in evaluation.get("diagnostics") or ()
        if row["fisher"] is not None
    ]


def _auroc(ax: Axes, evaluation: Evaluated, readout: str) -> None:
    choice = evaluation["layers"][readout]
    for k, target in enumerate(evaluation["about"]["targets"]):
        _line(ax, choice["table"][k], "cv_auc", k, label=target)
    shared = choice["shared"]
    if shared["fusion"] == "single" and shared["cv_auc"] is not None:
        ax.plot(
            shared["layers"], [shared["cv_auc"]], linestyle="none", marker="o", markersize=10, fillstyle="none",
            color=light("ink"), label="layer read (mean of targets)",
        )  # fmt: skip


def _separability(ax: Axes, evaluation: Evaluated, readout: str) -> None:
    rows = [row for row in _separabilities(evaluation) if row["readout"] == readout]
    for k, target in enumerate(evaluation["about"]["targets"]):
        if mine := [row for row in rows if row["target"] == target]:
            _line(ax, mine, "J", k)
            _line(ax, mine, "null_mean", k, linestyle=":", linewidth=0.9, marker="")
        else:
            _line(ax, evaluation["layers"][readout]["table"][k], "J", k)
    ax.axhline(0, color=light("muted"), linewidth=0.6)


def _line(ax: Axes, rows: Sequence[Mapping[str, Any]], key: str, k: int, **style: Any) -> None:
    points = sorted((row["layers"][0], row[key]) for row in rows if len(row["layers"]) == 1 and row[key] is not None)
    plain = {
        "color": light(SERIES[k % len(SERIES)]),
        "linestyle": DASHES[k % len(DASHES)],
        "marker": ".",
        "linewidth": 1.3,
    }
    ax.plot([layer for layer, _ in points], [value for _, value in points], **{**plain, **style})
