from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from forethought.gateway.upstreams.backoff import full_jitter, no_sooner, read_retry_after
from forethought.gateway.upstreams.refusal import refusal_of


def verdict(status: int, error: object = None, **headers: str) -> str:
    body = json.dumps({"error": error}).encode()
    return refusal_of(status, {name.replace("_", "-"): value for name, value in headers.items()}, body).verdict


@pytest.mark.parametrize("status", [408, 409, 425, 429, 500, 502, 503, 504, 529])
def test_what_may_pass_is_tried_again(status):
    assert verdict(status) == "passing"


@pytest.mark.parametrize(
    ("status", "error", "expected"),
    [
        (400, {"code": "context_length_exceeded"}, "too-long"),
        (400, {"message": "This model's maximum context length is 4096 tokens."}, "too-long"),
        (400, {"message": "prompt is too long: 9 tokens"}, "too-long"),
        (400, {"code": "content_filter"}, "client"),
        (400, {"code": "content_filter", "message": "context length"}, "client"),
        (400, {"innererror": {"code": "ResponsibleAIPolicyViolation"}}, "client"),
        (403, {"message": "flagged", "metadata": {"flagged_input": "x"}}, "client"),
        (400, {"message": "no such parameter"}, "client"),
        (422, "plain", "client"),
        (413, None, "client"),
        (401, {"code": "invalid_api_key"}, "misconfigured"),
        (402, None, "misconfigured"),
        (403, None, "misconfigured"),
        (302, None, "misconfigured"),
        (404, {"code": "model_not_found"}, "absent"),
        (429, {"code": "insufficient_quota"}, "spent"),
        (501, None, "failing"),
        (520, None, "failing"),
    ],
)
def test_what_follows_from_an_error(status, error, expected):
    assert verdict(status, error) == expected


@pytest.mark.parametrize("status", [429, 503])
def test_a_told_wait_rests_the_target(status):
    assert verdict(status, retry_after="7") == "limited"


def test_an_error_that_is_no_json_is_judged_by_its_status():
    assert refusal_of(400, {}, b"<html>context length").verdict == "client"


def test_a_refusal_says_nothing_of_its_body():
    assert "secret" not in str(refusal_of(400, {}, b'{"error": {"message": "secret"}}'))


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("2", 2.0),
        ("0.5", 0.5),
        ("-3", 0.0),
        (None, None),
        ("soon", None),
        ("nan", None),
        ("inf", None),
        ("1 Jan 99999999999999999999 00:00:00 GMT", None),
    ],
)
def test_retry_after_in_seconds(value, seconds):
    assert read_retry_after(value) == seconds


def test_retry_after_as_a_date():
    at = format_datetime(datetime.now(UTC) + timedelta(seconds=30), usegmt=True)
    assert 28 <= (read_retry_after(at) or 0) <= 30


def test_a_told_wait_is_kept_within_a_tenth():
    waits = [no_sooner(10.0) for _ in range(1000)]
    assert 10.0 <= min(waits) < 10.1
    assert 10.9 < max(waits) <= 11.0


def test_the_window_doubles_up_to_its_cap():
    for tries, most in ((1, 0.1), (2, 0.2), (3, 0.4), (9, 5.0)):
        waits = [full_jitter(tries, 0.1, 5.0) for _ in range(2000)]
        assert 0 <= min(waits) < most / 20
        assert most * 0.95 < max(waits) <= most
