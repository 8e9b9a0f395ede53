from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from forethought.cli.heat_map import (
    HUE,
    STRENGTH,
    HeatAnswer,
    HeatMap,
    HeatToken,
    RuleTable,
    by_token,
    render_heat_map,
    shades,
    visible,
    write_heat_map,
)
from forethought.cli.token_pieces import pieces
from forethought.evaluation.report.drawing import COLOURS


def page(*answers: HeatAnswer, **changes: object) -> HeatMap:
    rules = RuleTable(
        ("rule", "accuracy"), [("full depth", "50.0% [40.0%, 60.0%]"), ("threshold .8", "49.0%")], "threshold .8"
    )
    made = {
        "title": "early exit", "verdict": "v", "about": "a", "n_layers": 6, "layers": (2, 4), "answers": answers,
        "rules": rules, "depths": {2: 3, 6: 1}, **changes,
    }  # fmt: skip
    return HeatMap(**made)  # type: ignore[arg-type]


class Reader(HTMLParser):
    """What a browser would see."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.spans: list[tuple[str, str, str]] = []
        self.open: list[str] = []
        self._span: dict[str, str | None] | None = None
        self._text = ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in ("meta", "br"):
            self.open.append(tag)
        if tag == "span" and "title" in dict(attrs):
            self._span, self._text = dict(attrs), ""

    def handle_data(self, data):
        self._text += data

    def handle_endtag(self, tag):
        assert self.open.pop() == tag
        if tag == "span" and self._span is not None:
            self.spans.append((self._text, str(self._span["class"]), str(self._span["title"])))
            self._span = None


ANSWER = HeatAnswer("Why?", [HeatToken("It", 6), HeatToken(" is", 2), HeatToken("\n4", 4), HeatToken("", 6)], "right")


def test_every_token_stands_in_order_with_its_depth():
    seen = Reader(render_heat_map(page(ANSWER)))
    assert seen.spans == [
        ("It", "full", "layer 6 of 6"),
        (" is", "d0", "layer 2 of 6"),
        ("\n4", "d1", "layer 4 of 6"),
        ("∎", "full", "layer 6 of 6"),
    ]
    assert seen.open == []


def test_the_page_needs_nothing_but_itself():
    text = render_heat_map(page(ANSWER))
    seen = Reader(text)
    assert {tag for tag, _ in seen.tags} & {"script", "link", "img", "iframe", "object"} == set()
    assert not [
        name for _, attributes in seen.tags for name in attributes if name in ("src", "href") or name.startswith("on")
    ]
    assert "url(" not in text
    assert "@import" not in text


EVIL = "</p><script>alert('&\"x')</script>"


def test_what_is_given_is_escaped_everywhere():
    rules = RuleTable((EVIL,), [(EVIL, EVIL + " [1, 2]")], note=EVIL)
    evil = HeatAnswer(EVIL, [HeatToken(EVIL, 6), HeatToken(EVIL, 2)], EVIL)
    text = render_heat_map(page(evil, title=EVIL, verdict=EVIL, about=EVIL, rules=rules))
    assert "<script" not in text
    seen = Reader(text)
    assert [piece for piece, _, _ in seen.spans] == [EVIL, EVIL]
    assert seen.open == []


@given(st.text(max_size=20), st.sampled_from([2, 4, 6]))
def test_any_token_is_read_back_as_it_was(text, depth):
    seen = Reader(
        render_heat_map(page(HeatAnswer("q", [HeatToken("a", 6), HeatToken(text, depth), HeatToken("z", 6)])))
    )
    read = re.sub("\r\n?", "\n", text)
    assert re.sub("\r\n?", "\n", seen.spans[1][0]) == read
    assert seen.spans[1][2] == f"layer {depth} of 6"


def test_the_histogram_shows_every_depth_and_its_share():
    text = render_heat_map(page(ANSWER, depths={2: 3, 6: 1}))
    found = re.findall(
        r'<tr><th scope="row">(\d+)</th><td><span class="bar (\w+)(?: some)?" style="width: ([\d.]+)%">'
        r".*?<td>([\d,]+)</td><td>([\d.]+)%",
        text,
    )
    assert found == [
        ("2", "d0", "100.0", "3", "75.0"),
        ("4", "d1", "0.0", "0", "0.0"),
        ("6", "full", "33.3", "1", "25.0"),
    ]
    assert "nan" not in render_heat_map(page(depths={}))


def test_intervals_stand_beneath_their_value_and_the_marked_row_is_brought_out():
    text = render_heat_map(page(ANSWER))
    assert "<td>50.0%<small>[40.0%, 60.0%]</small></td>" in text
    assert '<tr class="ours"><th scope="row">threshold .8</th>' in text


def test_no_token_is_listed_both_early_and_late():
    depths = {"a": 6, "b": 2, "c": 2, "d": 4, "e": 6, "f": 6}
    tokens = [HeatToken(text, depth) for text, depth in depths.items()]
    listed = re.findall(r"<code>(\w)</code>", render_heat_map(page(HeatAnswer("q", tokens))))
    assert listed == ["b", "c", "f", "e"]


@pytest.mark.parametrize("layers", [(1,), (2, 4), tuple(range(2, 30, 2)), tuple(range(1, 30))], ids=len)
def test_shades_pale_with_depth_and_cover_every_exit_once(layers):
    made = shades(layers)
    assert len({shade.name for shade in made}) == len(made) <= 6
    assert [shade.light for shade in made] == sorted((shade.light for shade in made), reverse=True)
    assert [layer for shade in made for layer in shade.layers] == list(layers)
    assert made[0].label.startswith(str(layers[0]))
    assert made[-1].label.endswith(str(layers[-1]))


def luminance(rgb: tuple[float, ...]) -> float:
    """WCAG 2.2, relative luminance."""
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in (v / 255 for v in rgb)]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def rgb(colour: str) -> tuple[int, ...]:
    return tuple(int(colour[i : i + 2], 16) for i in (1, 3, 5))


@pytest.mark.parametrize(("theme", "place"), [("light", 0), ("dark", 1)])
def test_text_is_legible_on_every_shade(theme, place):
    ink, paper, hue = (rgb(COLOURS[role][place]) for role in ("ink", "paper", HUE))
    for strength in STRENGTH[theme]:
        ground = tuple(strength * h + (1 - strength) * p for h, p in zip(hue, paper, strict=True))
        light, dark = sorted((luminance(ink), luminance(ground)), reverse=True)
        assert (light + 0.05) / (dark + 0.05) >= 4.5


def test_tokens_are_ranked_by_mean_depth_without_the_first_of_each_answer():
    answers = [HeatAnswer("q", [HeatToken("x", 6), *(HeatToken(t, d) for t, d in row)]) for row in (
        [("a", 2), ("a", 2), ("a", 4), ("b", 6)], [("b", 6), ("b", 4), ("rare", 2)],
    )]  # fmt: skip
    assert [(row.text, row.n, round(row.mean, 3)) for row in by_token(answers)] == [("a", 3, 2.667), ("b", 3, 5.333)]
    assert [row.text for row in by_token(answers[:0])] == []
    assert [row.text for row in by_token([ANSWER])] == [" is", "\n4", ""]
    assert [visible(text) for text in (" is", "\n4", "")] == ["·is", "↵4", "∎"]


def test_the_page_is_written_whole(tmp_path: Path):
    write_heat_map(page(ANSWER), tmp_path / "deep" / "page.html")
    assert (tmp_path / "deep" / "page.html").read_text() == render_heat_map(page(ANSWER))


@given(st.text(st.characters(exclude_characters="\ufffd"), max_size=30))
def test_pieces_make_up_the_text_however_its_characters_are_cut(text):
    """Bytes as tokens: the most that characters can be cut."""
    tokens = list(text.encode("utf-8", errors="ignore"))
    found = list(pieces(lambda ids: bytes(ids).decode("utf-8", errors="replace"), tokens))
    assert len(found) == len(tokens)
    assert "".join(found) == bytes(tokens).decode()
