from __future__ import annotations

from typing import Any

import pytest

from forethought.gateway.base import LOCAL, Key
from forethought.gateway.edge.origin import (
    check_csrf,
    csrf_token,
    require_admin_action,
    require_loopback_host,
    require_same_origin,
)
from forethought.gateway.problems import Problem

SECRET = b"s" * 32
AT = 1_700_000_000.0
HOST = {b"host": b"localhost:8000"}
SAME = {**HOST, b"origin": b"http://localhost:8000", b"sec-fetch-site": b"same-origin"}


def refused(call: Any, *args: Any) -> str:
    with pytest.raises(Problem) as caught:
        call(*args)
    assert caught.value.status == 403
    return caught.value.code


@pytest.mark.parametrize("host", [b"localhost", b"LOCALHOST:1", b"127.0.0.1:80", b"127.9.9.9", b"[::1]:8000", b"[::1]"])
def test_loopback_names_are_served_without_keys(host: bytes) -> None:
    require_loopback_host({b"host": host})


@pytest.mark.parametrize(
    "host",
    [b"", b"example.com", b"localhost.example.com", b"127.0.0.1.example.com", b"10.0.0.1", b"0.0.0.0", b"[::2]",
     b"2130706433", b"localhost@example.com", b"localhost/?x=", b"example.com:127.0.0.1"],
)  # fmt: skip
def test_other_names_are_refused_without_keys(host: bytes) -> None:
    assert refused(require_loopback_host, {b"host": host}) == "host_not_allowed"
    assert refused(require_loopback_host, {}) == "host_not_allowed"


@pytest.mark.parametrize(
    "headers",
    [
        {b"origin": b"http://example.com"}, {b"origin": b"null"}, {b"origin": b""}, {b"origin": b"\xff"},
        {b"origin": b"http://localhost:8000.example.com"}, {b"origin": b"http://localhost:8001"},
        {b"sec-fetch-site": b"cross-site"}, {b"sec-fetch-site": b"same-site"}, {b"referer": b"http://example.com/x"},
        {b"origin": b"http://localhost:8000@example.com"}, {b"origin": b"http://["},
        {b"origin": b"http://localhost:8000", b"referer": b"http://example.com"},
    ],
)  # fmt: skip
def test_requests_from_other_sites_are_refused(headers: dict[bytes, bytes]) -> None:
    assert refused(require_same_origin, {**HOST, **headers}) == "cross_origin"


def test_programs_and_the_same_site_pass() -> None:
    require_same_origin({})
    require_same_origin(SAME)
    require_same_origin({**HOST, b"referer": b"http://localhost:8000/page?x"})


def test_a_token_is_good_for_its_key_in_its_hour_and_the_next() -> None:
    token = csrf_token("k", SECRET, AT)
    assert check_csrf(token, "k", SECRET, AT)
    assert check_csrf(token, "k", SECRET, AT + 3600)
    assert not check_csrf(token, "k", SECRET, AT + 7200)
    assert not check_csrf(token, "k", SECRET, AT - 3600)
    assert not check_csrf(token, "other", SECRET, AT)
    assert not check_csrf(token, "k", b"t" * 32, AT)
    assert not check_csrf("", "k", SECRET, AT)
    assert not check_csrf("é", "k", SECRET, AT)


def test_a_program_needs_admin_alone() -> None:
    require_admin_action({}, Key("k", scope="admin"), SECRET, AT)
    assert refused(require_admin_action, {}, Key("k"), SECRET, AT) == "admin_only"


@pytest.mark.parametrize("sign", [{b"cookie": b"a=b"}, SAME, {b"sec-fetch-site": b"same-origin"}])
def test_a_browser_needs_a_token(sign: dict[bytes, bytes]) -> None:
    headers = {**HOST, **sign}
    assert refused(require_admin_action, headers, LOCAL, SECRET, AT) == "csrf"
    with_token = {**headers, b"x-forethought-csrf": csrf_token(LOCAL.id, SECRET, AT).encode()}
    require_admin_action(with_token, LOCAL, SECRET, AT)
    foreign = {**with_token, b"origin": b"http://example.com"}
    assert refused(require_admin_action, foreign, LOCAL, SECRET, AT) == "cross_origin"
    assert refused(require_admin_action, with_token, Key(LOCAL.id), SECRET, AT) == "admin_only"
