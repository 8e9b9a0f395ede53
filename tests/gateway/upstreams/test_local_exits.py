"""A target with exits behind the gateway: the same wire format, computed only as deep as its gates ask for."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from threading import Event

import pytest
import torch

from forethought.core import DecodingPolicy, Question
from forethought.early_exit.model import ExitConfig, ExitModel
from forethought.early_exit.responder import ExitResponder
from forethought.gateway.upstreams import UpstreamFailure, UpstreamRequest
from forethought.gateway.upstreams.local import LocalUpstream
from forethought.gateway.upstreams.local_engine import LocalEngine
from forethought.gateway.upstreams.local_votes import Effort, HaltingResponder
from forethought.models import LanguageModel, load
from forethought.targets.pool import PoolEntry

BODY = json.dumps({"messages": [{"role": "user", "content": "Hi"}]}).encode()


@pytest.fixture(scope="module")
def tiny(tiny_model: Path) -> LanguageModel:
    return load(tiny_model)


@pytest.fixture(scope="module")
def exits(tiny: LanguageModel, tmp_path_factory: pytest.TempPathFactory) -> Path:
    model = ExitModel(tiny, ExitConfig((1, 2)))
    torch.manual_seed(2)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.05 * torch.randn_like(parameter))
    path = tmp_path_factory.mktemp("exits") / "exits"
    model.save(path, report={"threshold": 0.5})
    return path


@pytest.fixture
def engine() -> Iterator[LocalEngine]:
    made = LocalEngine()
    yield made
    made.close()


def upstream(tiny: LanguageModel, engine: LocalEngine, path: Path, threshold: float) -> LocalUpstream:
    exits = {"path": str(path), "threshold": threshold}
    policy = DecodingPolicy(max_tokens=12)
    entry = PoolEntry.model_validate({"name": "t", "model": "tiny", "policy": policy, "exits": exits})
    return LocalUpstream(entry, engine, {}, load=lambda source: tiny)


async def answer(target: LocalUpstream, *, stream: bool = False) -> bytes:
    request = UpstreamRequest("/chat/completions", BODY, stream=stream)
    reply = await target.open(request)
    return b"".join([piece async for piece in reply.chunks()])


def test_an_answer_is_the_targets_own_and_only_as_deep(tiny, exits, engine):
    target = upstream(tiny, engine, exits, 0.0)
    found = json.loads(asyncio.run(answer(target)))
    assert isinstance(target.responder, ExitResponder)
    assert set(target.responder.meter.depths) == {1}
    [expected] = target.responder.respond([Question.ask("Hi")], [0])
    assert found["choices"][0]["message"]["content"] == expected.text
    assert found["usage"]["completion_tokens"] == expected.output_tokens


def test_a_stream_is_the_answer(tiny, exits, engine):
    target = upstream(tiny, engine, exits, 0.5)
    whole = json.loads(asyncio.run(answer(target)))["choices"][0]["message"]["content"]
    assert whole
    events = [
        line[6:] for line in asyncio.run(answer(target, stream=True)).decode().splitlines() if line[:5] == "data:"
    ]
    pieces = [json.loads(event)["choices"] for event in events if event != "[DONE]"]
    assert "".join(choices[0]["delta"].get("content", "") for choices in pieces if choices) == whole


def test_votes_are_as_deep_as_plain_answers(tiny, exits, engine):
    own = upstream(tiny, engine, exits, 0.0).responder
    policy = DecodingPolicy(temperature=0.9, max_tokens=8)
    effort = Effort(Event())
    votes = HaltingResponder(own, policy, seed=3, stops=(), effort=effort)
    found = votes.respond([Question.ask("Hi")] * 4, [0, 1, 2, 3])
    assert effort.tokens == sum(response.output_tokens for response in found)
    assert set(votes.generator.meter.depths) == {1}


def test_exits_that_are_not_there_are_an_upstreams_failure(tiny, exits, engine):
    with pytest.raises(UpstreamFailure, match="is no artifact"):
        asyncio.run(answer(upstream(tiny, engine, exits / "absent", 0.5)))
