"""How many labels it takes: to recalibrate on a new domain, and to earn what all the labels earn."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from auxiliary import Auxiliary
from choice import single_choice
from crossfit import Array, Contender, View
from scipy.special import expit
from splits import FOLDS, Rows

from forethought.metrics import brier, debiased_ece
from forethought.probes import PlattCalibrator
from forethought.probes.logistic_path import logistic_path

Fit = Callable[[Array, Array, Array], Array]
"""Logits and labels to learn from, logits to recalibrate; to P(success)."""

LABELS = (50, 100, 250, 1000)
DRAWS = 30
JOINT_C = 0.05
"""Inverse penalty of the joint heads, fixed beforehand: a hundred labels cannot choose one."""

CURVE = (50, 100, 250, 500, 1000, 2000)
CURVE_DRAWS = 2
SHARES = (0.5, 0.8, 0.95)


@dataclass(frozen=True)
class Recalibration:
    """A router moved to groups it never saw, mean over draws and over the two halves of the groups.

    Attributes:
        table: Its name.
        before: Debiased calibration error as the router came.
        error: Way -> labels -> debiased calibration error.
        excess: Way -> labels -> Brier score minus that of recalibration on all labels.
        draws: Draws behind each figure.
    """

    table: str
    before: float
    error: Mapping[str, Mapping[int, float]]
    excess: Mapping[str, Mapping[int, float]]
    draws: int


def recalibration(view: View, contender: Contender, *, seed: int, draws: int = DRAWS) -> Recalibration | None:
    """Train on half of the groups, recalibrate on n labels of the other half, test on the rest of that half.

    None where a table has too few groups for two halves of more than the largest number of labels.
    """
    halves = group_halves(view)
    if halves is None:
        return None
    rng = np.random.default_rng(seed)
    before, error, excess = [], _lists(), _lists()
    for source, target in (halves, halves[::-1]):
        P = contender.predict(view, source, target)
        Y = view.table.success[target]
        before.append(calibration_error(Y, P))
        z = logit(P)
        whole = {way: _cross_recalibrated(fit, z, Y) for way, fit in WAYS.items()}
        for _ in range(draws):
            order = rng.permutation(len(target))
            best = {way: found[order] for way, found in whole.items()}
            for way, n, found in _draw(z[order], Y[order], best):
                error[way][n].append(found[0])
                excess[way][n].append(found[1])
    return Recalibration(view.table.name, float(np.mean(before)), _means(error), _means(excess), draws)


def group_halves(view: View) -> tuple[Rows, Rows] | None:
    """Rows of two halves of the groups, dealt largest first; none where the smaller has too few for a test."""
    names, group, sizes = np.unique(view.table.groups, return_inverse=True, return_counts=True)
    if len(names) < FOLDS:
        return None
    side, filled = np.zeros(len(names), dtype=bool), [0, 0]
    for index in np.argsort(-sizes, kind="stable"):
        side[index] = filled[1] < filled[0]
        filled[int(side[index])] += sizes[index]
    parts = np.flatnonzero(~side[group]), np.flatnonzero(side[group])
    # A component of equal text that spans both halves serves neither.
    shared = np.intersect1d(view.split.component[parts[0]], view.split.component[parts[1]])
    first, second = (rows[~np.isin(view.split.component[rows], shared)] for rows in parts)
    return (first, second) if min(len(first), len(second)) > max(LABELS) + 200 else None


def _draw(z: Array, Y: Array, best: Mapping[str, Array]) -> Iterator[tuple[str, int, tuple[float, float]]]:
    """Error and excess over the best of each way at each number of labels, on the rows after the most labels."""
    test = slice(max(LABELS), None)
    for way, fit in WAYS.items():
        everything = brier(Y[test], best[way][test])
        for n in LABELS:
            P = fit(z[:n], Y[:n], z[test])
            yield way, n, (calibration_error(Y[test], P), brier(Y[test], P) - everything)


def _cross_recalibrated(fit: Fit, z: Array, Y: Array) -> Array:
    """Recalibration on all labels of the domain but a fold's own."""
    P, fold = np.empty_like(Y), np.arange(len(Y)) % FOLDS
    for held in range(FOLDS):
        P[fold == held] = fit(z[fold != held], Y[fold != held], z[fold == held])
    return P


def platt(z: Array, Y: Array, ask: Array) -> Array:
    """A slope and an offset a target."""
    return PlattCalibrator().fit(z, Y).transform(ask)


def joint(z: Array, Y: Array, ask: Array) -> Array:
    """A logistic head a target on every target's logit, as `forethought calibrate` has it, at one fixed penalty."""
    centre, scale = z.mean(axis=0), np.maximum(z.std(axis=0), 1e-6)
    coef, intercept = next(logistic_path((z - centre) / scale, Y, np.ones(Y.shape), np.array([JOINT_C])))
    return expit((ask - centre) / scale @ coef + intercept)


WAYS = {"Platt, one target at a time": platt, "joint heads": joint}


def calibration_error(Y: Array, P: Array) -> float:
    """Debiased, mean over targets."""
    return float(np.mean([debiased_ece(y, p, draws=20) for y, p in zip(Y.T, np.clip(P, 0, 1).T, strict=True)]))


def logit(P: Array) -> Array:
    p = np.clip(P, 1e-4, 1 - 1e-4)
    return np.log(p / (1 - p))


def learning_curve(view: View, contender: Contender, *, seed: int) -> dict[int, Array]:
    """Labels -> success of the routed target, (n,), mean over draws of that many training rows of each fold."""
    Y, fold, rng = view.table.success, view.split.fold, np.random.default_rng(seed)
    plain = View(view.table, view.split, view.features, Auxiliary.none(view.table))
    curve = {}
    least = min(len(view.split.train(held)) for held in range(FOLDS))
    for labels in (size for size in CURVE if size < least):
        total = np.zeros(len(Y))
        for _ in range(CURVE_DRAWS):
            for held in range(FOLDS):
                rows = rng.permutation(view.split.train(held))[:labels]
                test = np.flatnonzero(fold == held)
                total[test] += Y[test, contender.predict(plain, np.sort(rows), test).argmax(axis=1)]
        curve[labels] = total / CURVE_DRAWS
    return curve


def labels_needed(gains: Mapping[int, float], share: float) -> float:
    """Labels at which the gain first reaches a share of the last one's, between two sizes by log labels; NaN if never.

    The curve is made non-decreasing first: that more labels lose is noise.
    """
    sizes = sorted(gains)
    rising = np.maximum.accumulate([gains[n] for n in sizes])
    wanted = share * gains[sizes[-1]]
    reached = np.flatnonzero(rising >= wanted)
    if not reached.size or wanted <= 0:
        return float("nan")
    at = int(reached[0])
    if at == 0:
        return float(sizes[0])
    part = (wanted - rising[at - 1]) / (rising[at] - rising[at - 1])
    return float(np.exp(np.interp(part, [0, 1], np.log([sizes[at - 1], sizes[at]]))))


def gains(view: View, curve: Mapping[int, Array], whole: Array) -> dict[int, float]:
    """Labels -> accuracy gained over the best single target, the full data's included."""
    single = view.table.success[np.arange(len(view.table)), single_choice(view)].mean()
    full = int(np.mean([len(view.split.train(held)) for held in range(FOLDS)]))
    return {**{n: float(hits.mean() - single) for n, hits in curve.items()}, full: float(whole.mean() - single)}


def _lists() -> dict[str, dict[int, list[float]]]:
    return {way: {n: [] for n in LABELS} for way in WAYS}


def _means(found: Mapping[str, Mapping[int, Sequence[float]]]) -> dict[str, dict[int, float]]:
    return {way: {n: float(np.mean(values)) for n, values in row.items()} for way, row in found.items()}
