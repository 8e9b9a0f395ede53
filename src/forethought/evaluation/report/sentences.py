"""What the numbers say, in sentences that can be quoted with their intervals."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from forethought.evaluation.report.numbers import (
    Found,
    change,
    excludes_zero,
    per_thousand,
    percent,
    points,
    ranged,
    usd,
)
from forethought.evaluation.report.source import (
    ROUTER,
    Evaluated,
    best_single,
    card,
    operating,
    ranked,
    without_activations,
)
from forethought.metrics import unmap_tolerance

if TYPE_CHECKING:
    from forethought.evaluation.roi import Savings

CERTIFIED = "certified"


def verdict(evaluation: Evaluated) -> list[str]:
    """The first paragraph: which wins, whether that is more than noise, and what it costs or saves."""
    said = [_accuracy(evaluation), _winner(evaluation), _against_plain(evaluation)]
    row = operating(evaluation, CERTIFIED)
    if row is not None:
        said.append(_cost(evaluation, row))
    return [*said, certificate_sentence(evaluation)]


def certificate_sentence(evaluation: Evaluated) -> str:
    """What was proven about the served setting, or that nothing was."""
    found = evaluation["certificate"]
    tolerance = _points(unmap_tolerance(found["tolerance"]))
    smallest = unmap_tolerance(found["smallest_tolerance"])
    confidence = f"{100 * (1 - found['delta']):g}%"
    if found["verdict"] == "certified":
        return (
            f"Certified: with {confidence} confidence the chosen setting loses at most {tolerance} of accuracy against "
            f"always asking {found['safe']} (Learn-then-Test on n = {found['n']} questions used for nothing else; "
            f"the first setting on the path would still pass at {_hint(smallest)})."
        )
    return (
        f"Insufficient evidence: on n = {found['n']} questions no setting could be shown, with {confidence} "
        f"confidence, to lose at most {tolerance} of accuracy against always asking {found['safe']}, so the router "
        f"keeps asking it. "
        f"The smallest tolerance provable at this n is {_points(smallest)}."
    )


def routing_heading(evaluation: Evaluated) -> str:
    """What routing buys in accuracy."""
    gap, name = card(evaluation)["gap"], best_single(evaluation)
    if gap is None:
        return "The best target and the oracle are too close for routing to matter here"
    if gap["low"] is None or not excludes_zero(gap):
        return f"Routing is not shown to beat {name}: {percent(gap['value'])} of the gap, interval around zero"
    return f"Routing closes {percent(gap['value'])} of the gap between {name} and the oracle"


def frontier_heading(evaluation: Evaluated) -> str:
    """Whether the certified setting lies above what a coin between targets buys."""
    row = operating(evaluation, CERTIFIED) or (evaluation["operating"] or [None])[0]
    if row is None:
        return "What each dollar buys"
    hull = row["against_hull"]
    if hull is None:
        return f"No mixture of single targets is sure to reach the {row['name']} setting's accuracy"
    if not excludes_zero(hull):
        return f"The {row['name']} setting costs about what a static mixture of the same accuracy costs"
    word = "less" if hull["value"] < 0 else "more"
    return (
        f"At the same accuracy the {row['name']} setting costs {percent(abs(hull['value']))} {word} "
        "than a static mixture of targets"
    )


def reliability_heading(evaluation: Evaluated) -> str:
    """What calibration did to the mean calibration error."""
    rows = [r for r in evaluation["reliability"] if r["ece_before"] is not None and r["ece_after"] is not None]
    if not rows:
        return "Stated against observed success"
    before, after = (sum(r[key] for r in rows) / len(rows) for key in ("ece_before", "ece_after"))
    verb = "cuts" if after < before else "does not cut"
    return f"Calibration {verb} the mean calibration error: {before:.3f} before, {after:.3f} after"


def usage_heading(evaluation: Evaluated) -> str:
    """How the served setting spreads questions over targets."""
    rows = sorted(evaluation["usage"], key=lambda row: -row["share"])
    if rows[0]["share"] > 0.995:
        return f"The certified setting always asks {rows[0]['target']}"
    used = sum(row["share"] > 0.005 for row in rows)
    return f"The certified setting spreads questions over {used} targets, {rows[0]['target']} first"


def layers_heading(evaluation: Evaluated) -> str:
    """Which layer the router reads."""
    found = [
        f"{readout} at layer {' + '.join(map(str, choice['shared']['layers']))}"
        for readout, choice in evaluation["layers"].items()
    ]
    return f"The router reads {' and '.join(found)}"


def encoders_heading(evaluation: Evaluated) -> str:
    """Whether a target's own prefill tells more than a foreign one's."""
    single = [row for row in evaluation["encoders"] if len(row["encoders"]) == 1]
    known = [(name in row["own"], found["value"]) for row in single for name, found in row["auroc"].items()]
    own, foreign = ([value for mine, value in known if mine is kind and value is not None] for kind in (True, False))
    if not own or not foreign:
        return "Which encoder tells most about which target"
    pair = f"AUROC {sum(own) / len(own):.3f} against {sum(foreign) / len(foreign):.3f} on average"
    return f"A target's own prefill and a foreign one: {pair}"


def held_out_heading(evaluation: Evaluated) -> str:
    """What is left on kinds of questions that training never saw."""
    found = evaluation["held_out"]
    readers, others = (
        [c for c in ranked(found) if c["signal"].startswith("activations") is kind] for kind in (True, False)
    )
    if not readers or not others:
        return "On families that training never saw"
    first, rival = (f"{c['name']} {percent(c['accuracy']['value'])}" for c in (readers[0], others[0]))
    return f"On families never seen: {first} right, {rival} without activations"


def savings_heading(savings: Sequence[Savings]) -> str:
    """What the certified setting, or else the first, would save in a month."""
    found = next((s for s in savings if s.point == CERTIFIED), savings[0])
    saved = found.saved_usd
    if not (saved.low > 0 or saved.high < 0):
        return f"No saving or extra cost against {found.baseline} can be told from zero"
    verb = "saves" if saved.value > 0 else "costs"
    more = "" if saved.value > 0 else " more"
    return (
        f"At {found.queries:,} questions a month the {found.point} setting {verb} {usd(abs(saved.value))}{more} "
        f"against {found.baseline}"
    )


def _accuracy(evaluation: Evaluated) -> str:
    found, name = card(evaluation), best_single(evaluation)
    n, alone = found["accuracy"]["n"], evaluation["references"]["best_single"]["accuracy"]
    gap = found["gap"]
    share = (
        "the gap to the oracle is too small to divide by"
        if gap is None
        else f"{ranged(gap, percent)} of the gap to the oracle"
    )
    return (
        f"On {n:,} questions that nothing was fitted or chosen on, {ROUTER}, choosing for accuracy alone, gets "
        f"{ranged(found['accuracy'], percent)} right; always asking {name}, the best single target on the training "
        f"part, gets {percent(alone)}: {share}."
    )


def _winner(evaluation: Evaluated) -> str:
    order = ranked(evaluation)
    first = order[0]
    level = [other["name"] for other in order if other["accuracy"]["value"] == first["accuracy"]["value"]]
    if ROUTER in level and len(level) > 1:
        return f"Of {len(order)} contenders {len(level)} share the first place: {', '.join(level)}."
    if first["name"] == ROUTER:
        return f"Of {len(order)} contenders {ROUTER} is the most accurate; {order[1]['name']} comes second."
    if first in without_activations(evaluation):
        return f"Of {len(order)} contenders {first['name']} is the most accurate, and it never runs the encoder."
    gap = _difference(evaluation, first["name"])
    apart = "" if gap is None else f" ({ROUTER} minus it: {ranged(gap, points)} points of the gap, {_zero(gap)})"
    return f"Of {len(order)} contenders {first['name']} is the most accurate, not {ROUTER}{apart}."


def _against_plain(evaluation: Evaluated) -> str:
    rivals = without_activations(evaluation)
    if not rivals or (gap := _difference(evaluation, rivals[0]["name"])) is None:
        return ""
    conclusion = (
        f"so reading the prefill {'pays' if gap['value'] > 0 else 'loses'} in accuracy here"
        if excludes_zero(gap)
        else "so on these questions the two cannot be told apart"
    )
    return (
        f"{ROUTER} minus the best contender that never runs the encoder, {rivals[0]['name']}: {ranged(gap, points)} "
        f"points of the gap; {_zero(gap)}, {conclusion}."
    )


def _cost(evaluation: Evaluated, row: Found) -> str:
    accuracy, cost = row["against_best_single"]
    encoder = evaluation["frontier"]["encoder_cost"]
    return (
        f"The certified setting changes accuracy by {ranged(accuracy, points)} points and {_saving(cost)} against "
        f"{best_single(evaluation)}, the encoder's own prefill ({per_thousand(encoder)} per 1,000 questions) included."
    )


def _saving(cost: Found) -> str:
    if not excludes_zero(cost):
        return f"costs about the same ({ranged(cost, change)}, an interval that includes zero)"
    return f"{'saves' if cost['value'] < 0 else 'adds'} cost ({ranged(cost, change)})"


def _difference(evaluation: Evaluated, other: str) -> Found | None:
    gaps = [d["gap"] for d in evaluation["differences"] if d["name"] == ROUTER and d["other"] == other]
    return gaps[0] if gaps and gaps[0] and gaps[0]["value"] is not None else None


def _zero(found: Found) -> str:
    return "the interval excludes zero" if excludes_zero(found) else "the interval includes zero"


def _hint(tolerance: float) -> str:
    return _points(tolerance) if tolerance >= 0 else f"a demanded gain of {_points(-tolerance)}"


def _points(tolerance: float) -> str:
    return f"{100 * tolerance:.1f} points"
