"""Is it true: contenders, cards with intervals, frontiers, reports and projections."""

from typing import TYPE_CHECKING

from forethought._lazy import attach

__getattr__, __dir__, __all__ = attach(
    __name__,
    {
        "Card": "cards",
        "Contender": "contenders",
        "Evaluation": "evaluate",
        "Truth": "cards",
        "baselines": "contenders",
        "difference": "cards",
        "evaluate": "evaluate",
        "heads": "contenders",
        "plain": "plain",
        "score_card": "cards",
    },
)

if TYPE_CHECKING:
    from forethought.evaluation.cards import Card as Card
    from forethought.evaluation.cards import Truth as Truth
    from forethought.evaluation.cards import difference as difference
    from forethought.evaluation.cards import score_card as score_card
    from forethought.evaluation.contenders import Contender as Contender
    from forethought.evaluation.contenders import baselines as baselines
    from forethought.evaluation.contenders import heads as heads
    from forethought.evaluation.evaluate import Evaluation as Evaluation
    from forethought.evaluation.evaluate import evaluate as evaluate
    from forethought.evaluation.plain import plain as plain
