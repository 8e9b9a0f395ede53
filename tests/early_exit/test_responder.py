from __future__ import annotations

from dataclasses import asdict, fields, replace
from pathlib import Path

import pytest
import torch

from forethought.core import DecodingPolicy, Question, Target
from forethought.early_exit.confidences import GateConfidence
from forethought.early_exit.model import ExitConfig, ExitModel
from forethought.early_exit.responder import ExitResponder, ExitResponse, local_responder
from forethought.early_exit.rules import Never, Sampled, StaticCut, Threshold
from forethought.early_exit.saved import SavedExits
from forethought.errors import ArtifactError
from forethought.models import LanguageModel, load
from forethought.outcomes.collect import CollectOptions, collect
from forethought.targets import LocalResponder, Response
from forethought.targets.pool import PoolEntry
from forethought.targets.sampling import sample_key

QUESTIONS = [Question.ask(f"What comes after {n}?", answers=(str(n + 1),)) for n in (3, 14, 159, 26, 5)]
EXAMPLES = {"": QUESTIONS[:2]}


@pytest.fixture(scope="module")
def base(tiny_model: Path) -> LanguageModel:
    torch.set_num_threads(1)
    return load(tiny_model)


@pytest.fixture(scope="module")
def untrained(base: LanguageModel) -> ExitModel:
    return ExitModel(base, ExitConfig((1, 2), map_rank=4))


@pytest.fixture(scope="module")
def trained(base: LanguageModel) -> ExitModel:
    """Gates, maps and adapters that are no longer neutral."""
    model = ExitModel(base, ExitConfig((1, 2), map_rank=4))
    torch.manual_seed(1)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.05 * torch.randn_like(parameter))
    return model


def target(**policy: object) -> Target:
    return Target("t", "tiny", DecodingPolicy(**{"max_tokens": 12, **policy}))  # type: ignore[arg-type]


def plain(response: Response) -> dict[str, object]:
    """All that any response has, but the clock."""
    return {part.name: getattr(response, part.name) for part in fields(Response) if part.name != "seconds"}


@pytest.mark.parametrize(
    "policy",
    [
        {},
        {"temperature": 0.8},
        {"temperature": 0.8, "top_p": 0.7, "system": "Be brief."},
        {"prompt": "few_shot", "shots": 2},
    ],
    ids=lambda policy: ", ".join(map(str, policy)) or "greedy",
)
def test_untrained_exits_that_nobody_takes_answer_as_the_local_target_does(base, untrained, policy):
    rows, samples = [*QUESTIONS, QUESTIONS[0]], [0, 0, 1, 2, 0, 3]
    local = LocalResponder(base, target(**policy), examples=EXAMPLES, seed=7).respond(rows, samples)
    exits = ExitResponder(untrained, target(**policy), Never(), examples=EXAMPLES, seed=7).respond(rows, samples)
    for ours, theirs in zip(exits, local, strict=True):
        told, known = plain(ours), plain(theirs)
        assert told.pop("mean_logprob") == pytest.approx(known.pop("mean_logprob"), abs=1e-4)
        assert told == known
        assert isinstance(ours, ExitResponse)
        assert set(ours.depths) == {3}


def test_an_answer_tells_its_tokens_and_their_depths_and_the_meter_adds_them_up(base, trained):
    responder = ExitResponder(trained, target(), StaticCut(2))
    found = responder.respond(QUESTIONS, [0] * 5)
    for response in found:
        assert response.depths[0] == 3
        assert set(response.depths[1:]) == {2}
        assert len(response.tokens) == len(response.depths) == response.output_tokens
        assert base.tokenizer.decode(list(response.tokens), skip_special_tokens=True).strip() == response.text
    passes = sum(response.output_tokens - 1 for response in found)
    assert (responder.meter.passes, responder.meter.depths) == (passes, {2: passes})
    assert 0 < responder.meter.macs_saved < 1


def test_answers_do_not_depend_on_what_else_is_asked(trained):
    rule = Sampled(GateConfidence(trained))
    responder = ExitResponder(trained, target(temperature=0.9), rule)
    together = responder.respond(QUESTIONS, [0, 1, 2, 3, 4])
    alone = [responder.respond([question], [sample])[0] for sample, question in enumerate(QUESTIONS)]
    assert [(one.text, one.depths) for one in alone] == [(one.text, one.depths) for one in together]
    assert len({depth for one in together for depth in one.depths}) == 3


def test_a_stream_is_the_answer_and_streams_may_take_turns(trained):
    responder = ExitResponder(trained, target(temperature=0.9), Sampled(GateConfidence(trained)))
    prompts = responder.prompts(QUESTIONS[:2])
    keys = [sample_key(0, question.id, 0) for question in QUESTIONS[:2]]
    streams = [responder.stream(prompt, key) for prompt, key in zip(prompts, keys, strict=True)]
    told: list[list[object]] = [[], []]
    for _ in range(12):
        for place, stream in enumerate(streams):
            told[place].extend([token] if (token := next(stream, None)) else [])
    for place, response in enumerate(responder.respond(QUESTIONS[:2], [0, 0])):
        assert tuple(token.id for token in told[place]) == response.tokens
        mean = sum(token.logprob for token in told[place]) / len(told[place])
        assert mean == pytest.approx(response.mean_logprob, abs=1e-4)
        assert [token.stop for token in told[place]] == [False] * (len(told[place]) - 1) + [response.finish == "stop"]


def test_a_stream_follows_the_policy_of_its_request(trained):
    responder = ExitResponder(trained, target(), StaticCut(1))
    [prompt] = responder.prompts(QUESTIONS[:1])
    assert len(list(responder.stream(prompt, b"k", DecodingPolicy(max_tokens=3)))) <= 3
    assert responder.target.policy.max_tokens == 12


def test_the_fingerprint_tells_exits_rules_and_weights_apart(base, untrained, trained):
    rules = [Never(), StaticCut(1), StaticCut(2), *(Threshold(GateConfidence(trained), t) for t in (0.5, 0.6))]
    found = {ExitResponder(trained, target(), rule).fingerprint for rule in rules}
    found |= {ExitResponder(untrained, target(), Never()).fingerprint, LocalResponder(base, target()).fingerprint}
    assert len(found) == len(rules) + 2
    assert ExitResponder(trained, target(), StaticCut(1)).fingerprint in found
    # The same tensors, used with another scale, answer otherwise.
    scaled = ExitModel(base, replace(trained.config, adapter_alpha=2.0))
    scaled.load_state(trained.state())
    assert ExitResponder(scaled, target(), StaticCut(1)).fingerprint not in found


def test_exits_are_collected_like_any_other_target(trained, tmp_path):
    responder = ExitResponder(trained, target(), StaticCut(2))
    rows = collect([responder], QUESTIONS, tmp_path, CollectOptions(samples=1)).frame
    assert rows["text"].to_list() == [one.text for one in responder.respond(QUESTIONS, [0] * 5)]


def entry(path: Path, threshold: float | None) -> PoolEntry:
    return PoolEntry.model_validate({"name": "t", "model": "m", "exits": {"path": str(path), "threshold": threshold}})


def test_a_pools_entry_makes_the_responder(base, trained, tmp_path):
    trained.save(tmp_path / "exits", report={"threshold": 0.4})
    certified = local_responder(base, entry(tmp_path / "exits", None), target(), {})
    stated = local_responder(base, entry(tmp_path / "exits", 0.4), target(), {})
    assert isinstance(certified, ExitResponder)
    assert certified.rule.threshold == 0.4
    assert certified.fingerprint == stated.fingerprint
    expected = ExitResponder(trained, target(), Threshold(GateConfidence(trained), 0.4)).respond(QUESTIONS, [0] * 5)
    assert [one.depths for one in certified.respond(QUESTIONS, [0] * 5)] == [one.depths for one in expected]
    assert type(local_responder(base, PoolEntry(name="t", model="m"), target(), {})) is LocalResponder


def test_where_none_is_certified_the_unmodified_model_answers_and_where_none_was_sought_one_must_be_stated(
    base, trained, tmp_path
):
    trained.save(tmp_path / "safe", report={"threshold": None})
    trained.save(tmp_path / "unknown")
    assert type(local_responder(base, entry(tmp_path / "safe", None), target(), {})) is LocalResponder
    with pytest.raises(ArtifactError, match="states no threshold"):
        local_responder(base, entry(tmp_path / "unknown", None), target(), {})
    assert local_responder(base, entry(tmp_path / "unknown", 0.5), target(), {}).rule.threshold == 0.5


def test_saved_exits_say_what_they_were_made_for(base, trained, tmp_path):
    policy = DecodingPolicy(system="s", max_tokens=7)
    report = {"policy": asdict(policy), "threshold": 0.5}
    digest = trained.save(tmp_path / "exits", report=report)
    found = SavedExits.read(tmp_path / "exits")
    assert replace(found, report={}) == SavedExits(tmp_path / "exits", base.name, base.weights, 3, (1, 2), {}, digest)
    assert (found.policy, found.threshold) == (policy, 0.5)
    trained.save(tmp_path / "other", report={"policy": {"max_tokens": 0}})
    with pytest.raises(ArtifactError, match=r"a policy that cannot be: .*max_tokens=0"):
        _ = SavedExits.read(tmp_path / "other").policy
    trained.save(tmp_path / "other")
    with pytest.raises(ArtifactError, match="does not say under which policy"):
        _ = SavedExits.read(tmp_path / "other").policy
    with pytest.raises(ArtifactError, match="no artifact"):
        SavedExits.read(tmp_path / "absent")
