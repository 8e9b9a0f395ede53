"""Use every plugin through the public API; prints what happened as JSON."""

from __future__ import annotations

import json
import sys
from dataclasses import replace

import numpy as np

from forethought import Question, Router
from forethought.allocation import policies, policy_from
from forethought.outcomes import grader
from forethought.probes import scorer_from_state

router = Router.load(sys.argv[1])
widths = [np.zeros((1, 12), dtype=np.float32) for _ in router.heads.features.specs]
blocks = [*widths, router.heads.features.text.transform(["a question"])]
centres = np.arange(5)[:, None] * np.ones((1, 12))
scorer = scorer_from_state({"kind": "nearest-centre"}, {"centres": centres})
policy = policy_from("median", {"rank": 2.0})
built = Router(replace(router.heads, scorer=scorer), policy, router.prices, manifest=router.manifest)
built.save(sys.argv[2])
loaded = Router.load(sys.argv[2])
decision = loaded.decide(blocks, 5.0)
question = Question.ask("Which city?", answers=("Paris",), grader="shouting")
json.dump(
    {
        "policies": policies.names,
        "target": decision.target,
        "rule": decision.rule,
        "reason": decision.reason,
        "scorer": type(loaded.heads.scorer).__module__,
        "grades": [grader(question.grader).grade(question, text).verdict for text in ("PARIS", "Paris", " ")],
    },
    sys.stdout,
)
