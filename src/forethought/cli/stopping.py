"""`forethought stopping`: fit the probe that knows, before the first vote, whether voting will pay."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from forethought.cli.console import notes, print_json

if TYPE_CHECKING:
    from forethought.targets import LocalResponder
    from forethought.voting import PriceCertificate

SHARES = (0.8, 0.2)
"""Questions to fit on, and to certify on."""


def stopping(
    out: Path,
    *,
    samples: Path | None = None,
    target: str | None = None,
    pool: Path | None = None,
    questions: Path | None = None,
    examples: Path | None = None,
    cap: int = 16,
    tolerance: float = 0.02,
    delta: float = 0.1,
    seed: int = 0,
    json: Annotated[bool, Parameter(negative=())] = False,
) -> None:
    """Fit a stopping probe on recorded samples and the target's own prefill, and certify its price.

    Two heads forecast how often an answer is right and how often two agree; both set the prior of the `bayes`
    rule. Writes OUT, which `forethought route --stopping-probe OUT` votes by.

    Example: `forethought stopping runs/stopping`

    Args:
        out: Folder of the probe.
        samples: Outcomes as Parquet with several samples a question; by default the committed ones.
        target: Whose samples, where the table has several targets.
        pool: Pool file that describes the target, a local one; by default that of the committed samples.
        questions: Questions as JSON lines; by default the committed ones.
        examples: Solved questions of few-shot prompts; by default the committed ones.
        cap: Most answers of a vote.
        tolerance: Success that may be lost against the majority of `cap` answers.
        delta: Probability with which the certificate may be wrong.
        seed: Of the split and the folds.
        json: Print one JSON object.
    """
    from forethought.activations import read_prefill
    from forethought.data import default_questions, recorded_samples
    from forethought.errors import ConfigError, DataError
    from forethought.outcomes import Outcomes, split
    from forethought.questions import read_questions
    from forethought.voting import BayesVote, Samples, certify_price, fit_probe
    from forethought.voting.probe import default_layers

    BayesVote(cap=cap)  # refuses a cap that no plan can have before minutes of reading
    if not (0 < tolerance < 1 and 0 < delta < 1):
        raise ConfigError(f"tolerance and delta must lie in (0, 1), got {tolerance} and {delta}")
    recorded = Samples.read(Outcomes.read(samples or recorded_samples()), target)
    if cap > recorded.drawn:
        raise DataError(f"a vote may ask for {cap} answers, recorded are {recorded.drawn} a question")
    known = {question.id: question for question in read_questions(questions or default_questions())}
    if lacking := [id for id in recorded.question_ids if id not in known]:
        raise DataError(f"no text of question {lacking[0]!r} of the samples ({len(lacking)} are missing)")
    asked = [known[id] for id in recorded.question_ids]
    train, certify = split(asked, SHARES, seed=seed)
    responder = local_target(recorded.target, pool, examples)
    notes.print(f"reading the prefill of {len(asked)} questions")
    prefill = read_prefill(responder, asked, default_layers(responder.model.n_layers))
    notes.print(f"fitting two heads and the gate on {len(train)} questions")
    fitting = [asked[row] for row in train.tolist()]
    probe = fit_probe(recorded.take(train), prefill.take(train), fitting, fingerprint=responder.fingerprint, seed=seed)
    forecasts = probe.forecasts(prefill.take(certify), [asked[row].text for row in certify.tolist()])
    found = certify_price(recorded.take(certify), probe.gated, forecasts, cap=cap, tolerance=tolerance, delta=delta)
    verdict = _verdict(found, len(certify), delta)
    probe.with_price(found.price, cap, verdict).save(out)
    if json:
        print_json({"probe": str(out), "n": len(train), "certificate": verdict, "sentence": str(found)})
    else:
        print(f"stopping probe in {out}: {found}")


def _verdict(found: PriceCertificate, n: int, delta: float) -> dict[str, Any]:
    """What the artifact records of its certificate."""
    from forethought.metrics import unmap_tolerance

    return {
        "price": found.price,
        "cap": found.cap,
        "tolerance": found.tolerance,
        "delta": delta,
        "n": n,
        "smallest_tolerance": unmap_tolerance(found.certificate.smallest_tolerance),
        "p_values": [None if p != p else float(p) for p in found.certificate.p_values],
    }


def local_target(name: str, pool: Path | None, examples: Path | None) -> LocalResponder:
    """The local target of that name, single answers.

    Raises:
        ConfigError: No such target, or one behind an endpoint, whose prefill cannot be read.
    """
    from forethought.cli.responders import Responders
    from forethought.data import default_examples, recorded_samples
    from forethought.errors import ConfigError
    from forethought.outcomes import by_group
    from forethought.questions import read_questions
    from forethought.targets import LocalResponder
    from forethought.targets.pool import read_pool

    today = read_pool(pool or recorded_samples().with_name("sampling.toml"))
    solved = by_group(read_questions(examples or default_examples()))
    responder = Responders(today, solved).single(name)
    if not isinstance(responder, LocalResponder):
        raise ConfigError(f"target {name!r} is behind an endpoint; a stopping probe reads a local target's prefill")
    return responder
