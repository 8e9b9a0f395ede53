from __future__ import annotations

import ast
import hashlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from forethought.gateway import keys
from forethought.gateway.keys import digest, matches, new_key, parse_key

URL_SAFE = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_"
SECRETS = st.text(URL_SAFE, min_size=43, max_size=43)


def test_a_new_key_is_told_apart_and_known_again():
    made = [new_key() for _ in range(200)]
    assert len({id for id, _, _ in made}) == len({text for _, text, _ in made}) == 200
    for id, text, kept in made:
        assert len(text) == 3 + 8 + 1 + 43
        found, secret = parse_key(text)
        assert found == id
        assert matches(secret, kept)
        assert kept == hashlib.sha256(secret.encode()).digest()
        assert secret.encode() not in kept
        assert id.isalnum()


@given(SECRETS)
def test_a_secret_may_hold_what_separates_it(secret):
    assert parse_key(f"ft-abcdefgh-{secret}") == ("abcdefgh", secret)


@given(st.text(max_size=60))
def test_any_other_text_is_no_key(text):
    assert parse_key(text) is None


@pytest.mark.parametrize(
    "change",
    [
        lambda key: key[1:],
        lambda key: key[:-1],
        lambda key: key + "a",
        lambda key: key + "\n",
        lambda key: " " + key,
        lambda key: key.replace("ft-", "FT-"),
        lambda key: key[:11] + "." + key[12:],
        lambda key: key[:20] + "é" + key[21:],
        lambda key: key[:20] + "٣" + key[21:],
    ],
)
def test_what_is_nearly_a_key_is_none(change):
    assert parse_key(change(new_key()[1])) is None


@given(SECRETS, SECRETS)
def test_only_the_same_secret_matches(one, other):
    assert matches(one, digest(other)) is (one == other)


def test_digests_are_compared_in_constant_time():
    """The one comparison of this module that is not by `hmac.compare_digest` is with None."""
    tree = ast.parse(Path(keys.__file__).read_text())
    compared = [ast.unparse(node) for node in ast.walk(tree) if isinstance(node, ast.Compare)]
    assert compared == ["found is None"]
    assert "hmac.compare_digest(digest(secret), kept)" in ast.unparse(tree)
