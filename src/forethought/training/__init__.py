"""Learning to spend: a policy that decides for itself when a question deserves a vote, under a budget (2501.17974)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from forethought._lazy import attach

__getattr__, __dir__, __all__ = attach(
    __name__,
    {
        "BestOfN": "selections",
        "BudgetTable": "evaluation",
        "ConstrainedPolicy": "selections",
        "FullWeights": "learners",
        "InferenceAware": "inference_aware",
        "Learner": "base",
        "LoraConfig": "learners",
        "LowRank": "learners",
        "PolicyConfig": "policy_optimisation",
        "Practice": "policy_optimisation",
        "PricedReward": "selections",
        "RejectionSampling": "selections",
        "Rollouts": "base",
        "Sample": "vote_traces",
        "Selection": "base",
        "Spending": "evaluation",
        "SupervisedConfig": "supervised",
        "TraceFormat": "trace_format",
        "TraceRecipe": "vote_traces",
        "TraceText": "vote_traces",
        "TraceWriter": "trace_writer",
        "Weighed": "base",
        "WrittenTrace": "trace_writer",
        "chosen_logprobs": "likelihood",
        "evaluate_budget": "evaluation",
        "imitate": "supervised",
        "optimise": "policy_optimisation",
        "traces_to_imitate": "vote_traces",
    },
)

if TYPE_CHECKING:
    from forethought.training.base import Learner as Learner
    from forethought.training.base import Rollouts as Rollouts
    from forethought.training.base import Selection as Selection
    from forethought.training.base import Weighed as Weighed
    from forethought.training.evaluation import BudgetTable as BudgetTable
    from forethought.training.evaluation import Spending as Spending
    from forethought.training.evaluation import evaluate_budget as evaluate_budget
    from forethought.training.inference_aware import InferenceAware as InferenceAware
    from forethought.training.learners import FullWeights as FullWeights
    from forethought.training.learners import LoraConfig as LoraConfig
    from forethought.training.learners import LowRank as LowRank
    from forethought.training.likelihood import chosen_logprobs as chosen_logprobs
    from forethought.training.policy_optimisation import PolicyConfig as PolicyConfig
    from forethought.training.policy_optimisation import Practice as Practice
    from forethought.training.policy_optimisation import optimise as optimise
    from forethought.training.selections import BestOfN as BestOfN
    from forethought.training.selections import ConstrainedPolicy as ConstrainedPolicy
    from forethought.training.selections import PricedReward as PricedReward
    from forethought.training.selections import RejectionSampling as RejectionSampling
    from forethought.training.supervised import SupervisedConfig as SupervisedConfig
    from forethought.training.supervised import imitate as imitate
    from forethought.training.trace_format import TraceFormat as TraceFormat
    from forethought.training.trace_writer import TraceWriter as TraceWriter
    from forethought.training.trace_writer import WrittenTrace as WrittenTrace
    from forethought.training.vote_traces import Sample as Sample
    from forethought.training.vote_traces import TraceRecipe as TraceRecipe
    from forethought.training.vote_traces import TraceText as TraceText
    from forethought.training.vote_traces import traces_to_imitate as traces_to_imitate
