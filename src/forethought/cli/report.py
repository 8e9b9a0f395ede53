"""`forethought report`: the HTML page of an evaluation, or the savings it projects."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from forethought.cli.console import print_json, print_table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from forethought.evaluation.roi import PriceChange, Savings


def report(
    evaluation: Path,
    *,
    out: Path = Path("report.html"),
    picture: Path | None = None,
    data: Path | None = None,
    roi: Annotated[bool, Parameter(negative=())] = False,
    queries: int = 1_000_000,
    baseline: str = "best single",
    pool: Path | None = None,
    json: Annotated[bool, Parameter(negative=())] = False,
) -> None:
    """Write an evaluation's report as one HTML file, or project its savings.

    Example: `forethought report runs/mine/evaluation.json --out report.html`

    Example: `forethought report runs/mine/evaluation.json --roi --queries 5000000 --baseline dearest`

    Args:
        evaluation: `evaluation.json` that `forethought evaluate` wrote.
        out: Page to write.
        picture: Save the cost-accuracy picture too, as .svg or .png.
        data: Folder with the papers' recorded `lambda_sweeps.csv` and `routing_points.csv`, shown as theirs.
        roi: Print the projected savings and write no page.
        queries: Questions a month.
        baseline: What answers everything today: `best single`, `dearest`, or one of their names.
        pool: Pool file (TOML) with other prices than the evaluation's.
        json: Print one JSON object.
    """
    from forethought.evaluation.report import read_evaluation, read_published, save_frontier, write_report
    from forethought.evaluation.roi import monthly_savings

    found = read_evaluation(evaluation)
    prices = _prices(pool) if pool is not None else None
    savings = monthly_savings(found, queries_per_month=queries, baseline=baseline, prices=prices)
    if roi:
        _print_savings(savings, json=json)
        return
    write_report(found, out, published=read_published(data) if data is not None else None, savings=savings)
    if picture is not None:
        save_frontier(found, picture)
    if json:
        print_json({"path": str(out), "picture": picture and str(picture)})
        return
    print(f"report: {out}")


def _prices(path: Path) -> PriceChange:
    from forethought.evaluation.roi import PriceChange
    from forethought.targets.pool import read_pool

    pool = read_pool(path)
    return PriceChange(pool.prices, pool.encoder.price)


def _print_savings(savings: Sequence[Savings], *, json: bool) -> None:
    from forethought.evaluation.report.numbers import change, points, ranged, usd

    if json:
        print_json([found.json() for found in savings])
        return
    rows = [
        [
            s.point,
            usd(s.baseline_usd),
            usd(s.routed_usd),
            usd(s.encoder_usd),
            ranged(s.saved_usd._asdict(), usd),
            ranged(s.saved_share._asdict(), change),
            ranged(s.accuracy_change._asdict(), points),
        ]
        for s in savings
    ]
    title = f"{savings[0].queries:,} questions a month instead of {savings[0].baseline} (n={savings[0].saved_usd.n})"
    print_table(title, ("setting", "before", "after", "encoder", "saved", "share saved", "accuracy, points"), rows)
