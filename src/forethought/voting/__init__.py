"""When to stop sampling: stopping rules, exact limits, priors from the probe, traces and samplers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from forethought._lazy import attach

__getattr__, __dir__, __all__ = attach(
    __name__,
    {
        "AdaptiveConsistency": "adaptive_consistency",
        "AdaptiveSequentialVote": "adaptive_sequential_vote",
        "AheadBy": "ahead_by",
        "AnswerPrior": "answer_prior",
        "Ballot": "base",
        "BayesVote": "bayes_vote",
        "Component": "answer_prior",
        "ConfidenceWeightedVote": "confidence_weighted_vote",
        "EarlyStopping": "early_stopping",
        "FoldFit": "probe",
        "GatedPrior": "prior_fit",
        "LocalTraceSampler": "local_trace",
        "MajorityVote": "majority_vote",
        "ParallelSampler": "parallel",
        "Poll": "base",
        "PriceCertificate": "certification",
        "Replayed": "replay",
        "Samples": "samples",
        "SequentialProbabilityRatio": "sprt",
        "SequentialVote": "sequential_vote",
        "Spent": "spent",
        "StoppingProbe": "probe",
        "StoppingRule": "base",
        "Trace": "trace",
        "TraceParser": "trace",
        "TraceSampler": "in_one",
        "Verdict": "base",
        "VoteEvent": "voted",
        "VotePaths": "replay",
        "VotedAnswer": "voted",
        "VotingResponder": "responder",
        "adaptive_prompt": "trace",
        "broad_prior": "answer_prior",
        "certify_price": "certification",
        "cross_fit": "probe",
        "exact_performance": "exact",
        "first_to": "first_to",
        "fit_gated_prior": "prior_fit",
        "fit_prior": "prior_fit",
        "fit_probe": "probe",
        "mean_probability": "voted",
        "parse": "trace",
        "render": "trace",
        "replay": "replay",
        "rule_from": "registry",
        "rules": "registry",
        "sequential_prompt": "trace",
        "two_answer_frontier": "limit",
        "two_answer_limit": "limit",
        "two_answer_performance": "exact",
    },
)

if TYPE_CHECKING:
    from forethought.voting.adaptive_consistency import AdaptiveConsistency as AdaptiveConsistency
    from forethought.voting.adaptive_sequential_vote import AdaptiveSequentialVote as AdaptiveSequentialVote
    from forethought.voting.ahead_by import AheadBy as AheadBy
    from forethought.voting.answer_prior import AnswerPrior as AnswerPrior
    from forethought.voting.answer_prior import Component as Component
    from forethought.voting.answer_prior import broad_prior as broad_prior
    from forethought.voting.base import Ballot as Ballot
    from forethought.voting.base import Poll as Poll
    from forethought.voting.base import StoppingRule as StoppingRule
    from forethought.voting.base import Verdict as Verdict
    from forethought.voting.bayes_vote import BayesVote as BayesVote
    from forethought.voting.certification import PriceCertificate as PriceCertificate
    from forethought.voting.certification import certify_price as certify_price
    from forethought.voting.confidence_weighted_vote import ConfidenceWeightedVote as ConfidenceWeightedVote
    from forethought.voting.early_stopping import EarlyStopping as EarlyStopping
    from forethought.voting.exact import exact_performance as exact_performance
    from forethought.voting.exact import two_answer_performance as two_answer_performance
    from forethought.voting.first_to import first_to as first_to
    from forethought.voting.in_one import TraceSampler as TraceSampler
    from forethought.voting.limit import two_answer_frontier as two_answer_frontier
    from forethought.voting.limit import two_answer_limit as two_answer_limit
    from forethought.voting.local_trace import LocalTraceSampler as LocalTraceSampler
    from forethought.voting.majority_vote import MajorityVote as MajorityVote
    from forethought.voting.parallel import ParallelSampler as ParallelSampler
    from forethought.voting.prior_fit import GatedPrior as GatedPrior
    from forethought.voting.prior_fit import fit_gated_prior as fit_gated_prior
    from forethought.voting.prior_fit import fit_prior as fit_prior
    from forethought.voting.probe import FoldFit as FoldFit
    from forethought.voting.probe import StoppingProbe as StoppingProbe
    from forethought.voting.probe import cross_fit as cross_fit
    from forethought.voting.probe import fit_probe as fit_probe
    from forethought.voting.registry import rule_from as rule_from
    from forethought.voting.registry import rules as rules
    from forethought.voting.replay import Replayed as Replayed
    from forethought.voting.replay import VotePaths as VotePaths
    from forethought.voting.replay import replay as replay
    from forethought.voting.responder import VotingResponder as VotingResponder
    from forethought.voting.samples import Samples as Samples
    from forethought.voting.sequential_vote import SequentialVote as SequentialVote
    from forethought.voting.spent import Spent as Spent
    from forethought.voting.sprt import SequentialProbabilityRatio as SequentialProbabilityRatio
    from forethought.voting.trace import Trace as Trace
    from forethought.voting.trace import TraceParser as TraceParser
    from forethought.voting.trace import adaptive_prompt as adaptive_prompt
    from forethought.voting.trace import parse as parse
    from forethought.voting.trace import render as render
    from forethought.voting.trace import sequential_prompt as sequential_prompt
    from forethought.voting.voted import VotedAnswer as VotedAnswer
    from forethought.voting.voted import VoteEvent as VoteEvent
    from forethought.voting.voted import mean_probability as mean_probability
