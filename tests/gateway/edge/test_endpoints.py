from __future__ import annotations

import asyncio
import json
import logging
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from jsonschema_rs import Draft202012Validator

from forethought.core import Decision, Prediction
from forethought.gateway.base import ClientRequest, Key, Plan, Reading
from forethought.gateway.config import GatewayConfig, NamedPolicy
from forethought.gateway.edge.answers import ERROR, MODELS, READINESS, ROUTED_PLAN
from forethought.gateway.edge.authentication import Keyring
from forethought.gateway.edge.endpoints import feedback_of, route_answer
from forethought.gateway.edge.metrics import Metrics
from forethought.gateway.edge.mounting import small_endpoints
from forethought.gateway.edge.rate_limit import RateLimiter
from forethought.gateway.keys import digest
from forethought.gateway.ledger import Feedback, LedgerLost
from forethought.gateway.problems import Problem
from forethought.targets.pool import PoolEntry

PLAN = Plan(
    ("large", "small"),
    Decision(
        "large", (Prediction("small", 0.5), Prediction("large", 0.9, 8.0, 1e-6)), "utility", {"value": 1.0}, "why"
    ),
    Reading(10, 12, 5),
    note="kept",
)
OWNER, OTHER, ADMIN = Key("owner000"), Key("other000"), Key("admin000", scope="admin")
SECRET = "s" * 43
OTHER_ADMIN, OTHER_SECRET = Key("admin111", scope="admin"), "t" * 43
SECRETS = {**dict.fromkeys((OWNER, OTHER, ADMIN), SECRET), OTHER_ADMIN: OTHER_SECRET}
KEYS = {key.id: (key, digest(secret)) for key, secret in SECRETS.items()}
CONFIG = GatewayConfig(
    target=(PoolEntry(name="small", model="s"), PoolEntry(name="vendor/large", model="l")),
    router=Path("router"),
    policies={"thrifty": NamedPolicy(rule="cheapest")},
)
CHAT = {"model": "forethought", "messages": [{"role": "user", "content": "Hi"}]}


class Book:
    """The parts of a ledger that the small endpoints ask, in memory."""

    def __init__(self) -> None:
        self.told: list[Feedback] = []
        self.lost = False
        self.unread = False

    async def key(self, id: str) -> tuple[Key, bytes] | None:
        if self.unread:
            raise LedgerLost("disk full at a secret path")
        return KEYS.get(id)

    async def any_key(self) -> bool:
        return True

    async def decision(self, id: str) -> dict[str, Any] | None:
        if self.lost:
            raise LedgerLost("disk full at a secret path")
        return {"id": id, "key_id": OWNER.id} if id == "dec-1" else None

    async def feedback(self, feedback: Feedback) -> bool:
        self.told.append(feedback)
        return feedback.decision == "dec-1"


class Planner:
    def __init__(self) -> None:
        self.asked: list[ClientRequest] = []

    async def plan(self, request: ClientRequest) -> Plan:
        self.asked.append(request)
        if request.model == "breaks":
            raise RuntimeError("a secret text")
        return PLAN


@dataclass
class Parts:
    """What `Services` offers the small endpoints."""

    config: GatewayConfig = CONFIG
    ledger: Book = field(default_factory=Book)
    planner: Planner = field(default_factory=Planner)
    metrics: Metrics = field(default_factory=Metrics)
    limiter: RateLimiter = field(default_factory=RateLimiter)
    well: bool = True

    def __post_init__(self) -> None:
        self.keyring = Keyring(self.ledger.key, self.ledger.any_key, loopback=True)
        self.app = small_endpoints(self)  # type: ignore[arg-type]

    def ready(self) -> dict[str, bool]:
        return {"ledger": self.well}

    async def reload(self) -> bool:
        return True


@dataclass
class Reply:
    status: int
    headers: dict[str, str]
    raw: bytes

    @property
    def body(self) -> Any:
        return json.loads(self.raw)

    @property
    def code(self) -> str:
        assert Draft202012Validator(ERROR).is_valid(self.body)
        return str(self.body["error"]["code"])


def ask(parts: Parts, method: str, path: str, key: Key | None = None, body: Any = None, **headers: str) -> Reply:
    """One request straight to the application."""
    raw = b"" if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
    given = [(b"host", b"localhost"), *((n.replace("_", "-").encode(), v.encode()) for n, v in headers.items())]
    if key is not None:
        given.append((b"authorization", f"Bearer ft-{key.id}-{SECRETS[key]}".encode()))
    if body is not None:
        given.append((b"content-type", b"application/json"))
    scope = {"type": "http", "method": method, "path": path, "raw_path": path.encode(), "query_string": b"",
             "headers": given, "root_path": "", "http_version": "1.1", "scheme": "http"}  # fmt: skip
    sent: list[Any] = []

    async def receive() -> Any:
        return {"type": "http.request", "body": raw, "more_body": False}

    async def send(message: Any) -> None:
        sent.append(message)

    asyncio.run(parts.app(scope, receive, send))  # type: ignore[arg-type]
    found = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
    return Reply(sent[0]["status"], found, b"".join(message.get("body", b"") for message in sent[1:]))


PROTECTED = [
    ("GET", "/metrics"), ("GET", "/v1/models"), ("GET", "/v1/models/small"), ("GET", "/v1/decisions/dec-1"),
    ("GET", "/v1/csrf"), ("POST", "/v1/route"), ("POST", "/v1/feedback"), ("POST", "/v1/reload"),
]  # fmt: skip


@pytest.mark.parametrize(("method", "path"), PROTECTED)
def test_nothing_of_worth_is_told_without_a_key(method: str, path: str) -> None:
    for trick in ({}, {"x_forwarded_host": "localhost"}, {"x_original_url": "/healthz"}, {"cookie": "admin=1"}):
        reply = ask(Parts(), method, path, body={}, **trick)
        assert (reply.status, reply.code) == (401, "invalid_api_key")
        assert reply.headers["www-authenticate"] == "Bearer"


@pytest.mark.parametrize("path", ["//v1/models", "/v1//models", "/v1/models/", "/V1/MODELS", "/v1/../v1/models", "/"])
def test_another_spelling_of_a_path_is_another_path(path: str) -> None:
    assert ask(Parts(), "GET", path, OWNER).status == 404
    assert ask(Parts(), "GET", path).status in (401, 404)


def test_models_are_the_routed_names_and_the_targets() -> None:
    reply = ask(Parts(), "GET", "/v1/models", OWNER)
    assert Draft202012Validator(MODELS).is_valid(reply.body)
    names = ["forethought", "forethought/thrifty", "small", "vendor/large"]
    assert [model["id"] for model in reply.body["data"]] == names
    for name in names:
        assert ask(Parts(), "GET", f"/v1/models/{name}", OWNER).body["id"] == name
    assert ask(Parts(), "GET", "/v1/models/none", OWNER).code == "model_not_found"


def test_without_a_router_no_routed_name_is_offered() -> None:
    parts = Parts(CONFIG.model_copy(update={"router": None}))
    assert [m["id"] for m in ask(parts, "GET", "/v1/models", OWNER).body["data"]] == ["small", "vendor/large"]


def test_a_decision_is_read_by_its_key_and_by_admins_alone() -> None:
    assert ask(Parts(), "GET", "/v1/decisions/dec-1", OWNER).body["id"] == "dec-1"
    assert ask(Parts(), "GET", "/v1/decisions/dec-1", ADMIN).status == 200
    others = ask(Parts(), "GET", "/v1/decisions/dec-1", OTHER)
    unknown = ask(Parts(), "GET", "/v1/decisions/dec-2", OTHER)
    assert (others.status, others.raw) == (unknown.status, unknown.raw) == (404, others.raw)
    assert ask(Parts(), "GET", "/v1/decisions/dec-1\x00", ADMIN).status == 404


def test_a_lost_ledger_is_told_without_its_words() -> None:
    parts = Parts()
    parts.ledger.lost = True
    reply = ask(parts, "GET", "/v1/decisions/dec-1", OWNER)
    assert (reply.status, reply.code) == (503, "ledger_unavailable")
    assert b"secret" not in reply.raw


def test_feedback_needs_an_admin() -> None:
    parts, body = Parts(), {"decision": "dec-1", "success": 1}
    assert ask(parts, "POST", "/v1/feedback", OWNER, body).code == "admin_only"
    assert parts.ledger.told == []
    assert ask(parts, "POST", "/v1/feedback", ADMIN, body).body == {**body, "source": "user"}
    assert [(f.decision, f.success, f.source) for f in parts.ledger.told] == [("dec-1", 1.0, "user")]
    assert ask(parts, "POST", "/v1/feedback", ADMIN, {**body, "decision": "dec-2"}).code == "decision_not_found"


@pytest.mark.parametrize(
    "body",
    [
        {}, {"decision": "d"}, {"success": 1}, {"decision": "", "success": 1}, {"decision": "d" * 65, "success": 1},
        {"decision": 1, "success": 1}, {"decision": "d", "success": 1.1}, {"decision": "d", "success": -1},
        {"decision": "d", "success": True}, {"decision": "d", "success": "1"}, {"decision": "d", "success": None},
        {"decision": "d", "success": 1, "source": ""}, {"decision": "d", "success": 1, "source": None},
        {"decision": "d", "success": 1, "source": "a b"}, {"decision": "d", "success": 1, "more": 1},
        {"decision": "d\u0000", "success": 1}, [], {"decision": "d", "success": 1, "source": "é"},
    ],
)  # fmt: skip
def test_a_malformed_feedback_is_refused(body: Any) -> None:
    with pytest.raises(Problem) as caught:
        feedback_of(json.dumps(body).encode())
    assert caught.value.status == 400


def test_a_browser_shows_the_token_it_was_given() -> None:
    parts, body = Parts(), {"decision": "dec-1", "success": 0.5}
    site = {"origin": "http://localhost", "sec_fetch_site": "same-origin"}
    assert ask(parts, "POST", "/v1/feedback", ADMIN, body, **site).code == "csrf"
    assert ask(parts, "POST", "/v1/reload", ADMIN, origin="http://example.com").code == "cross_origin"
    assert ask(parts, "GET", "/v1/csrf", OWNER).code == "admin_only"
    assert ask(parts, "GET", "/v1/csrf", ADMIN, origin="http://example.com").code == "cross_origin"
    reply = ask(parts, "GET", "/v1/csrf", ADMIN)
    assert len(reply.body["token"]) == 64
    assert reply.headers["cache-control"] == "no-store"
    shown = {**site, "x_forethought_csrf": reply.body["token"]}
    assert ask(parts, "POST", "/v1/feedback", ADMIN, body, **shown).status == 200
    assert ask(Parts(), "POST", "/v1/feedback", ADMIN, body, **shown).status == 200  # another process
    assert ask(parts, "POST", "/v1/feedback", OTHER_ADMIN, body, **shown).code == "csrf"


def test_a_route_decides_and_calls_nothing() -> None:
    parts = Parts()
    reply = ask(parts, "POST", "/v1/route", OWNER, CHAT)
    assert Draft202012Validator(ROUTED_PLAN).is_valid(reply.body)
    assert reply.body["target"] == "large"
    assert reply.body["predictions"][1] == {"target": "large", "success": 0.9, "output_tokens": 8.0, "cost_usd": 1e-6}
    assert reply.body["id"] == parts.planner.asked[0].id
    assert (reply.body["read"], reply.body["of"], reply.body["note"]) == (10, 12, "kept")
    assert ask(parts, "POST", "/v1/route", OWNER, {**CHAT, "api_base": "http://x"}).code == "field_refused"
    assert ask(parts, "POST", "/v1/route", OWNER, b"{").code == "invalid_json"


@pytest.mark.parametrize("plan", [Plan(()), Plan(("small",))])
def test_a_plan_without_a_decision_is_told_too(plan: Plan) -> None:
    told = route_answer("dec-1", plan)
    assert Draft202012Validator(ROUTED_PLAN).is_valid(told)
    assert told["target"] == (plan.targets[0] if plan.targets else None)


def test_health_and_readiness_need_no_key() -> None:
    assert ask(Parts(), "GET", "/healthz").body == {"status": "ok"}
    assert ask(Parts(), "GET", "/readyz").status == 200
    reply = ask(Parts(well=False), "GET", "/readyz")
    assert reply.status == 503
    assert Draft202012Validator(READINESS).is_valid(reply.body)
    assert ask(Parts(), "GET", "/openapi.json").body["openapi"] == "3.1.0"


def test_metrics_are_for_admins() -> None:
    assert ask(Parts(), "GET", "/metrics", OWNER).code == "admin_only"
    assert b"forethought_requests" in ask(Parts(), "GET", "/metrics", ADMIN).raw


def test_reload_says_whether_there_was_something_new() -> None:
    assert ask(Parts(), "POST", "/v1/reload", ADMIN).body == {"reloaded": True}


@pytest.mark.parametrize(
    ("method", "path", "allow"),
    [("DELETE", "/v1/models", "GET, HEAD"), ("GET", "/v1/route", "POST"), ("GET", "/v1/chat/completions", "POST"),
     ("PUT", "/healthz", "GET, HEAD")],
)  # fmt: skip
def test_a_method_that_a_path_does_not_take_is_told_which_it_takes(method: str, path: str, allow: str) -> None:
    reply = ask(Parts(), method, path, OWNER)
    assert (reply.status, reply.code, reply.headers["allow"]) == (405, "method_not_allowed", allow)


def test_a_defect_is_told_and_logged_without_its_words(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        reply = ask(Parts(), "POST", "/v1/route", OWNER, {**CHAT, "model": "breaks"})
    assert (reply.status, reply.code) == (500, "internal_error")
    assert b"secret" not in reply.raw
    [record] = [record for record in caplog.records if record.levelno >= logging.ERROR]
    assert record.getMessage() == "RuntimeError at /v1/route"
    assert record.exc_info is None


def test_the_log_of_a_defect_names_no_path_that_a_client_made_up(caplog: pytest.LogCaptureFixture) -> None:
    parts = Parts()
    parts.ledger.decision = None  # type: ignore[assignment,method-assign]
    assert ask(parts, "GET", "/v1/decisions/canary", OWNER).status == 500
    assert "TypeError at /v1/decisions/{id}" in caplog.text
    assert "canary" not in caplog.text


@pytest.mark.parametrize(("method", "path"), PROTECTED)
def test_without_a_ledger_nobody_is_known(method: str, path: str) -> None:
    parts = Parts()
    parts.ledger.unread = True
    reply = ask(parts, method, path, ADMIN, {} if method == "POST" else None)
    assert (reply.status, reply.code) == (503, "ledger_unavailable")
    assert b"secret" not in reply.raw


def test_a_rate_holds_for_the_small_endpoints_too() -> None:
    parts = Parts()
    slow = Key(OWNER.id, requests_per_second=1)

    async def key(id: str) -> tuple[Key, bytes]:
        return slow, digest(SECRET)

    parts.keyring = Keyring(key, parts.ledger.any_key, loopback=False)
    assert ask(parts, "GET", "/v1/models", OWNER).status == 200
    reply = ask(parts, "GET", "/v1/models", OWNER)
    assert (reply.status, reply.code) == (429, "rate_limited")
    assert 0 < int(reply.headers["retry-after-ms"]) <= 1000
