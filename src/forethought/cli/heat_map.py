"""Answers whose every token shows how deep it went, and what that saved, as one self-contained HTML page."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from forethought.artifacts import atomic_write
from forethought.evaluation.report.drawing import COLOURS

if TYPE_CHECKING:
    from jinja2 import Template

SHADES = 6
"""Strengths of the colour, from the shallowest depths to the deepest exit; full depth has none."""

STRENGTH = {"light": (0.58, 0.14), "dark": (0.52, 0.14)}
"""Opacity of the colour over the paper, at the strongest and the palest shade: text on it stays legible."""

HUE = "green"


@dataclass(frozen=True)
class HeatToken:
    """One token.

    Attributes:
        text: What it adds to the answer; empty for one that ends it.
        depth: Layers that ran in the pass that predicted it.
    """

    text: str
    depth: int


@dataclass(frozen=True)
class HeatAnswer:
    """One answer.

    Attributes:
        question: What was asked.
        tokens: In order.
        note: What is known of it, such as whether it is right.
    """

    question: str
    tokens: Sequence[HeatToken]
    note: str = ""


@dataclass(frozen=True)
class RuleTable:
    """A table.

    Attributes:
        header: Names of its columns.
        rows: The first cell of each names it; `value [low, high]` shows the interval beneath.
        mark: Name of the row to bring out.
        note: What the figures are of.
    """

    header: Sequence[str]
    rows: Sequence[Sequence[str]]
    mark: str = ""
    note: str = ""


@dataclass(frozen=True)
class HeatMap:
    """Everything on the page.

    Attributes:
        title: Heading.
        verdict: A sentence or two.
        about: What was measured, on what.
        n_layers: L.
        layers: Of the exits, rising.
        answers: To show token by token.
        rules: What every rule kept and spared.
        depths: Layers -> generated tokens whose pass ended there.
    """

    title: str
    verdict: str
    about: str
    n_layers: int
    layers: Sequence[int]
    answers: Sequence[HeatAnswer]
    rules: RuleTable
    depths: Mapping[int, int]


class Shade(NamedTuple):
    """A strength of the colour.

    Attributes:
        name: CSS class.
        layers: Depths that have it, rising.
        light: Opacity on light paper.
        dark: On dark paper.
    """

    name: str
    layers: tuple[int, ...]
    light: float
    dark: float

    @property
    def label(self) -> str:
        """Which depths have it, for the legend."""
        first, last = self.layers[0], self.layers[-1]
        return str(first) if first == last else f"{first}–{last}"


class TokenDepth(NamedTuple):
    """How deep one token went wherever it was written."""

    text: str
    n: int
    mean: float


def write_heat_map(page: HeatMap, path: Path | str) -> None:
    """Write the page whole or not at all.

    Raises:
        ArtifactError: It cannot be written.
    """
    text = render_heat_map(page)
    with atomic_write(Path(path)) as temporary:
        temporary.write_text(text, encoding="utf-8")


def render_heat_map(page: HeatMap) -> str:
    """Render the page: inline styles, no scripts, nothing fetched, everything given escaped."""
    shade_of = {depth: shade.name for shade in shades(page.layers) for depth in shade.layers}
    passes = sum(page.depths.values())
    tokens = by_token(page.answers)
    listed = min(12, max(1, len(tokens) // 2))  # so that none is among the early and the late
    histogram = [
        (depth, count, count / passes if passes else 0.0, shade_of.get(depth, "full"))
        for depth, count in sorted({**dict.fromkeys((*page.layers, page.n_layers), 0), **page.depths}.items())
    ]
    return _template().render(
        page=page,
        colours=COLOURS,
        hue={"light": _rgb(COLOURS[HUE][0]), "dark": _rgb(COLOURS[HUE][1])},
        shades=shades(page.layers),
        shade_of=shade_of,
        histogram=histogram,
        tallest=max((share for _, _, share, _ in histogram), default=0.0) or 1.0,
        early=tokens[:listed],
        late=tokens[::-1][:listed],
        visible=visible,
    )


def shades(layers: Sequence[int]) -> list[Shade]:
    """The strengths in use, shallowest first; where exits are more than strengths, neighbours share one."""
    count = min(SHADES, len(layers))
    made = []
    for place in range(count):
        share = place / (count - 1) if count > 1 else 0.0
        opacity = {theme: strong + share * (pale - strong) for theme, (strong, pale) in STRENGTH.items()}
        inside = tuple(layer for i, layer in enumerate(layers) if i * count // len(layers) == place)
        made.append(Shade(f"d{place}", inside, opacity["light"], opacity["dark"]))
    return made


def by_token(answers: Sequence[HeatAnswer], *, least: int = 3) -> list[TokenDepth]:
    """Tokens that were generated at least so often, shallowest first; the first of an answer costs no pass.

    Args:
        answers: Whose tokens.
        least: Occurrences; fewer where no token has as many.
    """
    found: dict[str, list[int]] = defaultdict(list)
    for answer in answers:
        for token in answer.tokens[1:]:
            found[token.text].append(token.depth)
    enough = {text: seen for text, seen in found.items() if len(seen) >= least} or found
    table = [TokenDepth(text, len(seen), sum(seen) / len(seen)) for text, seen in enough.items()]
    return sorted(table, key=lambda row: (row.mean, -row.n, row.text))


def visible(text: str) -> str:
    """A token's text with its white space shown; a token without text ends the answer, or waits for the next one's."""
    return text.replace(" ", "\u00b7").replace("\n", "\u21b5").replace("\t", "\u21e5") or "\u220e"


def _rgb(colour: str) -> str:
    return ", ".join(str(int(colour[i : i + 2], 16)) for i in (1, 3, 5))


@cache
def _template() -> Template:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    loader = PackageLoader("forethought.cli", "")
    environment = Environment(
        loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    return environment.get_template("heat_map.html.jinja")
