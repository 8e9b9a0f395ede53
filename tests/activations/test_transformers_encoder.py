from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch

from forethought.activations import TransformersEncoder
from forethought.core import Message, Question
from forethought.errors import ConfigError, FeatureError

EVERY_LAYER = (0, 1, 2, 3, 4)


def reference(model, question, system=None):
    """Raw hidden states (layers + 1, tokens, width) of one question alone, the last one before the final norm."""
    ids = torch.tensor([model.render(question.messages, system)])
    raw = {}
    hooks = [
        block.register_forward_hook(
            lambda _m, _i, out, at=at: raw.update({at: out if torch.is_tensor(out) else out[0]})
        )
        for at, block in enumerate(model.model.model.layers, start=1)
    ]
    with torch.inference_mode():
        out = model.model.model(input_ids=ids, output_hidden_states=True, use_cache=False)
    for hook in hooks:
        hook.remove()
    raw[0] = out.hidden_states[0]
    return torch.stack([raw[at][0] for at in sorted(raw)]).numpy()


def relative(found, expected):
    return np.abs(found - expected).max() / np.abs(expected).max()


@pytest.mark.parametrize("kind", ["make_llama", "make_gemma"])
def test_reads_raw_block_outputs_at_every_readout(kind, request, questions):
    model = request.getfixturevalue(kind)()
    encoder = TransformersEncoder(model)
    layers = tuple(range(encoder.n_layers + 1))
    states = encoder.encode(questions, layers=layers, readouts=encoder.readouts)
    eoi = model.eoi_length()
    assert encoder.readouts == ("last", "mean", *(f"eoi[-{k}]" for k in range(1, eoi + 1)))
    assert eoi > 2
    assert states.dtype == np.float32
    for row, question in enumerate(questions):
        raw = reference(model, question)
        expected = np.stack([raw[:, -1], raw.mean(1), *(raw[:, -k] for k in range(1, eoi + 1))], axis=1)
        assert relative(states[row], expected) < 1e-4


def test_eoi_positions_hold_the_tokens_the_template_appends(model, questions):
    tail = model.tokenizer("<|im_end|>\n<|im_start|>assistant\n", add_special_tokens=False)["input_ids"]
    assert model.eoi_length() == len(tail)
    assert all(model.render(question.messages)[-len(tail) :] == tail for question in questions)


@pytest.mark.parametrize("batch_tokens", [1, 100, 4096])
def test_batch_composition_changes_nothing(model, questions, batch_tokens):
    together = TransformersEncoder(model, batch_tokens=batch_tokens)
    states = together.encode(questions, layers=EVERY_LAYER, readouts=together.readouts)
    alone = np.concatenate([together.encode([q], layers=EVERY_LAYER, readouts=together.readouts) for q in questions])
    assert relative(states, alone) < 1e-4


def test_order_of_questions_layers_and_readouts_is_the_callers(encoder, questions):
    states = encoder.encode(questions, layers=(1, 3), readouts=("mean", "last"))
    other = encoder.encode(questions[::-1], layers=(3, 1), readouts=("last", "mean"))[::-1, ::-1, ::-1]
    assert relative(other, states) < 1e-5


def test_left_padding_tokenizer_reads_the_same_positions(make_llama, encoder, questions):
    left = TransformersEncoder(make_llama(padding_side="left"))
    asked = {"layers": (2, 4), "readouts": encoder.readouts}
    np.testing.assert_array_equal(left.encode(questions, **asked), encoder.encode(questions, **asked))


def test_truncated_prefill_equals_the_full_one_and_skips_deeper_blocks(model, encoder, questions):
    ran = []
    hooks = [
        block.register_forward_hook(lambda *_, at=at: ran.append(at))
        for at, block in enumerate(model.model.model.layers)
    ]
    shallow = encoder.encode(questions[:4], layers=(2,), readouts=("last",))
    assert set(ran) == {0, 1}
    for hook in hooks:
        hook.remove()
    full = encoder.encode(questions[:4], layers=(2, 4), readouts=("last",))
    np.testing.assert_array_equal(shallow[:, 0], full[:, 0])


def test_lm_head_never_runs(model, encoder, questions):
    ran = []
    hook = model.model.lm_head.register_forward_hook(lambda *_: ran.append(1))
    encoder.encode(questions[:2], layers=EVERY_LAYER, readouts=("last",))
    hook.remove()
    assert not ran


def test_model_is_left_as_it_was_even_after_an_error(make_llama, questions):
    model = make_llama()
    ids = torch.tensor([model.render(questions[0].messages)])
    before = model.model(input_ids=ids).logits
    with torch.no_grad():
        weight = model.model.model.layers[1].mlp.down_proj.weight
        kept = weight[0, 0].item()
        weight[0, 0] = float("nan")
        with pytest.raises(FeatureError, match="'q0'"):
            TransformersEncoder(model).encode(questions[:1], layers=(3,), readouts=("last",))
        weight[0, 0] = kept
    assert torch.equal(model.model(input_ids=ids).logits, before)
    assert len(model.model.model.layers) == 4


def test_concurrent_calls_do_not_mix(encoder, questions):
    jobs = [(question, layer) for question in questions for layer in (1, 4)]

    def one(job):
        return encoder.encode([job[0]], layers=(job[1],), readouts=("last",))

    with ThreadPoolExecutor(4) as pool:
        threaded = list(pool.map(one, jobs))
    for job, states in zip(jobs, threaded, strict=True):
        np.testing.assert_array_equal(states, one(job))


def test_long_prompts_lose_their_middle_and_keep_the_end(model, caplog):
    long = Question.ask("start " + "x" * 300 + " stop", id="long")
    encoder = TransformersEncoder(model, window=64)
    states = encoder.encode([long], layers=(4,), readouts=encoder.readouts)
    assert encoder.lengths([long]).tolist() == [64]
    assert "'long'" in caplog.text
    assert "64" in caplog.text
    shown = model.tokenizer.decode(model.render(long.messages, limit=64))
    assert shown.endswith("stop<|im_end|>\n<|im_start|>assistant\n")
    assert "user\nstart" in shown
    assert np.isfinite(states).all()


def test_a_prompt_that_just_fits_is_not_reported(model, caplog):
    question = Question.ask("hello")
    window = len(model.render(question.messages))
    TransformersEncoder(model, window=window).encode([question], layers=(1,), readouts=("last",))
    assert not caplog.text


def test_infinite_activations_name_the_question(make_llama, questions):
    model = make_llama()
    poison = model.tokenizer("!", add_special_tokens=False)["input_ids"][0]
    with torch.no_grad():
        model.model.model.embed_tokens.weight[poison] = float("inf")
    bad = Question.ask("boom!", id="bad")
    with pytest.raises(FeatureError, match="'bad'"):
        TransformersEncoder(model).encode([*questions[:5], bad, *questions[5:9]], layers=(1,), readouts=("mean",))


def test_spec_says_what_was_read(model, encoder):
    spec = encoder.spec((1, 3), "mean")
    assert (spec.encoder, spec.weights, spec.layers, spec.readout, spec.dtype) == (
        "tiny",
        "seed0",
        (1, 3),
        "mean",
        "float32",
    )
    assert TransformersEncoder(model, system="Be brief.").spec((1, 3), "mean") != spec


def test_system_turn_is_read(model, questions):
    briefed = TransformersEncoder(model, system="Be brief.")
    raw = reference(model, questions[0], "Be brief.")
    states = briefed.encode(questions[:1], layers=(4,), readouts=("mean",))
    assert relative(states[0, 0, 0], raw[4].mean(0)) < 1e-4


def test_whole_chats_are_read(encoder):
    turns = (Message("user", "Hi"), Message("assistant", "Hello"), Message("user", "What is 1?"))
    chat, bare = Question("a", turns), Question("b", turns[-1:])
    states = encoder.encode([chat, bare], layers=(4,), readouts=("last",))
    assert relative(states[0], states[1]) > 1e-2


@pytest.mark.parametrize("layers", [(5,), (-1,), ()])
def test_layers_out_of_range(encoder, questions, layers):
    with pytest.raises(FeatureError, match="layers 0 to 4"):
        encoder.encode(questions, layers=layers, readouts=("last",))


@pytest.mark.parametrize("readouts", [("first",), ("eoi[-99]",), ("eoi[0]",), ()])
def test_unknown_readouts(encoder, questions, readouts):
    with pytest.raises(FeatureError, match="offers last, mean"):
        encoder.encode(questions, layers=(1,), readouts=readouts)


def test_nothing_to_encode(encoder):
    assert encoder.encode([], layers=(1, 2), readouts=("last",)).shape == (0, 2, 1, 32)


def test_settings_out_of_range(model):
    with pytest.raises(ConfigError, match="batch_tokens"):
        TransformersEncoder(model, batch_tokens=0)


def test_bfloat16_is_another_spec(make_llama, encoder, questions):
    half = make_llama()
    half.model.to(torch.bfloat16)
    half = type(half)("tiny", half.model, half.tokenizer, weights="seed0")
    states = TransformersEncoder(half).encode(questions, layers=(4,), readouts=("last", "mean"))
    exact = encoder.encode(questions, layers=(4,), readouts=("last", "mean"))
    assert TransformersEncoder(half).spec((4,), "last") != encoder.spec((4,), "last")
    assert 0 < relative(states, exact) < 0.1


def test_unreadable_architecture(make_llama):
    model = make_llama()
    model.model.config.num_hidden_layers = 3
    with pytest.raises(FeatureError, match="0 lists of 3 modules"):
        TransformersEncoder(model)
