"""The embedded models behind a whole gateway: answers by name and routed, and weights that are loaded once."""

from __future__ import annotations

import asyncio
import itertools
import time
from pathlib import Path

import pytest
from processes import serving
from raw_http import Heard, chat, once
from running import running

pytestmark = pytest.mark.integration

MODEL = "smollm2-135m-instruct"
SYSTEM = "Give only the final answer."
PRICE = {"input": 0.1, "output": 0.1}
TARGETS = [
    {"name": "smollm2-chat", "model": MODEL, "prices": PRICE, "policy": {"system": SYSTEM, "max_tokens": 24}},
    {"name": "smollm2-5shot", "model": MODEL, "prices": PRICE, "policy": {"prompt": "few_shot", "shots": 5}},
]
QUESTION = "What is the capital of France?"


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """A router of two targets, fitted on what the embedded model reads of 96 committed questions."""
    from forethought.activations import extract, load_encoder
    from forethought.core import Prices, Target
    from forethought.data import default_questions, recorded_outcomes
    from forethought.outcomes import Outcomes
    from forethought.questions import read_questions
    from forethought.router import FitConfig, PriceList, assemble, fit_router

    out = tmp_path_factory.mktemp("embedded")
    names = tuple(entry["name"] for entry in TARGETS)
    every = read_questions(default_questions())
    questions = every[:: len(every) // 96][:96]
    encoder = load_encoder(MODEL, system=SYSTEM)
    store = extract(encoder, questions, out / "activations", layers=(16, 20), readouts=("last", "mean"))
    config = FitConfig(targets=names, folds=3, trunk_seeds=1, trunk_keep=1, tolerance=0.05)
    known = {name: Target(name, MODEL) for name in names}
    data = assemble(questions, Outcomes.read(recorded_outcomes()), (store,), config, known)
    prices = PriceList.of(names, {name: Prices(**PRICE) for name in names}, 0.1)
    fit_router(data, config, prices).router.save(out / "router")
    return out / "router"


@pytest.fixture(scope="module")
def gate(folder, tmp_path_factory):
    from forethought.gateway.config import GatewayConfig

    ledger = tmp_path_factory.mktemp("embedded") / "ledger.sqlite"
    config = GatewayConfig.model_validate({"target": TARGETS, "router": folder, "ledger": f"sqlite:///{ledger}"})
    with running(config) as started:
        yield started


def test_a_target_is_asked_by_its_name_and_answers_token_by_token(gate):
    heard = asyncio.run(once(gate.port, chat("smollm2-chat", QUESTION, stream=True, max_tokens=24)))
    assert (heard.status, heard.ended) == (200, True)
    assert "Paris" in heard.text
    assert heard.headers["x-forethought-rule"] == "named"
    pieces = [chunk["choices"][0]["delta"].get("content") for chunk in heard.chunks if chunk.get("choices")]
    assert len([piece for piece in pieces if piece]) >= 4
    assert heard.first < heard.seconds / 2  # the first token came while the others were still computed
    account = gate.ask(f"/decisions/{heard.decision}").json
    [attempt] = account["attempts"]
    assert (account["ending"], attempt["target"], attempt["estimated"]) == ("ok", "smollm2-chat", False)
    assert attempt["output_tokens"] >= 4
    assert attempt["cost"] == (attempt["input_tokens"] + attempt["output_tokens"]) * 100


@pytest.mark.parametrize("stream", [False, True])
def test_a_routed_answer_carries_its_decision(stream, gate):
    heard = asyncio.run(once(gate.port, chat("forethought", QUESTION, stream=stream)))
    assert (heard.status, heard.ended) == (200, True)
    assert heard.text.strip()
    told = dict(pair.split("=") for pair in heard.headers["x-forethought-success"].split(","))
    assert set(told) == {"smollm2-chat", "smollm2-5shot"}
    assert heard.headers["x-forethought-target"] in told
    assert heard.headers["x-forethought-artifact"] == gate.services.host.current.artifact
    assert heard.headers["x-forethought-read"] == f"{len(QUESTION)}/{len(QUESTION)} characters"
    assert float(heard.headers["x-forethought-expected-cost-usd"]) > 0
    account = gate.ask(f"/decisions/{heard.decision}").json
    assert (account["ending"], account["target"]) == ("ok", heard.headers["x-forethought-target"])
    assert 0 < len(account["reading"]["projection"]) <= 64


def test_the_encoder_and_the_targets_share_one_copy_of_the_weights(gate):
    assert gate.chat("smollm2-chat", QUESTION, max_tokens=1).status == 200
    encoder = gate.services.host._loaded.encoder
    answering = [upstream.responder.model for upstream in gate.services.upstreams.values()]
    assert all(model.model is encoder.model.model for model in answering)
    assert all(model.tokenizer is not encoder.model.tokenizer for model in answering)
    addresses = {parameter.data_ptr() for parameter in answering[0].model.parameters()}
    assert {parameter.data_ptr() for parameter in encoder.model.model.parameters()} == addresses


def test_reading_and_answering_at_once_change_no_word(gate):
    """The encoder's thread and the targets' run the same weights side by side."""
    body = chat("smollm2-chat", QUESTION, temperature=0, max_tokens=24)
    alone = asyncio.run(once(gate.port, body)).text

    async def main() -> tuple[list[str], list[str]]:
        fresh = (f"What is {i} plus {i + 1}?" for i in itertools.count(100))
        answers = [once(gate.port, body) for _ in range(4)]
        reads = [
            once(gate.port, {"model": "forethought", "messages": [{"role": "user", "content": text}]}, path="/v1/route")
            for text in itertools.islice(fresh, 12)
        ]
        heard = await asyncio.gather(*answers, *reads)
        return [each.text for each in heard[:4]], [each.json["note"] for each in heard[4:]]

    texts, notes = asyncio.run(main())
    assert texts == [alone] * 4
    assert notes == [""] * 12  # none fell back to the safe target


def test_without_a_file_the_embedded_models_are_served(folder, tmp_path):
    with serving("--router", folder, "--ledger", f"sqlite:///{tmp_path / 'ledger.sqlite'}") as served:
        started = time.monotonic()
        while (heard := _tried(served.port)) is None and time.monotonic() - started < 60:
            time.sleep(0.1)
        assert heard is not None
        assert (heard.status, heard.ended) == (200, True)
        assert heard.headers["x-forethought-target"] in ("smollm2-chat", "smollm2-5shot")
        assert served.stop()[0] == 0


def _tried(port: int) -> Heard | None:
    try:
        return asyncio.run(once(port, chat("forethought", QUESTION)))
    except OSError:
        return None
