"""`forethought study`: the README's figures, from the whole committed table."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from forethought.cli.console import console, notes, progress

if TYPE_CHECKING:
    from forethought.cli.inputs import Inputs
    from forethought.router import FitConfig
    from forethought.targets.pool import Pool

FOREIGN = "gemma-3-270m"


def study(out: Path = Path("runs/study"), *, seed: int = 0, draws: int = 2000) -> None:
    """Extract every layer and readout, select, fit, evaluate, hold families out; a killed run resumes.

    Also compares encoders where Gemma-3-270M is installed. Takes up to 90 minutes on 2 cores.

    Example: `forethought study --out runs/study`

    Args:
        out: Folder of the run.
        seed: Seed of the split, the folds and the networks.
        draws: Bootstrap draws behind every interval.
    """
    from forethought.cli.evaluate import run_evaluation, write_json
    from forethought.cli.fit import run_fit
    from forethought.cli.inputs import Inputs
    from forethought.data import default_pool
    from forethought.evaluation import plain
    from forethought.router import FitConfig
    from forethought.targets.pool import read_pool

    config = FitConfig(seed=seed)
    _check_same_study(out, config, draws)
    pool = read_pool(default_pool())
    stores = _extract_all(pool, out)
    inputs = Inputs(stores)
    if not (out / "fit").exists():  # written after the router: one without it was killed in between
        run_fit(out, inputs, config)
    found = _resumed(out / "evaluation.json", lambda: run_evaluation(out, inputs, draws))
    parts = {
        "held_out": lambda: plain(_held_out(inputs, config, draws)),
        "strategies": lambda: plain(_strategies(inputs, config)),
        "seeds": lambda: plain(_seeds(inputs, config)),
    }
    for name, compute in parts.items():
        notes.print(f"study: {name.replace('_', ' ')}")
        found[name] = _resumed(out / f"{name}.json", compute)
        write_json(out / f"{name}.json", found[name])
    found["command"] = {"command": "forethought study", "seed": seed, "draws": draws}
    write_json(out / "evaluation.json", found)
    _write_report(found, out)
    console.print(f"study in {out}: report.html, README.md, evaluation.json, frontier.png")


def _check_same_study(out: Path, config: FitConfig, draws: int) -> None:
    """A run is resumed only under the settings it was begun with, or its record would name the wrong ones.

    Raises:
        ConfigError: The folder holds a study of another seed, other settings or other draws.
    """
    from forethought.artifacts import atomic_write
    from forethought.errors import ConfigError

    begun, asked = out / "study.json", {"config": config.model_dump(mode="json"), "draws": draws}
    if not begun.exists():
        with atomic_write(begun) as temporary:
            temporary.write_text(json.dumps(asked, indent=1) + "\n")
    elif json.loads(begun.read_text()) != asked:
        raise ConfigError(f"{out} holds a study of other settings than seed {config.seed}, {draws} draws: see {begun}")


def _write_report(found: dict[str, Any], out: Path) -> None:
    """The page and the picture; the paper's own recorded points where the recorded tables are given."""
    from forethought.artifacts import atomic_write
    from forethought.cli.evaluate import QUERIES_PER_MONTH
    from forethought.evaluation.report import read_published, save_frontier, study_markdown, write_report
    from forethought.evaluation.roi import monthly_savings

    tables = os.environ.get("FORETHOUGHT_DATA")
    published = read_published(tables) if tables else None
    savings = monthly_savings(found, queries_per_month=QUERIES_PER_MONTH)
    write_report(found, out / "report.html", published=published, savings=savings)
    save_frontier(found, out / "frontier.svg")
    save_frontier(found, out / "frontier.png")
    with atomic_write(out / "README.md") as temporary:
        temporary.write_text(study_markdown(found))


def _extract_all(pool: Pool, out: Path) -> tuple[Path, ...]:
    """Stores of the router's encoder and, where it is installed, of a foreign one."""
    from forethought.activations import extract, load_encoder
    from forethought.data import default_questions
    from forethought.models import list_models
    from forethought.questions import read_questions
    from forethought.targets.pool import EncoderEntry

    encoders = [pool.encoder]
    if any(state.name == FOREIGN and state.installed for state in list_models()):
        encoders.append(EncoderEntry(model=FOREIGN))
    questions, stores = read_questions(default_questions()), []
    for entry in encoders:
        store = out / "activations" / entry.model
        with progress(f"extract {entry.model}") as report:
            extract(load_encoder(entry.model, system=entry.system), questions, store, report=report)
        stores.append(store)
    return tuple(stores)


def _held_out(inputs: Inputs, config: FitConfig, draws: int) -> Any:
    from forethought.evaluation import held_out_families

    data = inputs.dataset(config)
    return held_out_families(data, config, inputs.price_list([t.name for t in data.targets]), draws=draws)


def _strategies(inputs: Inputs, config: FitConfig) -> Any:
    from forethought.evaluation import compare_strategies

    return compare_strategies(inputs.dataset(config), config)


def _seeds(inputs: Inputs, config: FitConfig) -> Any:
    from forethought.evaluation import over_seeds

    data = inputs.dataset(config)
    return over_seeds(data, config, inputs.price_list([t.name for t in data.targets]), seeds=range(1, 4))


def _resumed(path: Path, compute: Callable[[], Any]) -> Any:
    """What an earlier run wrote, or what `compute` gives now."""
    return json.loads(path.read_text()) if path.exists() else compute()
