"""`forethought difficulty`: how hard questions are for models, and whether people agree."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from cyclopts import Parameter

from forethought.cli.console import print_json, print_table


def difficulty(
    *,
    questions: Path | None = None,
    outcomes: Path | None = None,
    targets: Annotated[Sequence[str], Parameter(consume_multiple=True, negative=())] = (),
    model: Literal["1pl", "2pl"] = "1pl",
    draws: int = 1000,
    json: Annotated[bool, Parameter(negative=())] = False,
) -> None:
    """Fit item response theory to an outcomes table, and compare human, IRT and model difficulty.

    The comparison needs questions with a human rating (`difficulty` in the questions file).

    Example: `forethought difficulty --model 2pl`

    Args:
        questions: Questions as JSON lines; by default the committed ones.
        outcomes: Outcomes as Parquet; by default the committed ones.
        targets: Whose outcomes; by default every target of the table that is not a single sample.
        model: One difficulty a question, or a discrimination as well.
        draws: Bootstrap draws behind every interval.
        json: Print one JSON object.
    """
    from forethought.data import default_questions, recorded_outcomes
    from forethought.evaluation import plain
    from forethought.outcomes import Outcomes, compare_difficulty, fit_1pl, fit_2pl, greedy, human_difficulty
    from forethought.questions import read_questions

    asked = read_questions(questions or default_questions())
    table = Outcomes.read(outcomes or recorded_outcomes())
    names = tuple(targets) or tuple(name for name in table.targets if ":" not in name)
    labels = greedy(table, [question.id for question in asked], names)
    fitted = (fit_1pl if model == "1pl" else fit_2pl)(labels.success)
    human = human_difficulty(asked)
    rated = int((human == human).sum())
    compared = compare_difficulty(human, fitted.difficulty, labels.success, names, draws=draws) if rated >= 3 else []
    found = {
        "model": model,
        "n": len(asked),
        "rated": rated,
        "ability": dict(zip(names, fitted.ability.tolist(), strict=True)),
        "hardest": [asked[i].id for i in fitted.difficulty.argsort()[::-1][:5]],
        "comparison": plain(compared),
    }
    print_json(found) if json else _print(found)


def _print(found: dict[str, Any]) -> None:
    title = f"Abilities in logits ({found['model']}, n={found['n']})"
    print_table(title, ("target", "ability"), [[name, f"{value:+.2f}"] for name, value in found["ability"].items()])
    if not found["comparison"]:
        print(f"{found['rated']} questions have a human rating; the comparison with people needs at least 3")
        return
    rows = [
        [f"{row['first']} and {row['second']}", "{value:.3f} [{low:.3f}, {high:.3f}]".format(**row["spearman"])]
        for row in found["comparison"]
    ]
    print_table(f"Rank correlation of difficulties (n={found['rated']})", ("measures", "Spearman"), rows)
