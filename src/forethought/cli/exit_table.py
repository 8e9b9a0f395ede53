"""What every rule keeps and spares: a table, JSON, and the page with the heat map."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.table import Table

from forethought.cli.console import console

if TYPE_CHECKING:
    from forethought.cli.heat_map import HeatAnswer
    from forethought.early_exit.base import ExitRule
    from forethought.early_exit.evaluation import Evaluation, RuleEvaluation
    from forethought.early_exit.model import ExitModel
    from forethought.early_exit.task import Task

THRESHOLDS = (0.95, 0.9, 0.8, 0.7, 0.5)
GAPS = (0.9, 0.5)
"""Thresholds of CALM's softmax gap, for comparison."""
_CUTS = 4
"""Static cuts to compare with, the deepest exit among them."""

HEADER = ("rule", "accuracy", "points lost", "layers", "MACs saved", "same answer", "same token")
SHORT = ("rule", "right", "points lost", "at most", "layers", "MACs saved", "same answer", "same token")
"""Without intervals but for the upper limit of what is lost."""


@dataclass(frozen=True)
class Contest:
    """Rules on the same questions.

    Attributes:
        model: Model with exits.
        task: Questions.
        certified: The artifact's threshold, where it has one.
        thresholds: Of the gates.
    """

    model: ExitModel
    task: Task
    certified: float | None
    thresholds: Sequence[float]

    @property
    def rules(self) -> dict[str, ExitRule]:
        """Name -> rule, in the order of the table.

        Raises:
            ConfigError: A threshold outside [0, 1].
        """
        from forethought.early_exit.confidences import GateConfidence, SoftmaxGap
        from forethought.early_exit.rules import StaticCut, Threshold

        gates, gap = GateConfidence(self.model), SoftmaxGap(self.model)
        chosen = sorted({*self.thresholds, *([] if self.certified is None else [self.certified])}, reverse=True)
        rules: dict[str, ExitRule] = {threshold_name(value): Threshold(gates, value) for value in chosen}
        rules |= {f"static {layer}": StaticCut(layer) for layer in _spread(self.model.config.layers)}
        return rules | {f"softmax gap {value:g}": Threshold(gap, value) for value in GAPS}

    @property
    def served(self) -> str:
        """Name of the rule that the page shows: the certified threshold, else the strictest of those compared."""
        return threshold_name(max(self.thresholds) if self.certified is None else self.certified)


def threshold_name(value: float) -> str:
    """What a threshold is called in the table."""
    return f"threshold {value:g}"


def rows(found: Evaluation) -> list[tuple[str, ...]]:
    """The table; brackets hold 95 % intervals."""
    return [(name, *_cells(name, rule)) for name, rule in found.rules.items()]


def print_evaluation(found: Evaluation) -> None:
    """Print the table, fit for 80 columns, and how to read it."""
    title = f"Exits on {len(found.questions)} questions"
    table = Table(title=title, title_justify="left", title_style="bold", header_style="dim", box=None, pad_edge=False)
    for place, name in enumerate(SHORT):
        table.add_column(name, justify="right" if place else "left", no_wrap=not place)
    for name, rule in found.rules.items():
        table.add_row(*_short(name, rule))
    console.print(table)
    console.print(about(found), soft_wrap=True, markup=False)


def plain_evaluation(found: Evaluation) -> dict[str, Any]:
    """As JSON: means with intervals, and where tokens left."""
    from forethought.evaluation import plain

    return {
        "n": len(found.questions),
        "rules": {
            name: {
                **plain(rule.summary),
                "depths": {str(depth.depth): depth.passes for depth in rule.depths},
                "lost_looks": rule.lost_looks,
            }
            for name, rule in found.rules.items()
        },
        "agreement_by_exit": plain(found.agreement_by_exit),
        "oracle": {"mean_depth": found.oracle.mean_depth, "headroom": found.oracle.headroom},
    }


def about(found: Evaluation) -> str:
    """How to read the table."""
    oracle = found.oracle
    return (
        f"n = {len(found.questions)}; points of accuracy lost against the unmodified model, at most by the upper end "
        "of a 95% bootstrap interval over questions that belong together. MACs are those of generated tokens: "
        "layers, head, looks, maps, and keys and values of skipped layers. Same answer: token for token. Same token: "
        "along the unmodified model's own answers, on which the first agreeing exit, known beforehand, would take "
        f"{oracle.mean_depth:.1f} of {oracle.n_layers} layers."
    )


def write_page(contest: Contest, found: Evaluation, path: Path, *, source: str, shown: int) -> None:
    """Write the page with the heat map.

    Args:
        contest: Rules and questions.
        found: What they did.
        path: Of the page.
        source: Where the questions come from.
        shown: Answers to show token by token.
    """
    from forethought.cli.heat_map import HeatMap, RuleTable, write_heat_map

    model, name = contest.model, contest.served
    rule = found.rules[name]
    page = HeatMap(
        title="what early exit spared",
        verdict=_verdict(contest, rule),
        about=f"{model.base.name} · {source} · {len(found.questions):,} questions · exits before layers "
        f"{', '.join(map(str, model.config.layers))} of {model.n_layers}",
        n_layers=model.n_layers,
        layers=model.config.layers,
        answers=_answers(contest, shown),
        rules=RuleTable(HEADER, rows(found), name, about(found)),
        depths={depth.depth: depth.passes for depth in rule.depths},
    )
    write_heat_map(page, path)


def _verdict(contest: Contest, rule: RuleEvaluation) -> str:
    summary = rule.summary
    return (
        f"At {contest.served}, a generated token took {summary.mean_depth.value:.1f} of {contest.model.n_layers} "
        f"layers and {_percent(summary.macs_saved)} of the multiply-accumulates were spared, for "
        f"{_points(summary.accuracy_loss)} points of accuracy lost."
        f"{'' if contest.certified is not None else ' No threshold is certified: this is the strictest compared.'}"
    )


def _answers(contest: Contest, shown: int) -> list[HeatAnswer]:
    """The first answers of the served rule, token by token."""
    from forethought.cli.heat_map import HeatAnswer, HeatToken
    from forethought.cli.token_pieces import pieces
    from forethought.early_exit.free_running import free_run

    part = contest.task.part(range(min(shown, len(contest.task.questions))))
    decode = part.model.tokenizer.decode
    made = []
    for place, answer in enumerate(free_run(contest.model, contest.rules[contest.served], part).answers):
        texts = pieces(lambda ids: str(decode(ids, skip_special_tokens=True)), answer.tokens)
        tokens = [HeatToken(text, depth) for text, depth in zip(texts, answer.depths, strict=True)]
        question = part.questions[place]
        right = part.success(place, answer.tokens)
        note = (
            "" if not question.answers else "right" if right == 1 else "wrong" if right == 0 else f"success {right:.2f}"
        )
        made.append(HeatAnswer(question.text, tokens, note))
    return made


def _cells(name: str, rule: RuleEvaluation) -> tuple[str, ...]:
    from forethought.early_exit.evaluation import UNMODIFIED

    found = rule.summary
    if name == UNMODIFIED:
        return _percent(found.accuracy), "", f"{found.mean_depth.value:.1f}", "", "", ""
    return (
        _percent(found.accuracy),
        _points(found.accuracy_loss),
        f"{found.mean_depth.value:.1f}",
        _percent(found.macs_saved),
        _percent(found.exact_match),
        _percent(found.agreement),
    )


def _short(name: str, rule: RuleEvaluation) -> tuple[str, ...]:
    """A row for the terminal."""
    from forethought.early_exit.evaluation import UNMODIFIED
    from forethought.evaluation.report.numbers import points

    accuracy, lost, *rest = (cell.partition(" [")[0] for cell in _cells(name, rule))
    most = "" if name == UNMODIFIED else points(_tenths(_known(rule.summary.accuracy_loss)["high"]))
    return name, accuracy, lost, most, *rest


def _percent(found: Any) -> str:
    from forethought.evaluation.report.numbers import percent, ranged

    return ranged(_known(found), lambda value: percent(_tenths(value)))


def _points(found: Any) -> str:
    from forethought.evaluation.report.numbers import points, ranged

    return ranged(_known(found), lambda value: points(_tenths(value)))


def _tenths(value: float | None) -> float | None:
    """A share to a tenth of a point, as it is written: what rounds to nothing has no sign."""
    return None if value is None else round(value, 3) + 0.0


def _known(found: Any) -> Mapping[str, Any]:
    from forethought.evaluation import plain

    told: Mapping[str, Any] = plain(found)
    return told


def _spread(layers: Sequence[int]) -> list[int]:
    """A few of the exits, evenly, the deepest among them."""
    if len(layers) <= _CUTS:
        return list(layers)
    return [layers[round(place * (len(layers) - 1) / (_CUTS - 1))] for place in range(_CUTS)]
