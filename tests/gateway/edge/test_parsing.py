from __future__ import annotations

import contextlib
import json
import random
import time
import tracemalloc
from typing import Any

import pytest

from forethought.gateway.base import LOCAL, Key
from forethought.gateway.edge.fields import FIELDS
from forethought.gateway.edge.messages import ROLES
from forethought.gateway.edge.parsing import new_id, parse_request
from forethought.gateway.edge.refusals import REFUSED
from forethought.gateway.edge.structure import MOST_PARTS
from forethought.gateway.problems import Problem

CHAT = {"model": "forethought", "messages": [{"role": "user", "content": "Hi"}]}
BODIES: dict[str, dict[str, Any]] = {
    "/chat/completions": CHAT,
    "/completions": {"model": "m", "prompt": "Hi"},
    "/responses": {"model": "m", "input": "Hi"},
    "/embeddings": {"model": "m", "input": ["Hi"]},
}


def parse(body: Any, path: str = "/chat/completions", headers: dict[bytes, bytes] | None = None) -> Any:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return parse_request(path, raw, LOCAL, headers or {})


def refused(body: Any, path: str = "/chat/completions") -> Problem:
    with pytest.raises(Problem) as caught:
        parse(body, path)
    assert caught.value.status == 400
    return caught.value


@pytest.mark.parametrize("path", FIELDS)
def test_a_plain_body_passes_as_it_came(path: str) -> None:
    raw = json.dumps({**BODIES[path], "of_tomorrow": {"x": [1]}}).encode()
    request = parse(raw, path)
    assert request.raw is raw
    assert request.body["of_tomorrow"] == {"x": [1]}
    assert request.path == path
    assert request.key is LOCAL


@pytest.mark.parametrize("path", FIELDS)
def test_what_is_required_must_be_there(path: str) -> None:
    for name, field in FIELDS[path].items():
        if field.required:
            assert refused({k: v for k, v in BODIES[path].items() if k != name}, path).param == name
            assert refused({**BODIES[path], name: None}, path).param == name


@pytest.mark.parametrize("path", FIELDS)
def test_optional_fields_may_be_null(path: str) -> None:
    parse({**BODIES[path], **{name: None for name, field in FIELDS[path].items() if not field.required}}, path)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("model", ""), ("model", "x" * 257), ("model", 3), ("model", "a\u0000"), ("model", "a\nb"), ("model", "é"),
        ("stream", 1), ("stream", "true"), ("n", 0), ("n", 129), ("n", True), ("n", 1.5), ("n", 2**63),
        ("max_tokens", 0), ("max_tokens", -1), ("max_tokens", 2**31), ("max_tokens", "5"),
        ("max_completion_tokens", 0), ("temperature", -0.1), ("temperature", 2.1), ("temperature", "1"),
        ("temperature", True), ("top_p", 1.5), ("top_p", -1), ("logprobs", 1), ("top_logprobs", 21), ("tools", {}),
        ("tools", [1]), ("response_format", []), ("response_format", {}), ("stream_options", True),
        ("stream_options", {"include_usage": 1}), ("messages", []), ("messages", "Hi"), ("messages", [1]),
        ("messages", {}),
    ],
)  # fmt: skip
def test_a_value_out_of_range_is_told_by_its_field(name: str, value: Any) -> None:
    assert (refused({**CHAT, name: value}).param or "").startswith(name)


@pytest.mark.parametrize(
    ("name", "value"),
    [("n", 1), ("n", 128), ("max_tokens", 2**31 - 1), ("temperature", 0), ("temperature", 2.0), ("top_p", 1),
     ("stream_options", {}), ("tools", []), ("model", "a/b:c d")],
)  # fmt: skip
def test_a_value_at_its_limit_passes(name: str, value: Any) -> None:
    assert parse({**CHAT, name: value}).body[name] == value


@pytest.mark.parametrize(
    "message",
    [
        {"role": "user"}, {"role": "user", "content": None}, {"role": "wizard", "content": "x"}, {"content": "x"},
        {"role": ["user"], "content": "x"}, {"role": "user", "content": 5}, {"role": "user", "content": []},
        {"role": "user", "content": [{"text": "x"}]}, {"role": "user", "content": [{"type": "text"}]},
        {"role": "user", "content": [{"type": "image_url", "image_url": {"url": "file:///etc/passwd"}}]},
        {"role": "user", "content": [{"type": "image_url", "image_url": "http://a"}]},
        {"role": "user", "content": ["x"]}, {"role": "tool", "content": None},
    ],
)  # fmt: skip
def test_a_malformed_message_is_refused(message: Any) -> None:
    problem = refused({**CHAT, "messages": [CHAT["messages"][0], message]})
    assert (problem.param or "").startswith("messages[1]")


@pytest.mark.parametrize("field", ["image_url", "file_url", "video_url"])
@pytest.mark.parametrize("link", ["file:///etc/passwd", {"url": "file:///etc/passwd"}, "/etc/passwd", "FTP://a", 1, {}])
def test_a_link_to_the_upstreams_own_files_is_refused_wherever_it_stands(field: str, link: Any) -> None:
    part = {"type": "input_image", field: link}
    for item in (
        {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "x"}, part]},
        {"type": "computer_call_output", "output": part},
        {"type": "function_call_output", "output": [part]},
        part,
    ):
        assert refused({"model": "m", "input": [item]}, "/responses").param == "input"
    assert refused({**CHAT, "messages": [{"role": "user", "content": [part]}]}).param == "messages[0].content[0]"


@pytest.mark.parametrize("link", ["https://a/b.png", "http://a", "data:image/png;base64,AA", None])
def test_a_link_to_the_web_passes(link: Any) -> None:
    content = [{"type": "input_image", "image_url": link}, {"type": "input_file", "file_url": link}, "odd"]
    parse({"model": "m", "input": [{"role": "user", "content": content}, {"type": "new"}]}, "/responses")


@pytest.mark.parametrize("role", ROLES)
def test_every_role_may_speak(role: str) -> None:
    parts = [{"type": "text", "text": "x"}, {"type": "image_url", "image_url": {"url": "https://a/b"}}, {"type": "new"}]
    parse({**CHAT, "messages": [{"role": role, "content": "x"}, {"role": role, "content": parts}]})


def test_an_assistant_may_be_silent() -> None:
    parse({**CHAT, "messages": [{"role": "assistant", "tool_calls": []}, {"role": "function", "content": None}]})


@pytest.mark.parametrize("name", [*sorted(REFUSED), "aws_region", "API_BASE", "vertex_project", "Extra_Headers"])
def test_fields_that_steer_are_refused(name: str) -> None:
    for path, body in BODIES.items():
        assert refused({**body, name: None}, path).code == "field_refused"


@pytest.mark.parametrize(
    ("path", "name", "belongs"),
    [
        ("/chat/completions", "max_output_tokens", "/responses"),
        ("/completions", "max_output_tokens", "/responses"),
        ("/completions", "max_completion_tokens", "/chat/completions"),
        ("/responses", "max_tokens", "/completions and /chat/completions"),
        ("/responses", "max_completion_tokens", "/chat/completions"),
        ("/embeddings", "max_tokens", "/completions and /chat/completions"),
    ],
)
@pytest.mark.parametrize("value", [1, 1.0, "x"])
def test_a_limit_of_another_path_is_refused(path: str, name: str, belongs: str, value: Any) -> None:
    problem = refused({**BODIES[path], name: value}, path)
    assert (problem.code, problem.param) == ("invalid_value", name)
    assert problem.message.startswith(f"{name} must be left out, since it belongs to {belongs}")
    refused({**BODIES[path], name.upper(): value}, path)


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/chat/completions", "max_tokens"), ("/chat/completions", "max_completion_tokens"),
        ("/completions", "max_tokens"), ("/responses", "max_output_tokens"),
    ],
)  # fmt: skip
def test_a_limit_of_its_own_path_passes(path: str, name: str) -> None:
    assert parse({**BODIES[path], name: 7}, path).body[name] == 7


SECOND_READINGS = [
    b'{"model":"cheap","messages":[{"role":"user","content":"x"}],"model":"dear"}',
    b'{"model":"cheap","messages":[{"role":"user","content":"x"}],"\\u006dodel":"dear"}',
    b'{"model":"cheap","messages":[{"role":"user","content":"x"}],"mod\\u0065l":"dear"}',
    b'{"model":"cheap","messages":[{"role":"user","content":"x"}],"max\\u005Ftokens":1,"max_tokens":9}',
    b'{"model":"cheap","messages":[{"role":"user","content":"x"}],"model" \n:"cheap"}',
    b'{"model":"cheap","messages":[{"role":"user","content":"x"}],"Model":"dear"}',
    b'{"model":"cheap","messages":[{"role":"user","content":"x"}],"MAX_TOKENS":9}',
    '{"model":"cheap","messages":[{"role":"user","content":"x"}],"max_to\u212aens":9}'.encode(),
    b'{"model":"cheap","messages":[{"role":"user","content":"x"}],"me\\u017f\\u017fages":[]}',
    b'{"n":1,"model":"cheap","messages":[{"role":"user","content":"x"}],"n":128}',
    b'{"model":"cheap","messages":[{"role":"user","content":"x"}],"api\\u005fbase":"http://a"}',
    b'{"model":"cheap","messages":[{"role":"user","content":"x"}],"of_tomorrow":1,"of_tomorrow":2}',
    b'{"model":"cheap","messages":[{"role":"user","content":"x","content":"y"}]}',
    b'{"model":"cheap","messages":[{"role":"user","content":"x\\\\","c\\u006fntent":"y"}]}',
]


@pytest.mark.parametrize("raw", SECOND_READINGS)
def test_a_body_that_an_upstream_could_read_otherwise_is_refused(raw: bytes) -> None:
    refused(raw)


def test_equal_names_within_other_fields_are_let_be() -> None:
    parse({**CHAT, "metadata": {"model": "x", "n": 1}, "tools": [{"model": 1}, {"n": 2}]})
    for text in ('say "model": "x", "model": \\u006d', '{"a":1,"a":[', "C:\\", '\\\\"', ':"', "\\n"):
        parse({**CHAT, "messages": [{"role": "user", "content": text}], 'é\\":': {"\\": text}})


def begun(unit: bytes, parts: int, most: int = MOST_PARTS) -> bytes:
    """A chat with a field of as many equal items as are allowed, or a few more."""
    items = unit * ((most - 60) // parts)
    return b'{"model":"m","messages":[{"role":"user","content":"x"}],"z":[' + items + b"0]}"


DENSE = [
    (b"[],", 7), (b"[[]],", 13), (b'{"a":1},', 10), (b'{"a":"b"},', 12), (b"12345,", 1), (b'"ab",', 3),
    ('"é日",'.encode(), 3), (b"[" * 100 + b"]" * 100 + b",", 601),
]  # fmt: skip


@pytest.mark.parametrize(("unit", "parts"), DENSE, ids=[unit[:9].decode() for unit, _ in DENSE])
def test_a_body_holds_so_many_parts_and_no_more(unit: bytes, parts: int) -> None:
    raw, spent = begun(unit, parts), []
    for _ in range(4):
        started = time.thread_time()
        parse(raw)
        spent.append(time.thread_time() - started)
    print(f"{unit[:9]!r}: {min(spent) * 1e3:.0f} ms for {len(raw) >> 10} KiB")
    assert min(spent) < 0.1  # 10 to 45 ms on a quiet core
    assert refused(begun(unit, parts, MOST_PARTS + 1000)).code == "too_complex"


def grown(raw: bytes) -> float:
    """Most MB that reading a body takes."""
    tracemalloc.start()
    try:
        with contextlib.suppress(Problem):
            parse(raw)
        return tracemalloc.get_traced_memory()[1] / 2**20
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    "raw",
    [
        begun(b"[],", 1, 14 * 2**20 // 3),
        begun(b'{"a":1},', 1, 14 * 2**20 // 8)[:-1] + b',"\\u0041":1}',
        begun(b'"",', 1, 14 * 2**20 // 3),
        begun(b"9" * 4300 + b",", 1, 3000),
        b'{"model":"' + rb"\\" * (7 * 2**20) + b'"}',
        b'{"model":"' + rb"\"" * (7 * 2**20) + b'"}',
        b'"' * (14 * 2**20),
    ],
    ids=["arrays", "objects", "strings", "digits", "backslashes", "quotes", "open"],
)
def test_a_large_body_of_small_parts_is_refused_before_it_is_parsed(raw: bytes) -> None:
    started = time.thread_time()
    problem = refused(raw)
    spent = time.thread_time() - started
    print(f"{spent * 1e3:.0f} ms for {len(raw) >> 20} MiB")
    assert problem.code == "too_complex"
    assert spent < 0.1  # 5 to 35 ms on a quiet core
    assert grown(raw) < 50


def test_the_most_that_is_accepted_takes_little_memory() -> None:
    for unit, parts in DENSE[3:6]:
        assert grown(begun(unit, parts)) < 50


@pytest.mark.parametrize("text", ["word ", "1,2;3,4\n", '{"a": [1, 2]}, "b": "c"' + "x" * 60, "\U0001f600é"])
def test_ten_megabytes_of_text_are_a_plain_request(text: str) -> None:
    long = text * (10 * 2**20 // len(text.encode()))
    raw = json.dumps({**CHAT, "messages": [{"role": "user", "content": long}]}, ensure_ascii=False).encode()
    started = time.thread_time()
    body = parse(raw).body
    spent = time.thread_time() - started
    print(f"{spent * 1e3:.0f} ms for {len(raw) >> 20} MiB")
    assert body["messages"][0]["content"] == long
    assert spent < 0.2


def test_three_hundred_thousand_tokens_may_be_embedded() -> None:
    inputs = [[number] * 150 for number in range(100_000, 102_000)]
    assert parse({"model": "m", "input": inputs}, "/embeddings").body["input"] == inputs


def test_many_equal_names_do_not_take_long() -> None:
    raw = b'{"model":"m","messages":[{"role":"user","content":"x"}],' + b'"n":1,' * 50_000 + b'"n":1}'
    started = time.perf_counter()
    refused(raw)
    assert time.perf_counter() - started < 0.5


HARD = [
    b"", b"null", b"[]", b'"x"', b"{", b"{}x", b"[" * 100_000, b'{"a":' * 100_000, b'{"model":"\\ud800"}',
    b'\xef\xbb\xbf{"model":"m"}', b'{"model":"\xff"}', b'{"model":"\xc0\xaf"}', b'{"model":"\xed\xa0\x80"}',
    b'{"model":"m","messages":[{"role":"user","content":"x"}],"temperature":NaN}',
    b'{"model":"m","messages":[{"role":"user","content":"x"}],"temperature":Infinity}',
    b'{"model":"m","messages":[{"role":"user","content":"x"}],"unread":1e400}',
    b'{"model":"m","messages":[{"role":"user","content":"x"}],"unread":[{"x":-1e999}]}',
    b'{"model":"m","messages":[{"role":"user","content":"x"}],"seed":' + b"9" * 100_000 + b"}",
    b'{"model":"m","messages":[{"role":"user","content":"x"}],"n":' + b"9" * 4000 + b"}",
]  # fmt: skip


@pytest.mark.parametrize("raw", HARD, ids=range(len(HARD)))
def test_what_no_parser_should_meet_is_refused_quickly(raw: bytes) -> None:
    started = time.perf_counter()
    problem = refused(raw)
    assert time.perf_counter() - started < 0.05
    assert len(problem.body) < 1000


def test_odd_text_is_handed_on() -> None:
    text = "\u202e\u200b\u0000\ufeff\U0001f600"
    assert parse({**CHAT, "messages": [{"role": "user", "content": text}]}).body["messages"][0]["content"] == text


def test_no_text_of_a_prompt_stands_in_a_message() -> None:
    for name in ("stream", "n", "messages", "response_format", "tools"):
        assert "canary" not in refused({**CHAT, name: "canary"}).message
    assert "canary" not in refused(b'{"model":"m","messages":[{"role":"user","content":"canary"}').message


VALUES = [
    b"NaN", b"-Infinity", b"1e400", b"9223372036854775808", b"[" * 300, b'"\\ud800"', b'"\\u0000"', b"\xef\xbb\xbf",
    b"\xc0\xaf", b"\xff", "\u202e\u200b".encode(), b'"wizard"', b"[]", b"{}", b"null", b"-1", b'"model":"x",',
    b'"\\u006dodel":1,', b"1e999999999", b"0.0000000000000001", b"true", b'"api_base":"x",', b"\x00", b"\r\n\t ",
]  # fmt: skip


def mutated(rng: random.Random, raw: bytes) -> bytes:
    for _ in range(rng.randint(1, 4)):
        at, to = sorted(rng.randrange(len(raw) + 1) for _ in range(2))
        kind = rng.randrange(6)
        if kind == 0:
            raw = raw[:to]
        elif kind == 1:
            raw = raw[:at] + rng.choice(VALUES) + raw[at:]
        elif kind == 2:
            raw = raw[:at] + rng.choice(VALUES) + raw[to:]
        elif kind == 3:
            raw = raw[:at] + raw[to:]
        elif kind == 4:
            raw = raw[:to] + raw[at:]
        elif raw:
            at = rng.randrange(len(raw))
            raw = raw[:at] + bytes([rng.randrange(256)]) + raw[at + 1 :]
    return raw


def corpus() -> list[tuple[str, bytes]]:
    rich = {
        **CHAT,
        "stream": True,
        "n": 2,
        "max_tokens": 5,
        "temperature": 0.5,
        "tools": [{"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}],
        "response_format": {"type": "json_object"},
    }
    return [("/chat/completions", json.dumps(rich).encode()), *((p, json.dumps(b).encode()) for p, b in BODIES.items())]


def survive(count: int, seed: int) -> tuple[int, int]:
    rng, seeds, passed, turned_away = random.Random(seed), corpus(), 0, 0
    for _ in range(count):
        path, raw = rng.choice(seeds)
        raw = mutated(rng, raw)
        started = time.thread_time()
        try:
            parse_request(path, raw, LOCAL, {})
            passed += 1
        except Problem as problem:
            turned_away += problem.status == 400
        assert time.thread_time() - started < 0.05, raw
    assert passed + turned_away == count
    return passed, turned_away


def test_ten_thousand_mutated_bodies_pass_or_are_refused() -> None:
    passed, turned_away = survive(10_000, seed=2)
    assert passed > 100
    assert turned_away > 5000


def test_ids_sort_by_time_and_differ() -> None:
    ids = [new_id() for _ in range(1000)]
    assert len(set(ids)) == 1000
    assert all(len(id) == 28 and id.startswith("dec-") for id in ids)
    assert [id[:16] for id in ids] == sorted(id[:16] for id in ids)


def test_only_certain_headers_are_shown_to_upstreams() -> None:
    key = Key("abcd1234")
    headers = {
        b"authorization": b"Bearer x", b"cookie": b"a", b"host": b"a", b"openai-organization": b"x",
        b"openai-beta": b"assistants=v2", b"x-request-id": b"1", b"traceparent": b"caf\xe9",
        b"tracestate": b"a" * 1000, b"idempotency-key": b"k",
    }  # fmt: skip
    request = parse_request("/chat/completions", json.dumps(CHAT).encode(), key, headers)
    assert request.headers == {"openai-beta": "assistants=v2", "x-request-id": "1", "idempotency-key": "abcd1234-k"}


@pytest.mark.parametrize("value", [b"", b"a b", b"a" * 129, b"\xe9", b"a\tb"])
def test_a_conversation_is_short_visible_ascii(value: bytes) -> None:
    with pytest.raises(Problem) as caught:
        parse(CHAT, headers={b"x-forethought-conversation": value})
    assert caught.value.status == 400


def test_a_conversation_is_read() -> None:
    assert parse(CHAT, headers={b"x-forethought-conversation": b"c-1"}).conversation == "c-1"
    assert parse(CHAT).conversation is None


def test_reading_a_chat_costs_microseconds() -> None:
    messages = [{"role": role, "content": "word " * 32} for role in ("system", "user", "assistant", "user")]
    raw = json.dumps({"model": "forethought", "messages": messages, "temperature": 0.7, "max_tokens": 256}).encode()
    best = 1.0
    for _ in range(20):
        started = time.thread_time()
        for _ in range(200):
            parse_request("/chat/completions", raw, LOCAL, {})
        best = min(best, (time.thread_time() - started) / 200)
    print(f"parse_request: {best * 1e6:.1f} us for {len(raw)} bytes")
    assert best < 45e-6  # 15 us on a quiet core
