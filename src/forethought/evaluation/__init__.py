"""Is it true: contenders, cards with intervals, frontiers, reports and projections."""

from typing import TYPE_CHECKING

from forethought._lazy import attach

__getattr__, __dir__, __all__ = attach(
    __name__,
    {
        "Allotment": "budget_rules",
        "BudgetRow": "budget",
        "BudgetTable": "budget",
        "Card": "cards",
        "Contender": "contenders",
        "Contest": "voting",
        "Evaluation": "evaluate",
        "Forecast": "budget_rules",
        "PopulationBayes": "voting",
        "RuleCard": "voting",
        "RuleReplays": "voting",
        "STANDARD_RULES": "voting",
        "Serving": "budget_rules",
        "Truth": "cards",
        "allotments": "budget_rules",
        "ask_confidence": "confidence",
        "baselines": "contenders",
        "budget_rows": "budget",
        "compare_rules": "voting",
        "compare_strategies": "strategies",
        "diagnose": "diagnostics",
        "difference": "cards",
        "evaluate": "evaluate",
        "evaluate_budget": "budget",
        "encoder_matrix": "encoders",
        "heads": "contenders",
        "held_out_families": "held_out",
        "over_seeds": "over_seeds",
        "plain": "plain",
        "read_budget": "budget",
        "replay_rules": "voting",
        "rule_label": "voting",
        "score_card": "cards",
    },
)

if TYPE_CHECKING:
    from forethought.evaluation.budget import BudgetRow as BudgetRow
    from forethought.evaluation.budget import BudgetTable as BudgetTable
    from forethought.evaluation.budget import budget_rows as budget_rows
    from forethought.evaluation.budget import evaluate_budget as evaluate_budget
    from forethought.evaluation.budget import read_budget as read_budget
    from forethought.evaluation.budget_rules import Allotment as Allotment
    from forethought.evaluation.budget_rules import Forecast as Forecast
    from forethought.evaluation.budget_rules import Serving as Serving
    from forethought.evaluation.budget_rules import allotments as allotments
    from forethought.evaluation.cards import Card as Card
    from forethought.evaluation.cards import Truth as Truth
    from forethought.evaluation.cards import difference as difference
    from forethought.evaluation.cards import score_card as score_card
    from forethought.evaluation.confidence import ask_confidence as ask_confidence
    from forethought.evaluation.contenders import Contender as Contender
    from forethought.evaluation.contenders import baselines as baselines
    from forethought.evaluation.contenders import heads as heads
    from forethought.evaluation.diagnostics import diagnose as diagnose
    from forethought.evaluation.encoders import encoder_matrix as encoder_matrix
    from forethought.evaluation.evaluate import Evaluation as Evaluation
    from forethought.evaluation.evaluate import evaluate as evaluate
    from forethought.evaluation.held_out import held_out_families as held_out_families
    from forethought.evaluation.over_seeds import over_seeds as over_seeds
    from forethought.evaluation.plain import plain as plain
    from forethought.evaluation.strategies import compare_strategies as compare_strategies
    from forethought.evaluation.voting import STANDARD_RULES as STANDARD_RULES
    from forethought.evaluation.voting import Contest as Contest
    from forethought.evaluation.voting import PopulationBayes as PopulationBayes
    from forethought.evaluation.voting import RuleCard as RuleCard
    from forethought.evaluation.voting import RuleReplays as RuleReplays
    from forethought.evaluation.voting import compare_rules as compare_rules
    from forethought.evaluation.voting import replay_rules as replay_rules
    from forethought.evaluation.voting import rule_label as rule_label
