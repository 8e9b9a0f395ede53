from __future__ import annotations

import json
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jsonschema_rs import Draft202012Validator

from forethought.gateway.base import LOCAL
from forethought.gateway.edge.fields import FIELDS
from forethought.gateway.edge.openapi import STATUSES, openapi, request_schema
from forethought.gateway.edge.parsing import parse_body
from forethought.gateway.edge.refusals import REFUSED
from forethought.gateway.problems import Problem

WELL: dict[str, dict[str, Any]] = {
    "/chat/completions": {"model": "m", "messages": [{"role": "user", "content": "x"}]},
    "/completions": {"model": "m", "prompt": "x"},
    "/responses": {"model": "m", "input": "x"},
    "/embeddings": {"model": "m", "input": "x"},
}
LINKS: list[Any] = ["https://a/b", "data:x", "file:///x", "x", "", None, 1, [], {}, {"url": "http://a"}, {"url": "/x"}]
VALUES: list[Any] = [
    None, True, False, 0, 1, -1, 2, 20, 21, 128, 129, 2**31 - 1, 2**31, 2**63, 0.5, 1.5, 2.5, "", "x", "é", "x" * 256,
    "x" * 257, [], ["x"], [1], [-1], [[1]], [[]], [["x"]], [{}], [1, "x"], [None], {}, {"type": "x"}, {"type": 1},
    {"include_usage": True}, {"include_usage": 1}, {"include_usage": None}, [{"role": "user", "content": "x"}],
    [{"role": "user"}], [{"role": "assistant"}], [{"role": "assistant", "content": None}], [{"role": "x"}],
    [{"role": "function", "content": 1}], [{"role": "tool", "content": []}], [{"content": "x"}],
    [{"role": "user", "content": [{"type": "text", "text": "x"}]}], [{"role": "user", "content": [{"type": "text"}]}],
    [{"role": "user", "content": [{"type": "new"}]}], [{"role": "user", "content": [{"type": 1}]}],
    [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:x"}}]}],
    [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "file:x"}}]}],
    [{"role": "user", "content": [{"type": "image_url"}]}], [{"role": "user", "content": ["x"]}],
    [{"role": "user", "content": [{"type": "file_url", "file_url": {"url": "data:x"}}]}],
    *([{"role": "user", "content": [{"type": "input_image", "image_url": link}]}] for link in LINKS),
    *([{"type": "computer_call_output", "output": {"image_url": link}}] for link in LINKS),
    *([{"type": "function_call_output", "output": [{"type": "input_file", "file_url": link}]}] for link in LINKS),
    *([{"type": "new", "image_url": link, "content": 1, "output": ["x"]}] for link in LINKS),
]  # fmt: skip


def accepted(path: str, body: Any) -> bool:
    try:
        parse_body(path, json.dumps(body).encode())
    except Problem:
        return False
    return True


def test_the_document_is_one_that_tools_load() -> None:
    schema = schemathesis.openapi.from_dict(openapi())
    operations = {f"{o.ok().method.upper()} {o.ok().path}" for o in schema.get_all_operations()}
    assert {"POST /v1/chat/completions", "POST /v1/feedback", "GET /v1/decisions/{id}", "GET /metrics"} <= operations
    assert len(operations) == 15


def test_every_status_of_an_answer_is_described() -> None:
    for methods in openapi()["paths"].values():
        for operation in methods.values():
            assert {int(status) for status in operation["responses"]} <= set(STATUSES)


@pytest.mark.parametrize("path", FIELDS)
def test_the_schema_and_the_parser_agree_on_every_field(path: str) -> None:
    validator = Draft202012Validator(request_schema(path))
    for name in FIELDS[path]:
        for value in VALUES:
            body = {**WELL[path], name: value}
            assert validator.is_valid(body) == accepted(path, body), body
        without = {k: v for k, v in WELL[path].items() if k != name}
        assert validator.is_valid(without) == accepted(path, without), without


@pytest.mark.parametrize("path", FIELDS)
def test_the_schema_and_the_parser_agree_on_names(path: str) -> None:
    validator = Draft202012Validator(request_schema(path))
    names = [
        *REFUSED,
        "API_BASE",
        "aws_x",
        "AWS_X",
        "Model",
        "MODEL",
        "modell",
        "max_to\u212aens",
        "me\u017f\u017fages",
    ]
    for name in [*names, "unread", "awsx", "api_bases", "", "é", "N", "Input", "prompt"]:
        body = {**WELL[path], name: None}
        if name in FIELDS[path] and FIELDS[path][name].required:
            continue
        assert validator.is_valid(body) == accepted(path, body), name


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=5,
)


@pytest.mark.parametrize("path", FIELDS)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_the_schema_and_the_parser_agree_on_anything(path: str, data: st.DataObject) -> None:
    validator = Draft202012Validator(request_schema(path))
    more = data.draw(st.dictionaries(st.sampled_from(sorted(FIELDS[path])) | st.text(max_size=4), JSON, max_size=3))
    whole_floats = any(type(value) is float and value.is_integer() for value in more.values())
    body = {**WELL[path], **more}
    if not whole_floats:  # JSON Schema takes 1.0 for an integer, the parser does not
        assert validator.is_valid(body) == accepted(path, body), body


def test_nobody_is_asked_for_a_key_where_none_is_needed() -> None:
    paths = openapi()["paths"]
    assert paths["/healthz"]["get"]["security"] == []
    assert "security" not in paths["/v1/route"]["post"]
    assert LOCAL.id not in json.dumps(openapi())
