from __future__ import annotations

import json
from typing import Any

import pytest

from forethought.gateway.upstreams.usage import TOKENS_OF_AN_IMAGE, guessed_prompt


def chat(*parts: dict[str, Any]) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": list(parts)}]}


LINK = {"type": "image_url", "image_url": {"url": "https://a/b.png"}}
INLINE = {"type": "image_url", "image_url": {"url": "data:image/png;base64," + "A" * 400_000}}


def test_text_is_four_bytes_a_token() -> None:
    assert guessed_prompt(b"x" * 401) == 101


@pytest.mark.parametrize(
    ("body", "images"),
    [
        (chat({"type": "text", "text": "an image_url"}), 0),
        (chat(LINK), 1),
        (chat(INLINE, LINK), 2),
        ({"input": [{"role": "user", "content": [{"type": "input_image", "image_url": "https://a/b.png"}]}]}, 1),
    ],
)
def test_images_are_counted_and_their_bytes_are_not(body: Any, images: int) -> None:
    guess = guessed_prompt(json.dumps(body).encode())
    assert TOKENS_OF_AN_IMAGE * images < guess < TOKENS_OF_AN_IMAGE * images + 100


def test_an_escaped_name_is_counted_too() -> None:
    raw = json.dumps(chat(LINK)).encode()
    escaped = raw.replace(b"image_url", b"image\\u005furl")
    assert guessed_prompt(escaped) == pytest.approx(guessed_prompt(raw), abs=5)
