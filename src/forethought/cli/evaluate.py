"""`forethought evaluate`: score a fitted router on questions it never saw, beside everything it competes with."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter
from rich.console import Console

from forethought.cli.console import console, notes, print_json, progress

if TYPE_CHECKING:
    from forethought.cli.inputs import Inputs
    from forethought.evaluation import Contender
    from forethought.router import Dataset, Fit, FitConfig

QUERIES_PER_MONTH = 1_000_000
"""Volume that the report projects savings for; `forethought report --roi` takes any other."""


def evaluate(
    run: Path,
    *,
    activations: Annotated[Sequence[Path], Parameter(consume_multiple=True, negative=())] = (),
    questions: Path | None = None,
    outcomes: Path | None = None,
    pool: Path | None = None,
    budget: str | None = None,
    draws: int = 1000,
    json: Annotated[bool, Parameter(negative=())] = False,
) -> None:
    """Evaluate RUN/router on the report part and write RUN/evaluation.json and RUN/report.html.

    Example: `forethought evaluate runs/mine --budget 0.00001/question`

    Args:
        run: Folder of a fit.
        activations: Activation stores, the fit's first; a second encoder's store adds the own-or-foreign matrix.
        questions: Questions as JSON lines; by default the committed ones.
        outcomes: Outcomes as Parquet; by default the committed ones.
        pool: Pool file with today's prices.
        budget: Mean USD a question to serve the report part under, as 0.002/question or 0.002; adds a section on what
            allocation over the pool's targets (models, votes, depths) buys with it, beside other rules.
        draws: Bootstrap draws behind every interval.
        json: Print the evaluation as one JSON object.
    """
    from forethought.cli.inputs import Inputs
    from forethought.evaluation import read_budget

    stores = tuple(activations) or (run / "activations",)
    usd = None if budget is None else read_budget(budget)
    inputs = Inputs(stores, questions, outcomes, pool)
    found = run_evaluation(run, inputs, draws, budget=usd, out=notes if json else console)
    if json:
        print_json(found)


def run_evaluation(
    run: Path, inputs: Inputs, draws: int, *, budget: float | None = None, out: Console = console
) -> dict[str, Any]:
    """Evaluate, write JSON and HTML, print the table, and return the evaluation as plain data."""
    from forethought.evaluation import diagnose, encoder_matrix, evaluate_budget, plain
    from forethought.evaluation import evaluate as evaluate_fit
    from forethought.evaluation.report import render_table, write_report
    from forethought.evaluation.roi import monthly_savings

    fit, data, config = read_run(run, inputs)
    confidence = inputs.confidence([question.id for question in data.questions])
    # First, since a budget that nothing can keep is a user's error, and contenders take minutes.
    served = None if budget is None else evaluate_budget(data, fit, fit.router.prices, budget, draws=draws)
    with progress("evaluate") as report:
        found = evaluate_fit(
            data,
            fit,
            rivals(data, fit, config, confidence),
            fit.router.prices,
            draws=draws,
            say=report,
        ).json()
    found["diagnostics"] = plain(diagnose(data, fit))
    found["encoders"] = plain(encoder_matrix(data, fit, config, draws=draws)) if len(data.stores) > 1 else []
    if served is not None:
        found["budget"] = plain(served)
    write_json(run / "evaluation.json", found)
    costs = found["frontier"]["targets"][found["about"]["best_single"]]["cost"]
    savings = monthly_savings(found, queries_per_month=QUERIES_PER_MONTH) if costs else ()
    write_report(found, run / "report.html", savings=savings)
    out.print(render_table(found))
    return found


def rivals(data: Dataset, fit: Fit, config: FitConfig, confidence: Sequence[str] | None) -> list[Contender]:
    """Every contender but the one that the router itself is."""
    from forethought.evaluation import baselines, heads

    itself = {"logistic": "separate logistic heads", "trunk": "SharedTrunkNet"}.get(config.head, config.head)
    every = [*baselines(data, confidence), *heads(fit.router.heads.features, config)]
    return [contender for contender in every if contender.name != itself]


def read_run(run: Path, inputs: Inputs) -> Any:
    """A fit, its data set and its configuration, read back from a run's folder."""
    from forethought.router import FitConfig, Router, load_fit

    pool = inputs.read_pool()
    router = Router.load(run / "router", prices=pool.prices, encoder_price=pool.encoder.price)
    config: FitConfig = FitConfig(**{**router.manifest["config"], "targets": router.heads.names})
    data = inputs.dataset(config)
    return load_fit(run / "fit", router, data), data, config


def write_json(path: Path, value: Any) -> None:
    """Write JSON whole or not at all."""
    from json import dumps

    from forethought.artifacts import atomic_write

    with atomic_write(path) as temporary:
        temporary.write_text(dumps(value, indent=1, allow_nan=False) + "\n")
