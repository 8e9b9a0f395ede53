"""`forethought fit`: learn a router from outcomes and activations."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from forethought.cli.console import notes, print_json
from forethought.router.config import FitConfig


def fit(
    out: Path,
    *,
    activations: Annotated[Sequence[Path], Parameter(consume_multiple=True, negative=())] = (),
    questions: Path | None = None,
    outcomes: Path | None = None,
    pool: Path | None = None,
    settings: Annotated[FitConfig | None, Parameter(name="*")] = None,
    json: Annotated[bool, Parameter(negative=())] = False,
) -> None:
    """Fit a router: layer, head, calibration, expected tokens, and a certified setting.

    Writes OUT/router (the artifact), OUT/fit (who stood in which part) and OUT/fit.toml.

    Example: `forethought fit runs/mine --activations runs/mine/activations --tolerance 0.05`

    Args:
        out: Folder of the run.
        activations: Activation stores; by default OUT/activations.
        questions: Questions as JSON lines; by default the committed ones.
        outcomes: Outcomes as Parquet; by default the committed ones.
        pool: Pool file with today's prices; by default the embedded models' pool.
        settings: How to fit.
        json: Print one JSON object.
    """
    from forethought.cli.inputs import Inputs
    from forethought.cli.settings import write_settings

    config = settings or FitConfig()
    stores = tuple(activations) or (out / "activations",)
    manifest = run_fit(out, Inputs(stores, questions, outcomes, pool), config)
    given = {"activations": stores, "questions": questions, "outcomes": outcomes, "pool": pool}
    write_settings(out / "fit.toml", "fit", {"out": out, **given, **config.model_dump()})
    if json:
        print_json({"router": str(out / "router"), **manifest["fit"], "certificate": manifest["certificate"]})
    else:
        print(f"router in {out / 'router'}: {certificate_sentence(manifest['certificate'])}")


def run_fit(out: Path, inputs: Any, config: FitConfig) -> dict[str, Any]:
    """Fit, save router and record, and return the manifest."""
    from forethought.evaluation import plain
    from forethought.router import fit_router, save_fit

    data = inputs.dataset(config)
    prices = inputs.price_list([target.name for target in data.targets])
    fitted = fit_router(data, config, prices, say=notes.print)
    fitted.router.save(out / "router")
    save_fit(fitted, data, out / "fit", plain(dict(fitted.layers)))
    return dict(fitted.router.manifest)


def certificate_sentence(certificate: dict[str, Any]) -> str:
    """The certificate in one sentence."""
    from forethought.metrics import unmap_tolerance

    smallest = unmap_tolerance(certificate["smallest_tolerance"])
    asked = unmap_tolerance(certificate["tolerance"])
    if certificate["verdict"] == "certified":
        setting = ", ".join(f"{name} {value:.3g}" for name, value in certificate["setting"].items())
        return (
            f"{certificate['policy']} ({setting}) loses at most {asked:.3f} success against always "
            f"{certificate['safe']}, with probability {1 - certificate['delta']:.0%} (n={certificate['n']})"
        )
    return (
        f"insufficient evidence at n={certificate['n']} for a loss of at most {asked:.3f}: it keeps always "
        f"{certificate['safe']}; the smallest tolerance provable here is {smallest:.3f}"
    )
