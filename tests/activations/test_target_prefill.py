from __future__ import annotations

import numpy as np
import pytest
import torch

from forethought.activations import read_prefill
from forethought.core import DecodingPolicy, Question, Target
from forethought.errors import FeatureError
from forethought.models import load
from forethought.targets import LocalResponder

SOLVED = {"g": [Question.ask(f"solved {i}", answers=(f"{i}",), group="g") for i in range(2)]}
QUESTIONS = [Question.ask(text, group="g") for text in ("one", "a much longer question than that", "two", "three four")]


@pytest.fixture(scope="module", params=["chat", "few_shot"])
def responder(request, tiny_model) -> LocalResponder:
    policy = DecodingPolicy(prompt=request.param, shots=2 if request.param == "few_shot" else 0, temperature=0.7)
    return LocalResponder(load(str(tiny_model)), Target("t", "tiny", policy), examples=SOLVED)


def test_it_is_the_state_and_the_distribution_of_a_plain_forward_pass(responder):
    found = read_prefill(responder, QUESTIONS, (1, 3))
    model = responder.model.model
    for row, prompt in enumerate(responder.prompts(QUESTIONS)):
        with torch.inference_mode():
            plain = model(torch.tensor([prompt.ids]), output_hidden_states=True)
        assert np.allclose(found.states[row, 0], plain.hidden_states[1][0, -1], atol=1e-4)
        p = torch.softmax(plain.logits[0, -1] / 0.7, -1)
        entropy = -(p * p.log()).sum()
        wanted = [(p * p).sum(), *p.topk(2).values, entropy, (p * p).sum().log()]
        assert found.next_token[row] == pytest.approx([float(x) for x in wanted], rel=1e-3, abs=1e-5)


def test_batch_and_single_agree(responder):
    together = read_prefill(responder, QUESTIONS, (2,))
    for row, question in enumerate(QUESTIONS):
        alone = read_prefill(responder, [question], (2,))
        assert np.allclose(together.states[row], alone.states[0], rtol=1e-4, atol=1e-5)
        assert np.allclose(together.next_token[row], alone.next_token[0], rtol=1e-4, atol=1e-6)


def test_no_hook_is_left(responder):
    hooks = sum(len(m._forward_hooks) for m in responder.model.model.modules())
    read_prefill(responder, QUESTIONS[:1], (1,))
    with pytest.raises(FeatureError, match="1 to 3"):
        read_prefill(responder, QUESTIONS, (4,))
    assert sum(len(m._forward_hooks) for m in responder.model.model.modules()) == hooks
