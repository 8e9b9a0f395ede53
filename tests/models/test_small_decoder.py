from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch

from forethought.core import DecodingPolicy, Message, Target
from forethought.data import small_decoder
from forethought.errors import ArtifactError, ConfigError
from forethought.models import (
    DecoderSize,
    LanguageModel,
    TrainingPlan,
    build_decoder,
    extend_vocabulary,
    load,
    pretrain,
    save_decoder,
    train_small_decoder,
)
from forethought.models.small_decoder import Example, _losses, encode_examples
from forethought.outcomes.graders import grader
from forethought.questions import arithmetic_questions, worked
from forethought.questions.arithmetic import expressions, written_out
from forethought.targets import LocalResponder

TINY = DecoderSize(layers=2, width=16, heads=2, inner=24)
PLAN = TrainingPlan(steps=6, batch=8, chunk=3, warm_up=2)


def draw(step: int) -> list[Example]:
    return [(text, written_out(text)) for text in expressions("train", 8, seed=step, levels=[1, 2])]


def weights(model: LanguageModel) -> dict[str, torch.Tensor]:
    return {name: tensor.clone() for name, tensor in model.model.state_dict().items()}


def same(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


@pytest.fixture(scope="module")
def trained() -> LanguageModel:
    return load("arithmetic-small")


def test_a_chat_is_rendered_as_it_is_trained_on() -> None:
    model = build_decoder(TINY, seed=0)
    chat = [Message("user", "37+58=")]
    ids = model.render(chat)
    assert model.tokenizer.decode(ids) == "<bos>37+58=<answer>"
    assert (model.chat.head_length(chat), model.eoi_length()) == (1, 1)
    assert model.eos == {model.tokenizer.eos_token_id}
    ((row, prompt),) = encode_examples(model, [("37+58=", "37+58=95;95")])
    assert row[:prompt] == ids
    assert model.tokenizer.decode(row[prompt:]) == "37+58=95;95<eos>"
    assert model.tokenizer.decode(row, skip_special_tokens=True) == "37+58=37+58=95;95"


def test_what_no_token_stands_for_is_unknown_and_never_lost() -> None:
    model = build_decoder(TINY, seed=0)
    ids = model.tokenizer("1 a\né")["input_ids"]
    assert len(ids) == 5
    assert set(ids[1:]) == {model.tokenizer.unk_token_id}
    assert len(model.render([Message("user", "1+" * 100)], "Be kind.")) == model.context


def test_earlier_turns_stand_before_the_question() -> None:
    model = build_decoder(TINY, seed=0)
    chat = [Message("user", "1+2="), Message("assistant", "1+2=3;3"), Message("user", "2+2=")]
    assert model.tokenizer.decode(model.render(chat)) == "<bos>1+2=<answer>1+2=3;3<eos>2+2=<answer>"
    assert model.chat.head_length(chat) == len(model.tokenizer("<bos>1+2=<answer>1+2=3;3<eos>")["input_ids"])


def test_a_saved_decoder_loads_as_it_was(tmp_path: Path) -> None:
    model = build_decoder(TINY, seed=0)
    save_decoder(model, tmp_path / "tiny")
    again = load(tmp_path / "tiny")
    assert same(weights(model), weights(again))
    assert (again.n_layers, again.width, again.context, again.eos) == (2, 16, 96, model.eos)
    chat = [Message("user", "37+58=")]
    assert (again.render(chat), again.template) == (model.render(chat), model.template)


def test_the_seed_decides_the_first_weights_and_leaves_the_global_state_alone() -> None:
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    first, again, other = (weights(build_decoder(TINY, seed=seed)) for seed in (0, 0, 1))
    assert torch.equal(torch.rand(3), expected)
    assert same(first, again)
    assert not same(first, other)


def test_training_that_was_stopped_ends_where_it_would_have(tmp_path: Path) -> None:
    whole = build_decoder(TINY, seed=0)
    pretrain(whole, draw, PLAN)

    class StoppedError(Exception):
        pass

    def stop_after_five(step: int, loss: float) -> None:
        if step == 5:
            raise StoppedError

    stopped = build_decoder(TINY, seed=0)
    with pytest.raises(StoppedError):
        pretrain(stopped, draw, PLAN, checkpoint=tmp_path / "kept", every=2, progress=stop_after_five)
    told: list[int] = []
    resumed = build_decoder(TINY, seed=9)  # the checkpoint's weights take the place of its own
    pretrain(resumed, draw, PLAN, checkpoint=tmp_path / "kept", every=2, progress=lambda step, loss: told.append(step))
    assert told == [5, 6]
    assert same(weights(resumed), weights(whole))


def test_a_checkpoint_of_another_run_is_refused(tmp_path: Path) -> None:
    pretrain(build_decoder(TINY, seed=0), draw, PLAN, checkpoint=tmp_path / "kept")
    with pytest.raises(ArtifactError, match="made with the plan"):
        pretrain(build_decoder(TINY, seed=0), draw, TrainingPlan(steps=7), checkpoint=tmp_path / "kept")
    with pytest.raises(ArtifactError, match="in the shape"):
        pretrain(build_decoder(DecoderSize(width=32), seed=0), draw, PLAN, checkpoint=tmp_path / "kept")


def test_chunks_change_the_cost_and_not_the_gradient() -> None:
    in_threes, at_once = build_decoder(TINY, seed=0), build_decoder(TINY, seed=0)
    pretrain(in_threes, draw, PLAN)
    pretrain(at_once, draw, TrainingPlan(steps=6, batch=8, chunk=8, warm_up=2))
    ours = weights(at_once)
    assert all(torch.allclose(tensor, ours[name], atol=2e-4) for name, tensor in weights(in_threes).items())


def test_the_prompt_is_not_predicted() -> None:
    """The first loss is that of the answer's tokens alone, computed here from the logits of each row on its own."""
    losses: list[float] = []
    pretrain(build_decoder(TINY, seed=0), draw, TrainingPlan(steps=1), progress=lambda step, loss: losses.append(loss))
    model = build_decoder(TINY, seed=0)
    terms = []
    for ids, prompt in encode_examples(model, draw(0)):
        logprobs = model.model(input_ids=torch.tensor([ids])).logits[0].log_softmax(-1)
        terms += [-float(logprobs[i - 1, ids[i]]) for i in range(prompt, len(ids))]
    assert losses == [pytest.approx(sum(terms) / len(terms), abs=1e-4)]


def test_early_readings_are_those_of_the_final_norm_and_head() -> None:
    model = build_decoder(DecoderSize(layers=3, width=16, heads=2, inner=24), seed=0)
    rows = encode_examples(model, draw(0))
    by_hand = [0.0, 0.0, 0.0]
    for ids, prompt in rows:
        state = model.model.model.embed_tokens(torch.tensor([ids]))
        places = torch.arange(len(ids))[None]
        rotary = model.model.model.rotary_emb(state, places)
        for layer, block in enumerate(model.model.model.layers):
            state = block(state, position_embeddings=rotary, position_ids=places)
            logprobs = model.model.lm_head(model.model.model.norm(state))[0].log_softmax(-1)
            by_hand[layer] -= sum(float(logprobs[i - 1, ids[i]]) for i in range(prompt, len(ids)))
    end, early = (float(loss) for loss in _losses(model, rows, early=True))
    assert end == pytest.approx(by_hand[2], rel=1e-4)
    assert early == pytest.approx((by_hand[0] + by_hand[1]) / 2, rel=1e-4)
    assert [float(loss) for loss in _losses(model, rows, early=False)] == [pytest.approx(end, rel=1e-5), 0.0]


def test_training_learns_and_leaves_a_model_folder(tmp_path: Path) -> None:
    losses: list[float] = []
    plan = TrainingPlan(steps=40, batch=16, warm_up=5)
    model = train_small_decoder(
        tmp_path / "tiny", seed=1, size=TINY, plan=plan, progress=lambda step, loss: losses.append(loss)
    )
    assert losses[-1] < 0.9 * losses[0]
    assert same(weights(load(tmp_path / "tiny")), weights(model))
    assert not any(parameter.requires_grad for parameter in model.model.parameters())
    repeated = train_small_decoder(tmp_path / "again", seed=1, size=TINY, plan=plan)
    assert same(weights(repeated), weights(model))


def test_the_rate_warms_up_and_falls_to_its_floor() -> None:
    plan = TrainingPlan(steps=100, rate=1.0, warm_up=10, floor=0.1)
    rates = [plan.rate_at(step) for step in range(100)]
    assert rates[0] == pytest.approx(0.1)
    assert rates[9] == rates[10] == 1.0
    assert rates[10:] == sorted(rates[10:], reverse=True)
    assert plan.rate_at(55) == pytest.approx(0.55)
    assert plan.rate_at(100) == pytest.approx(0.1)


def test_what_is_refused() -> None:
    with pytest.raises(ConfigError, match="divide the width"):
        DecoderSize(width=30, heads=4)
    with pytest.raises(ConfigError, match="steps, batch"):
        TrainingPlan(steps=0)
    with pytest.raises(ConfigError, match="early readings"):
        TrainingPlan(early=-1.0)
    short = build_decoder(DecoderSize(layers=1, width=16, heads=2, context=12), seed=0)
    with pytest.raises(ConfigError, match="longer than the window of 12"):
        pretrain(short, draw, PLAN)
    half = build_decoder(TINY, seed=0)
    half = LanguageModel("half", half.model.bfloat16(), half.tokenizer)
    with pytest.raises(ConfigError, match="needs float32"):
        pretrain(half, draw, PLAN)


def test_the_committed_decoder_is_small_and_right(trained: LanguageModel) -> None:
    assert sum(file.stat().st_size for file in small_decoder().iterdir()) <= 1_600_000
    assert (trained.n_layers, trained.width) == (DecoderSize().layers, DecoderSize().width)
    asked = arithmetic_questions("test", 200, seed=0)
    target = Target("small", "arithmetic-small", DecodingPolicy(max_tokens=64))
    answers = LocalResponder(trained, target).respond(asked, [0] * len(asked))
    number = grader("number")
    assert sum(number.grade(q, a.text).success for q, a in zip(asked, answers, strict=True)) >= 0.95 * len(asked)
    assert all(answer.finish == "stop" for answer in answers)


@torch.inference_mode()
def test_the_committed_decoder_copies_early_and_computes_late(trained: LanguageModel) -> None:
    """Read after each layer through the final norm and head: how often that says what the whole stack says."""
    asked = arithmetic_questions("test", 100, seed=0)
    computed, rest = [], []
    for question in asked:
        text = worked(question)
        ((ids, prompt),) = encode_examples(trained, [(question.text, text)])
        output = trained.model(input_ids=torch.tensor([ids[:-1]]), output_hidden_states=True)
        states = torch.stack(output.hidden_states[1:-1])[:, 0, prompt - 1 :]
        early = trained.model.lm_head(trained.model.model.norm(states)).argmax(-1)
        agreed = early == output.logits[0, prompt - 1 :].argmax(-1)
        result = torch.zeros(agreed.shape[1], dtype=torch.bool)
        for found in re.finditer(r"=(\d+)", text):
            result[slice(*found.span(1))] = True
        computed.append(agreed[:, result])
        rest.append(agreed[:, ~result])
    digits, others = (torch.cat(parts, dim=1).float().mean(dim=1) for parts in (computed, rest))
    assert digits[2] < 0.6  # after three of six layers
    assert digits[2] < digits[3] < digits[4] < 0.95
    assert others[2] > 0.95


# --- another vocabulary ---------------------------------------------------------------------------

PHRASES = ("[go] ", " [stop]\n")


def test_a_phrase_becomes_a_token_and_the_old_ones_stay() -> None:
    model = build_decoder(TINY, seed=0)
    before = weights(model)
    extended = extend_vocabulary(model, PHRASES, context=300)
    known = len(model.tokenizer)
    assert len(extended.tokenizer) == known + 2
    assert extended.tokenizer("[go] 12+3 [stop]\n[go] 4")["input_ids"] == [
        known, *model.tokenizer("12+3")["input_ids"], known + 1, known, *model.tokenizer("4")["input_ids"],
    ]  # fmt: skip
    assert extended.tokenizer.decode([known, *model.tokenizer("12")["input_ids"], known + 1]) == "[go] 12 [stop]\n"
    assert (extended.context, extended.tokenizer.model_max_length, extended.eos) == (300, 300, model.eos)
    chat = [Message("user", "37+58=")]
    assert extended.render(chat) == model.render(chat)
    assert len(extended.render([Message("user", "1+" * 200)])) == 300
    # What was given stays as it was.
    assert (len(model.tokenizer), model.context) == (known, 96)
    assert same(weights(model), before)


@torch.inference_mode()
def test_old_tokens_are_read_and_told_as_before_and_new_ones_are_their_mean(trained: LanguageModel) -> None:
    extended = extend_vocabulary(trained, PHRASES, context=300)
    known = len(trained.tokenizer)
    ids = torch.tensor([trained.render([Message("user", "37+58-4=")])])
    old, new = (model.model(input_ids=ids).logits for model in (trained, extended))
    assert torch.equal(new[..., :known], old)
    assert torch.allclose(new[..., known:], old.mean(dim=-1, keepdim=True).expand(-1, -1, 2), atol=1e-4)
    embeddings = extended.model.get_input_embeddings().weight
    assert torch.allclose(embeddings[known], embeddings[:known].mean(dim=0), atol=1e-6)
    assert torch.equal(embeddings[known], embeddings[known + 1])


def test_an_extended_decoder_is_saved_and_can_be_extended_again(tmp_path: Path) -> None:
    extended = extend_vocabulary(build_decoder(TINY, seed=0), PHRASES, context=128)
    save_decoder(extended, tmp_path / "model")
    again = load(tmp_path / "model")
    assert same(weights(again), weights(extended))
    assert again.tokenizer("[go] 1 [stop]\n")["input_ids"] == extended.tokenizer("[go] 1 [stop]\n")["input_ids"]
    assert len(extend_vocabulary(again, ["more"], context=128).tokenizer) == len(extended.tokenizer) + 1


def test_extending_leaves_the_global_state_alone() -> None:
    model = build_decoder(TINY, seed=0)
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    extend_vocabulary(model, PHRASES, context=128)
    assert torch.equal(torch.rand(3), expected)


@pytest.mark.parametrize("phrases", [["twice", "twice"], ["[go] "]])
def test_a_phrase_that_is_a_token_already_is_refused(phrases: list[str]) -> None:
    model = extend_vocabulary(build_decoder(TINY, seed=0), PHRASES, context=128)
    with pytest.raises(ConfigError, match="each phrase must be new to the tokenizer and named once"):
        extend_vocabulary(model, phrases, context=128)
