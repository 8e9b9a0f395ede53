"""Published packages on the same samples, beside the probe at as many samples."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from figures import Bootstrap
from published.published import published
from rules import CAP, SAMPLES, SUCCESS, Array

from forethought.bench import Figure
from forethought.metrics import static_hull
from forethought.voting import Samples

NAMES = {
    "its-hub BetaSelfConsistency .95": "its_hub_beta",
    "its-hub AdaptiveSelfConsistency .75": "its_hub_adaptive",
    "AdaptiveConsistency beta .95": "adaptive_consistency_beta",
    "AdaptiveConsistency majority .8": "adaptive_consistency_majority",
    "AdaptiveConsistency entropy .75": "adaptive_consistency_entropy",
}


def published_figures(samples: Samples, probe: Array, cache: Path, bootstrap: Bootstrap) -> dict[str, Figure]:
    """Accuracy, answers decided on and requests paid for; empty where the packages do not install.

    Each package sees the first `CAP` answers in one order, and has no more. `probe_gain_over_X` is the accuracy of the
    probe's best mixture that draws as many answers as X counts, less X's.

    Args:
        samples: Recorded answers of n questions.
        probe: The probe's settings and those it may be mixed with, in the first order alone, (n, S, 4).
        cache: Where the packages' environment is kept.
        bootstrap: Of the same questions.
    """
    shown = samples.shuffled(0)
    found = published(dict(zip(shown.question_ids, shown.answers[:, :CAP].tolist(), strict=True)), cache)
    figures: dict[str, Figure] = {}
    for rule, rows in found.items():
        right = [_graded(shown, place, row.answer) for place, row in enumerate(rows)]
        own = np.column_stack([right, [row.counted for row in rows], [row.charged for row in rows]])
        columns = np.column_stack([own, probe[:, :, SAMPLES], probe[:, :, SUCCESS]])

        def statistic(mean: Array) -> Array:
            samples, success = np.split(mean[3:], 2)
            return np.array([*mean[:3], static_hull(samples, success).accuracy_at(mean[1]) - mean[0]])

        accuracy, counted, charged, gain = bootstrap.means(columns, statistic)
        name = NAMES[rule]
        figures |= {f"{name}_accuracy": accuracy, f"{name}_counted": counted, f"{name}_charged": charged}
        figures[f"probe_gain_over_{name}"] = gain
    return figures


def _graded(samples: Samples, row: int, answer: str | None) -> float:
    """Success of an answer; one that could not be read is wrong."""
    return 0.0 if answer is None else float(samples.success[row, samples.answers[row].tolist().index(answer)])
