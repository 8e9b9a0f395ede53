"""What a key looks like, and how one is known again without being kept.

A key is `ft-<id>-<secret>`: an id of 8 letters and digits, so that no command takes it for a flag, and a secret of 43
URL-safe characters (256 bits), which may hold `-` and `_` themselves. The ledger keeps the id and the SHA-256 of the
secret: for a random secret of this length nothing slower is needed.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
import string

_LETTERS = string.ascii_letters + string.digits
_KEY = re.compile(r"ft-([A-Za-z0-9]{8})-([A-Za-z0-9_-]{43})", re.ASCII)


def new_key() -> tuple[str, str, bytes]:
    """Make a key.

    Returns:
        Its id, the whole key as its owner is shown it once, and the digest to keep.
    """
    id, secret = "".join(secrets.choice(_LETTERS) for _ in range(8)), secrets.token_urlsafe(32)
    return id, f"ft-{id}-{secret}", digest(secret)


def parse_key(text: str) -> tuple[str, str] | None:
    """Id and secret of a key; None for what is no key."""
    found = _KEY.fullmatch(text)
    return None if found is None else (found[1], found[2])


def digest(secret: str) -> bytes:
    """SHA-256 of a secret."""
    return hashlib.sha256(secret.encode()).digest()


def matches(secret: str, kept: bytes) -> bool:
    """Whether a secret is the one of a digest, in a time that does not tell how nearly."""
    return hmac.compare_digest(digest(secret), kept)
