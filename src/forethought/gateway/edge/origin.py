"""Whether a request comes from where it may: the name it was sent to, the site that sent it, and a CSRF token."""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
from urllib.parse import urlsplit

from forethought.gateway.base import Key
from forethought.gateway.edge.headers import Headers
from forethought.gateway.problems import Problem

CSRF_HEADER = b"x-forethought-csrf"

_BROWSERS = (b"origin", b"sec-fetch-site", b"cookie", b"referer")
_HOUR = 3600


def require_loopback_host(headers: Headers) -> None:
    """Refuse a name that is not this machine's own: a page elsewhere may have had its name point here.

    Raises:
        Problem: 403.
    """
    host = headers.get(b"host", b"")
    if not _is_loopback(_name_of(host.decode("latin-1"))):
        raise _refused("without keys, only a loopback name such as localhost is served", "host_not_allowed")


def is_browser(headers: Headers) -> bool:
    """Whether a request shows a sign of a browser."""
    return any(name in headers for name in _BROWSERS)


def require_same_origin(headers: Headers) -> None:
    """Refuse a browser's request from another site; anything else passes.

    Raises:
        Problem: 403.
    """
    if not is_browser(headers):
        return
    site = headers.get(b"sec-fetch-site")
    if site is not None and site not in (b"same-origin", b"none"):
        raise _refused("requests from other sites are refused", "cross_origin")
    host = headers.get(b"host", b"").lower()
    for name in (b"origin", b"referer"):
        value = headers.get(name)
        if value is not None and _authority(value) != host:
            raise _refused("requests from other sites are refused", "cross_origin")


def require_admin(key: Key) -> None:
    """Refuse whoever is no admin.

    Raises:
        Problem: 403.
    """
    if key.scope != "admin":
        raise _refused("this needs a key with scope admin", "admin_only")


def require_admin_action(headers: Headers, key: Key, secret: bytes, at: float) -> None:
    """Let an admin change something; a browser must also come from the same site and show a CSRF token.

    Args:
        headers: Of the request.
        key: Who asks.
        secret: Of the key, for tokens.
        at: Unix time.

    Raises:
        Problem: 403.
    """
    require_admin(key)
    if not is_browser(headers):
        return
    require_same_origin(headers)
    shown = headers.get(CSRF_HEADER, b"").decode("latin-1")
    if not check_csrf(shown, key.id, secret, at):
        raise _refused("a browser must show a token of GET /v1/csrf in x-forethought-csrf", "csrf")


def csrf_token(key_id: str, secret: bytes, at: float) -> str:
    """The token of a key for the hour that `at` (Unix time) lies in."""
    return hmac.new(secret, f"{key_id}\n{int(at // _HOUR)}".encode(), hashlib.sha256).hexdigest()


def check_csrf(token: str, key_id: str, secret: bytes, at: float) -> bool:
    """Whether a token is one of this hour or the hour before."""
    shown = token.encode()
    now = hmac.compare_digest(shown, csrf_token(key_id, secret, at).encode())
    before = hmac.compare_digest(shown, csrf_token(key_id, secret, at - _HOUR).encode())
    return now or before


def _authority(url: bytes) -> bytes | None:
    try:
        return urlsplit(url.decode("ascii")).netloc.lower().encode()
    except ValueError:
        return None


def _name_of(host: str) -> str:
    """A Host header without its port."""
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.partition(":")[0]


def _is_loopback(name: str) -> bool:
    if name.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


def _refused(message: str, code: str) -> Problem:
    return Problem(403, message, code=code)
