"""What a client sees of a whole gateway: an answer, the decision behind it, and a ledger that knows both."""

from __future__ import annotations

import http.client
import json
import socket
import sqlite3
import threading
import time

import pytest

from forethought.errors import ConfigError

CHAT = "/chat/completions"


def body(model="forethought", text="question 7 on a river metal", **rest):
    return {"model": model, "messages": [{"role": "user", "content": text}], **rest}


def rows(gate, columns):
    """Columns of every decision, read beside the gateway."""
    reader = sqlite3.connect(gate.services.config.ledger.removeprefix("sqlite:///"))
    try:
        return reader.execute(f"SELECT {columns} FROM decisions").fetchall()
    finally:
        reader.close()


def test_a_named_target_passes_through(gateway, provider, target):
    gate = gateway(target=[target("plain", provider, "ok")])
    answer = gate.chat("plain")
    assert answer.status == 200
    assert answer.headers["x-forethought-target"] == "plain"
    assert answer.headers["x-forethought-rule"] == "named"
    assert answer.headers["x-forethought-recorded"] == "true"
    decision = gate.ask(f"/decisions/{answer.headers['x-forethought-decision']}").json
    assert (decision["ending"], decision["target"], decision["status"]) == ("ok", "plain", 200)
    usage = answer.json["usage"]
    cost = usage["prompt_tokens"] * 1000 + usage["completion_tokens"] * 2000
    assert decision["cost"] == cost
    assert float(answer.headers["x-forethought-cost-usd"]) == pytest.approx(cost / 1e9)


def test_a_routed_answer_carries_its_decision(routed):
    gate = routed()
    answer = gate.ask(CHAT, body("forethought/argmax"))
    assert answer.status == 200
    told = dict(pair.split("=") for pair in answer.headers["x-forethought-success"].split(","))
    assert set(told) == {"north", "south", "middling", "dear", "hopeless"}
    assert answer.headers["x-forethought-rule"] == "argmax"
    assert answer.headers["x-forethought-target"] == max(told, key=lambda name: float(told[name]))
    assert len(answer.headers["x-forethought-artifact"]) >= 12
    assert float(answer.headers["x-forethought-expected-cost-usd"]) > 0
    decision = gate.ask(f"/decisions/{answer.headers['x-forethought-decision']}").json
    assert decision["decision"]["artifact"] == answer.headers["x-forethought-artifact"]
    assert [p["target"] for p in decision["decision"]["predictions"]] == list(told)
    assert len(decision["reading"]["logits"]) == 5
    assert 0 < len(decision["reading"]["projection"]) <= 64
    assert decision["text"] is None


def test_what_the_encoder_read_is_charged_too(routed):
    gate = routed(encoder={"model": "planted", "price": 1000.0})
    key = gate.new_key(daily_budget=10**9)
    answer = gate.ask(CHAT, body(), key=key)
    decision = gate.ask(f"/decisions/{answer.headers['x-forethought-decision']}", key=key).json
    *asked, reading = decision["attempts"]
    assert (reading["target"], reading["cost"]) == ("encoder", decision["reading"]["encoder_tokens"] * 10**6)
    assert decision["cost"] == reading["cost"] + sum(attempt["cost"] for attempt in asked)
    assert float(answer.headers["x-forethought-cost-usd"]) == pytest.approx(decision["cost"] / 1e9)


def test_a_routed_stream_tells_its_cost_before_its_end(routed):
    events = routed().events(CHAT, body())
    assert events[-1] == "data: [DONE]"
    assert events[-2].startswith(": x-forethought-cost-usd 0.0")
    chunks = [json.loads(event.removeprefix("data: ")) for event in events[:-2]]
    assert "".join(c["choices"][0]["delta"].get("content") or "" for c in chunks).split()[0] == "w0"
    assert all(chunk["choices"] for chunk in chunks)  # the usage that only the gateway asked for stays with it


def test_the_route_endpoint_decides_and_calls_nobody(routed, provider):
    found = routed().ask("/route", body()).json
    assert found["target"] in found["order"]
    assert len(found["predictions"]) == 5
    assert provider.requests == []


def test_a_cut_stream_ends_as_an_error_and_not_as_a_success(gateway, provider, target):
    gate = gateway(target=[target("cut", provider, "cut-5")])
    connection = http.client.HTTPConnection("127.0.0.1", gate.port, timeout=10)
    connection.request("POST", "/v1" + CHAT, json.dumps(body("cut", stream=True)), {"content-type": "application/json"})
    reply = connection.getresponse()
    with pytest.raises(http.client.IncompleteRead) as cut:
        reply.read()
    connection.close()
    *_, last, empty = cut.value.partial.decode().split("\n\n")
    assert empty == ""
    assert json.loads(last.removeprefix("data: "))["error"]["code"] == "stream_truncated"
    decision = gate.ask(f"/decisions/{reply.headers['x-forethought-decision']}").json
    assert decision["ending"] == "truncated"
    assert decision["attempts"][0]["output_tokens"] == 5


def test_a_budget_refuses_before_it_is_over(gateway, provider, target):
    gate = gateway(target=[target("plain", provider, "ok+tokens-10")])
    key = gate.new_key(daily_budget=1_000_000)  # a tenth of a cent: some ten answers of at most 40 tokens
    statuses = [gate.chat("plain", key=key, max_tokens=40).status for _ in range(60)]
    assert statuses[0] == 200
    assert statuses[-1] == 429
    refused = gate.chat("plain", key=key, max_tokens=40)
    assert refused.json["error"]["code"] == "budget_exhausted"
    assert int(refused.headers["retry-after"]) > 0
    [spent] = [each for each in gate.do(gate.services.ledger.keys()) if each["id"] in key]
    assert 0 < spent["spent"] <= 1_000_000
    assert spent["reserved"] == 0


def test_a_quota_of_dear_targets_holds_whatever_the_router_says(routed):
    gate = routed(entries={"dear": {"dear": True}, "north": {"dear": True}, "south": {"dear": True}})
    key = gate.new_key(dear_share=0.2)
    answers = [gate.ask(CHAT, body("forethought/argmax", f"question {i} on a verb"), key=key) for i in range(40)]
    assert {answer.status for answer in answers} == {200}
    dear = sum(answer.headers["x-forethought-target"] in ("dear", "north", "south") for answer in answers)
    assert dear == 8
    free = gate.new_key()
    answers = [gate.ask(CHAT, body("forethought/argmax", f"question {i} on a verb"), key=free) for i in range(9)]
    assert sum(answer.headers["x-forethought-target"] in ("dear", "north", "south") for answer in answers) > 2


def test_fallback_never_goes_to_a_dear_target_that_no_quota_paid_for(routed, provider):
    dear = {name: {"dear": True} for name in ("dear", "north", "south")}
    gate = routed({"middling": "status-500", "hopeless": "status-500"}, dear)
    key = gate.new_key(dear_share=0.0)
    assert gate.ask(CHAT, body(), key=key).status == 503
    assert {received.model for received in provider.requests} <= {"status-500"}


def test_a_failing_target_is_replaced_by_the_next_best_and_it_is_told(routed, caplog):
    gate = routed({"dear": "status-500", "north": "status-500", "south": "status-500"})
    answers = [gate.ask(CHAT, body("forethought/argmax", f"question {i} on a planet")) for i in range(8)]
    assert {answer.status for answer in answers} == {200}
    assert {answer.headers["x-forethought-target"] for answer in answers} <= {"middling", "hopeless"}
    assert {answer.headers.get("x-forethought-failed") for answer in answers} <= {"dear", "north", "south", None}
    assert any("x-forethought-failed" in answer.headers for answer in answers)
    assert "failed: status 500" in caplog.text


def test_no_key_is_needed_on_loopback_until_one_is_made(gateway, provider, target):
    gate = gateway(target=[target("plain", provider, "ok")])
    assert gate.chat("plain").status == 200
    gate.new_key()
    time.sleep(1.1)
    assert gate.chat("plain").status == 401


def test_beyond_loopback_an_admin_key_is_needed(gateway, provider, target):
    with pytest.raises(ConfigError, match="no admin key"):
        gateway(loopback=False, target=[target("plain", provider, "ok")])


def test_a_decision_is_read_by_its_own_key_and_by_admins(gateway, provider, target):
    gate = gateway(target=[target("plain", provider, "ok")])
    own, other, admin = gate.new_key(), gate.new_key(), gate.new_key(scope="admin")
    id = gate.chat("plain", key=own).headers["x-forethought-decision"]
    assert [gate.ask(f"/decisions/{id}", key=key).status for key in (own, other, admin)] == [200, 404, 200]


def test_feedback_is_an_admins_and_joins_its_decision(gateway, provider, target):
    gate = gateway(target=[target("plain", provider, "ok")])
    client, admin = gate.new_key(), gate.new_key(scope="admin")
    id = gate.chat("plain", key=client).headers["x-forethought-decision"]
    told = {"decision": id, "success": 0.5, "source": "grader:math"}
    assert [gate.ask("/feedback", told, key=key).status for key in (client, admin)] == [403, 200]
    assert gate.ask(f"/decisions/{id}", key=client).json["outcomes"][0]["success"] == 0.5
    assert gate.ask("/feedback", {**told, "decision": "dec-unknown"}, key=admin).status == 404


def test_without_a_ledger_keys_without_limits_are_still_served(gateway, provider, target, ledger_file):
    gate = gateway(target=[target("plain", provider, "ok")])
    free, limited = gate.new_key(), gate.new_key(daily_budget=10**9)
    assert [gate.chat("plain", key=key).status for key in (free, limited)] == [200, 200]
    connection = sqlite3.connect(ledger_file)
    connection.execute("ALTER TABLE decisions RENAME TO elsewhere")
    connection.commit()
    lost = gate.chat("plain", key=free)
    assert (lost.status, lost.headers["x-forethought-recorded"]) == (200, "false")
    assert gate.chat("plain", key=limited).json["error"]["code"] == "ledger_unavailable"
    connection.execute("ALTER TABLE elsewhere RENAME TO decisions")
    connection.commit()
    connection.close()
    assert gate.chat("plain", key=limited).headers["x-forethought-recorded"] == "true"
    metrics = gate.ask("//metrics", key=gate.new_key(scope="admin")).body.decode()
    assert "forethought_ledger_losses_total 2.0" in metrics


def test_a_client_that_hangs_up_stops_the_upstream_and_is_charged_for_what_came(gateway, provider, target):
    gate = gateway(target=[target("slow", provider, "ok+pace-0.05")])
    connection = http.client.HTTPConnection("127.0.0.1", gate.port, timeout=10)
    connection.request(
        "POST", "/v1" + CHAT, json.dumps(body("slow", stream=True)), {"content-type": "application/json"}
    )
    reply = connection.getresponse()
    reply.read(200)
    reply.close()
    connection.close()
    assert provider.wait_until(lambda: provider.requests[0].hung_up is not None)
    id = reply.headers["x-forethought-decision"]
    assert provider.wait_until(lambda: gate.ask(f"/decisions/{id}").json["ending"] is not None)
    decision = gate.ask(f"/decisions/{id}").json
    assert decision["ending"] == "cancelled"
    assert 0 < decision["attempts"][0]["output_tokens"] < 60


def test_unknown_models_paths_and_methods_are_told_as_json(gateway, provider, target):
    gate = gateway(target=[target("plain", provider, "ok")])
    assert gate.chat("nobody").json["error"]["code"] == "model_not_found"
    assert gate.chat("forethought").status == 404
    assert gate.ask("/nothing").status == 404
    assert gate.ask(CHAT).status == 405


def test_health_readiness_models_and_openapi(routed):
    gate = routed()
    assert gate.ask("//healthz").json == {"status": "ok"}
    assert gate.ask("//readyz").json["ready"] is True
    assert gate.ask("/models").json["data"][0]["id"] == "forethought"
    assert "/v1/chat/completions" in gate.ask("//openapi.json").json["paths"]


def test_an_abstention_is_an_answer_of_nobody(routed, provider):
    gate = routed(policies={"careful": {"rule": "argmax+floor", "setting": {"floor": 1.0}}})
    answer = gate.ask(CHAT, body("forethought/careful"))
    assert (answer.status, answer.headers["x-forethought-target"]) == (200, "none")
    assert "not likely" in answer.json["choices"][0]["message"]["content"]
    assert provider.requests == []


def test_a_changed_router_is_taken_up_while_requests_run(routed, router_folder, fitted):
    gate = routed()
    before = gate.ask(CHAT, body()).headers["x-forethought-artifact"]
    assert gate.ask("/reload", {}).json == {"reloaded": False}
    manifest = fitted.router.manifest
    fitted.router.manifest = {**manifest, "config": {"changed": True}}
    fitted.router.save(router_folder)
    try:
        assert gate.ask("/reload", {}).json == {"reloaded": True}
        assert gate.ask(CHAT, body()).headers["x-forethought-artifact"] != before
    finally:
        fitted.router.manifest = manifest
        fitted.router.save(router_folder)


def test_an_account_that_could_not_be_written_is_written_once_the_ledger_is_back(
    gateway, provider, target, ledger_file
):
    gate = gateway(target=[target("slow", provider, "ok+wait-0.5")])
    connection = sqlite3.connect(ledger_file)

    def rename(name, to):
        connection.execute(f"ALTER TABLE {name} RENAME TO {to}")
        connection.commit()

    asking = threading.Thread(target=lambda: answers.append(gate.chat("slow")))
    answers = []
    asking.start()
    assert provider.wait_until(lambda: len(provider.requests) == 1)
    rename("attempts", "elsewhere")
    asking.join()
    assert (answers[0].status, answers[0].headers["x-forethought-recorded"]) == (200, "false")
    rename("elsewhere", "attempts")
    connection.close()
    id = answers[0].headers["x-forethought-decision"]
    assert provider.wait_until(lambda: gate.ask(f"/decisions/{id}").json["ending"] == "ok", 5)


def test_an_account_outlives_a_client_that_hangs_up_while_it_cannot_be_written(gateway, provider, target, ledger_file):
    gate = gateway(target=[target("slow", provider, "ok+wait-0.3")])
    connection = sqlite3.connect(ledger_file)
    client = http.client.HTTPConnection("127.0.0.1", gate.port, timeout=10)
    client.request("POST", "/v1" + CHAT, json.dumps(body("slow")), {"content-type": "application/json"})
    assert provider.wait_until(lambda: len(provider.requests) == 1)
    connection.execute("BEGIN IMMEDIATE")  # from here on the ledger waits for this connection
    time.sleep(0.5)
    client.close()
    time.sleep(0.1)
    connection.rollback()
    connection.close()

    assert provider.wait_until(lambda: rows(gate, "ending, cost > 0") == [("ok", 1)], 5)


def test_a_client_that_does_not_read_is_not_waited_for_longer_than_a_request_may_last(gateway, provider, target):
    gate = gateway(target=[target("long", provider, "ok+tokens-60000")], timeouts={"total": 2.0})
    with socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.connect(("127.0.0.1", gate.port))
        sent = json.dumps(body("long", stream=True)).encode()
        head = f"POST /v1{CHAT} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n"
        client.sendall(head.encode() + f"content-length: {len(sent)}\r\n\r\n".encode() + sent)
        ended = ([("cancelled",)], [("truncated",)])
        assert provider.wait_until(lambda: rows(gate, "ending") in ended, 5)
        assert rows(gate, "status") == [(200,)]


def test_an_error_of_our_own_is_a_500_in_the_answer_and_in_the_ledger(gateway, provider, target, monkeypatch, caplog):
    gate = gateway(target=[target("plain", provider, "ok")])

    async def broken(*_):
        raise RuntimeError("quotes a secret prompt")

    monkeypatch.setattr(gate.services.executor, "deliver", broken)
    answer = gate.chat("plain")
    assert (answer.status, answer.json["error"]["code"]) == (500, "internal_error")
    assert "secret" not in caplog.text
    assert "RuntimeError" in caplog.text
    assert rows(gate, "ending, status") == [("failed", 500)]
