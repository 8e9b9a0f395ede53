"""Use every plugin through the public API; prints what happened as JSON."""

from __future__ import annotations

import json
import sys
from dataclasses import replace

import numpy as np

from forethought import Question, Router
from forethought.activations import load_encoder
from forethought.allocation import policies, policy_from
from forethought.outcomes import grader
from forethought.probes import TokenScorer, scorer_from_state
from forethought.router import FeatureBlocks
from forethought.voting.base import Poll
from forethought.voting.exact import exact_performance
from forethought.voting.registry import rule_from, rules

router = Router.load(sys.argv[1])
encoder = load_encoder("letters:latin")
targets = np.arange(5)
heads = replace(
    router.heads,
    features=FeatureBlocks((encoder.spec((1,), "last"),)),
    scorer=scorer_from_state({"kind": "nearest-centre"}, {"centres": targets[:, None] * np.eye(26)[:1]}),
    tokens=TokenScorer(np.zeros((26, 5)), np.ones(5), np.ones(5), np.zeros(5), np.full(5, 9.0)),
)
source = {"source": encoder.name, "dtype": "float32", "system": None}
built = Router(heads, policy_from("rank", {"rank": 4.0}), router.prices, manifest={"encoder": source})
built.save(sys.argv[2])

loaded = Router.load(sys.argv[2])
decisions = [loaded.route(text) for text in ("the", "a", "banana")]
question = Question.ask("Which city?", answers=("Paris",), grader="shouting")
rule = rule_from("twice-running", {"cap": 6.0})
poll = Poll(rule)
votes = [poll.update(answer).stop for answer in ("a", "b", None, "b", "b")]
json.dump(
    {
        "policies": policies.names,
        "targets": [decision.target for decision in decisions],
        "rule": decisions[0].rule,
        "reason": decisions[0].reason,
        "encoder": type(loaded.encoder).__module__,
        "scorer": type(loaded.heads.scorer).__module__,
        "stopping_rules": rules.names,
        "votes": votes,
        "answer": poll.verdict.answer,
        "samples": exact_performance(rule, [1.0], unparsable=0.5).samples,
        "grades": [grader(question.grader).grade(question, text).verdict for text in ("PARIS", "Paris", " ")],
    },
    sys.stdout,
)
