"""What happened: the table of outcomes, labels and splits made from it, importers, graders, collection."""

from __future__ import annotations

from typing import TYPE_CHECKING

from forethought._lazy import attach

if TYPE_CHECKING:
    from forethought.outcomes.collect import CollectOptions as CollectOptions
    from forethought.outcomes.collect import collect as collect
    from forethought.outcomes.difficulty import DifficultyComparison as DifficultyComparison
    from forethought.outcomes.difficulty import compare_difficulty as compare_difficulty
    from forethought.outcomes.graders import ChoiceGrader as ChoiceGrader
    from forethought.outcomes.graders import CodeGrader as CodeGrader
    from forethought.outcomes.graders import Grade as Grade
    from forethought.outcomes.graders import Grader as Grader
    from forethought.outcomes.graders import JudgeGrader as JudgeGrader
    from forethought.outcomes.graders import MathGrader as MathGrader
    from forethought.outcomes.graders import NumberGrader as NumberGrader
    from forethought.outcomes.graders import TextGrader as TextGrader
    from forethought.outcomes.graders import grader as grader
    from forethought.outcomes.importers import Imported as Imported
    from forethought.outcomes.importers import read_embedllm as read_embedllm
    from forethought.outcomes.importers import read_llmrouterbench as read_llmrouterbench
    from forethought.outcomes.importers import read_math as read_math
    from forethought.outcomes.importers import read_nvidia as read_nvidia
    from forethought.outcomes.importers import read_plain as read_plain
    from forethought.outcomes.importers import read_routellm as read_routellm
    from forethought.outcomes.importers import read_routerbench as read_routerbench
    from forethought.outcomes.irt import ItemResponse as ItemResponse
    from forethought.outcomes.irt import fit_1pl as fit_1pl
    from forethought.outcomes.irt import fit_2pl as fit_2pl
    from forethought.outcomes.labels import Labels as Labels
    from forethought.outcomes.labels import costs as costs
    from forethought.outcomes.labels import greedy as greedy
    from forethought.outcomes.labels import human_difficulty as human_difficulty
    from forethought.outcomes.labels import majority as majority
    from forethought.outcomes.labels import mean_tokens as mean_tokens
    from forethought.outcomes.labels import pass_at_k as pass_at_k
    from forethought.outcomes.labels import success_rate as success_rate
    from forethought.outcomes.solved import by_group as by_group
    from forethought.outcomes.solved import closest_group as closest_group
    from forethought.outcomes.splits import components as components
    from forethought.outcomes.splits import folds as folds
    from forethought.outcomes.splits import hold_out_groups as hold_out_groups
    from forethought.outcomes.splits import normalised_text as normalised_text
    from forethought.outcomes.splits import split as split
    from forethought.outcomes.table import SCHEMA as SCHEMA
    from forethought.outcomes.table import Outcomes as Outcomes
    from forethought.outcomes.table import concat as concat
    from forethought.outcomes.votes import vote_outcomes as vote_outcomes

__getattr__, __dir__, __all__ = attach(
    __name__,
    {
        "ChoiceGrader": "graders",
        "CodeGrader": "graders",
        "CollectOptions": "collect",
        "DifficultyComparison": "difficulty",
        "Grade": "graders",
        "Grader": "graders",
        "Imported": "importers",
        "ItemResponse": "irt",
        "JudgeGrader": "graders",
        "Labels": "labels",
        "MathGrader": "graders",
        "NumberGrader": "graders",
        "Outcomes": "table",
        "SCHEMA": "table",
        "TextGrader": "graders",
        "by_group": "solved",
        "closest_group": "solved",
        "collect": "collect",
        "compare_difficulty": "difficulty",
        "components": "splits",
        "concat": "table",
        "costs": "labels",
        "fit_1pl": "irt",
        "fit_2pl": "irt",
        "folds": "splits",
        "grader": "graders",
        "greedy": "labels",
        "hold_out_groups": "splits",
        "human_difficulty": "labels",
        "majority": "labels",
        "mean_tokens": "labels",
        "normalised_text": "splits",
        "pass_at_k": "labels",
        "read_embedllm": "importers",
        "read_llmrouterbench": "importers",
        "read_math": "importers",
        "read_nvidia": "importers",
        "read_plain": "importers",
        "read_routellm": "importers",
        "read_routerbench": "importers",
        "split": "splits",
        "success_rate": "labels",
        "vote_outcomes": "votes",
    },
)
