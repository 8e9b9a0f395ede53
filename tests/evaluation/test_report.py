from __future__ import annotations

import io
import json
import re
import xml.etree.ElementTree as ET
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from forethought.cli.report import report
from forethought.errors import ConfigError, DataError
from forethought.evaluation.report import (
    certificate_sentence,
    read_evaluation,
    read_published,
    render_report,
    render_table,
    save_frontier,
    summary_tables,
    to_markdown,
    verdict,
)
from forethought.evaluation.report.contenders import draw_contenders
from forethought.evaluation.report.drawing import COLOURS, NARROW, inline_svg
from forethought.evaluation.report.frontier import draw_frontier
from forethought.evaluation.report.layers import geometry_rows
from forethought.evaluation.report.numbers import percent, points, ranged, usd, wilson
from forethought.evaluation.report.sentences import routing_heading
from forethought.evaluation.report.tables import contender_rows
from forethought.metrics import map_tolerance

VOID = {"meta", "br", "hr", "img", "link", "input"}


class Balanced(HTMLParser):
    """Checks that elements close in order, and collects ids and text."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: list[str] = []
        self.text: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.ids += [value for key, value in attrs if key == "id" and value]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.ids += [value for key, value in attrs if key == "id" and value]

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text.append(data)


@pytest.fixture(scope="module")
def page(_simulated: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> str:
    return render_report(_simulated)


def difference_from(evaluation: dict[str, Any], name: str) -> dict[str, Any]:
    return next(row for row in evaluation["differences"] if row["other"] == name)


def test_the_page_is_whole_and_fetches_nothing(page: str) -> None:
    parsed = Balanced()
    parsed.feed(page)
    assert parsed.open == []
    assert len(parsed.ids) == len(set(parsed.ids))
    assert "<script" not in page
    assert not re.search(r'(?:src|href)="(?!#)', page.replace("xlink:href", "href"))
    assert not re.search(r"url\((?!#)", page)


def test_no_number_is_missing_from_the_text(page: str) -> None:
    parsed = Balanced()
    parsed.feed(page)
    text = " ".join(parsed.text)
    for leak in ("nan", "None", "NaN", "{{", "}}"):
        assert not re.search(rf"\b{re.escape(leak)}\b" if leak.isalpha() else re.escape(leak), text)


def test_names_are_escaped_everywhere(evaluation: dict[str, Any]) -> None:
    evil = "<b>&$x^2$"
    text = json.dumps(evaluation).replace("gemma-5shot-maj5", evil)
    page = render_report(json.loads(text))
    assert evil not in page
    assert "&lt;b&gt;&amp;$x^2$" in page


def test_pictures_follow_the_theme_and_are_xml(evaluation: dict[str, Any]) -> None:
    svg = inline_svg(draw_frontier, evaluation, NARROW, 'a "title" & more')
    ET.fromstring(str(svg))
    assert "var(--blue)" in svg
    assert not any(colour in svg for colour, _ in COLOURS.values())
    assert "smollm2-5shot</text>" in svg


def test_pictures_are_reproducible(evaluation: dict[str, Any]) -> None:
    first, second = (inline_svg(draw_frontier, evaluation, NARROW, "same") for _ in range(2))
    assert first == second


def test_light_and_dark_text_have_contrast() -> None:
    for role in set(COLOURS) - {"grid", "card", "paper"}:
        for theme in (0, 1):
            assert contrast(COLOURS[role][theme], COLOURS["paper"][theme]) >= 4.5


def contrast(a: str, b: str) -> float:
    def luminance(colour: str) -> float:
        parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    high, low = sorted((luminance(a), luminance(b)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def test_verdict_says_who_wins_and_whether_that_is_noise(evaluation: dict[str, Any]) -> None:
    row = difference_from(evaluation, "TF-IDF + logistic")
    row["gap"] = {"value": 0.1, "low": 0.02, "high": 0.18, "n": 780}
    said = " ".join(verdict(evaluation))
    assert "TF-IDF + logistic: +10.0 [+2.0, +18.0] points of the gap; the interval excludes zero" in said
    row["gap"]["low"] = -0.02
    said = " ".join(verdict(evaluation))
    assert "the interval includes zero, so on these questions the two cannot be told apart" in said


def test_verdict_names_another_winner(evaluation: dict[str, Any]) -> None:
    next(c for c in evaluation["cards"] if c["name"] == "length")["accuracy"]["value"] = 0.99
    assert any(
        "length is the most accurate, and it never runs the encoder" in sentence for sentence in verdict(evaluation)
    )


def test_verdict_says_costs_when_routing_costs_more(evaluation: dict[str, Any]) -> None:
    row = next(row for row in evaluation["operating"] if row["name"] == "certified")
    row["against_best_single"][1] = {"value": 0.2, "low": 0.1, "high": 0.3, "n": 780}
    assert any("adds cost (+20.0% [+10.0%, +30.0%])" in sentence for sentence in verdict(evaluation))
    row["against_best_single"][1]["low"] = -0.1
    assert any("costs about the same" in sentence for sentence in verdict(evaluation))


def test_certificate_sentences(evaluation: dict[str, Any]) -> None:
    found = evaluation["certificate"] = {**evaluation["certificate"], "safe": "big", "n": 520, "delta": 0.1}
    found.update(verdict="certified", tolerance=map_tolerance(0.02), smallest_tolerance=map_tolerance(0.013))
    assert "with 90% confidence the chosen setting loses at most 2.0 points" in certificate_sentence(evaluation)
    found.update(verdict="insufficient evidence", smallest_tolerance=map_tolerance(0.031))
    said = certificate_sentence(evaluation)
    assert said.startswith("Insufficient evidence: on n = 520")
    assert "smallest tolerance provable at this n is 3.1 points" in said


def test_undefined_gap_is_said_not_hidden(evaluation: dict[str, Any]) -> None:
    for card in evaluation["cards"]:
        card["gap"] = None
    assert "too close for routing to matter" in routing_heading(evaluation)
    assert {row[3] for row in contender_rows(evaluation)} == {"undefined"}
    assert "too small to divide by" in verdict(evaluation)[0]
    assert draw_contenders(evaluation, 7.0).axes


def test_parts_that_were_not_measured_are_left_out(evaluation: dict[str, Any]) -> None:
    evaluation.update(encoders=[], published=None, layers={}, usage=[], differences=[])
    del evaluation["diagnostics"], evaluation["held_out"]
    page = render_report(evaluation)
    assert "Not ours" not in page
    assert "Fisher" not in page


def test_published_figures_stand_apart(evaluation: dict[str, Any], published: Path) -> None:
    evaluation.update(layers={}, usage=[])
    page = render_report(evaluation, published=read_published(published))
    assert page.index("Not ours: published figures") > page.index("Calibration")
    assert "arXiv 2602.09924" in page


def test_published_needs_both_files_and_their_columns(published: Path) -> None:
    assert len(read_published(published)["runs"]["MATH"]["sweep"]) == 3
    (published / "routing_points.csv").write_text("run,accuracy\nMATH,0.5\n")
    with pytest.raises(DataError, match="total_output_cost_usd"):
        read_published(published)
    (published / "lambda_sweeps.csv").unlink()
    with pytest.raises(DataError, match=r"lambda_sweeps\.csv"):
        read_published(published)


def test_encoder_cost_is_on_curves_that_read_activations_only(evaluation: dict[str, Any]) -> None:
    evaluation["frontier"]["encoder_cost"] = 5e-5
    lines = {line.get_label(): line.get_xdata()[0] for line in draw_frontier(evaluation, 7.0).axes[0].get_lines()}
    raw = {curve["name"]: 1000 * curve["points"][0]["cost"] for curve in evaluation["frontier"]["curves"]}
    assert lines["forethought"] == pytest.approx(raw["forethought"] + 0.05)
    assert lines["SharedTrunkNet"] == pytest.approx(raw["SharedTrunkNet"] + 0.05)
    assert lines["TF-IDF + logistic"] == pytest.approx(raw["TF-IDF + logistic"])


def test_tables_hold_every_contender_and_setting(evaluation: dict[str, Any]) -> None:
    contenders, differences, references, operating = summary_tables(evaluation)
    assert len(contenders.rows) == len(evaluation["cards"])
    assert len(differences.rows) == len(evaluation["differences"])
    assert len(references.rows) == 6
    assert [row[0] for row in operating.rows] == [row["name"] for row in evaluation["operating"]]
    for table in (contenders, differences, references, operating):
        assert {len(row) for row in table.rows} == {len(table.header)}


def test_markdown_rows_match_the_header(evaluation: dict[str, Any]) -> None:
    lines = to_markdown(summary_tables(evaluation)[0]).strip().splitlines()[2:]
    assert {line.count("|") for line in lines} == {10}


def test_terminal_table_keeps_brackets(evaluation: dict[str, Any]) -> None:
    evaluation["cards"][0]["auroc"].update(low=None, high=None)
    console = Console(width=200, record=True, file=io.StringIO())
    console.print(render_table(evaluation))
    assert "[interval undefined]" in console.export_text()


@pytest.mark.parametrize(("name", "start"), [("a.png", b"\x89PNG"), ("a.svg", b"<?xml")])
def test_frontier_is_saved(evaluation: dict[str, Any], tmp_path: Path, name: str, start: bytes) -> None:
    save_frontier(evaluation, tmp_path / name)
    assert (tmp_path / name).read_bytes().startswith(start)


def test_frontier_of_another_kind_is_refused(evaluation: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"\.svg or \.png"):
        save_frontier(evaluation, tmp_path / "a.pdf")


def test_numbers() -> None:
    assert percent(0.5712) == "57.1%"
    assert points(-0.03) == "\u22123.0"
    assert [usd(x) for x in (0.0, 0.01234, 12.5, -1234.5, 2e-6)] == [
        "$0.00",
        "$0.0123",
        "$12.50",
        "\u2212$1,234",
        "$2.00e-06",
    ]
    assert ranged(None, percent) == "undefined"
    assert ranged({"value": None, "low": None, "high": None}, percent) == "n/a [interval undefined]"
    found = wilson(1.0, 10)
    assert found["low"] == pytest.approx(0.7225, abs=1e-3)
    assert found["high"] == 1.0


def test_reading_says_what_is_wrong(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no evaluation at"):
        read_evaluation(tmp_path / "none.json")
    path = tmp_path / "evaluation.json"
    path.write_text("{")
    with pytest.raises(DataError, match="not JSON"):
        read_evaluation(path)
    path.write_text('{"about": {}}')
    with pytest.raises(DataError, match="lacks references"):
        read_evaluation(path)


def test_command_writes_page_and_picture(
    evaluation: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "evaluation.json"
    path.write_text(json.dumps({**evaluation, "layers": {}, "usage": []}))
    report(path, out=tmp_path / "r.html", picture=tmp_path / "f.svg", json=True)
    assert json.loads(capsys.readouterr().out)["path"] == str(tmp_path / "r.html")
    assert (tmp_path / "r.html").read_text().rstrip().endswith("</html>")
    assert (tmp_path / "f.svg").exists()


def test_command_prints_savings(evaluation: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "evaluation.json"
    path.write_text(json.dumps(evaluation))
    report(path, out=tmp_path / "r.html", roi=True, queries=5000, json=True)
    found = json.loads(capsys.readouterr().out)
    assert [row["point"] for row in found] == [row["name"] for row in evaluation["operating"]]
    assert {row["queries"] for row in found} == {5000}
    assert not (tmp_path / "r.html").exists()


def test_geometry_has_a_row_a_layer_and_readout_however_many_targets(evaluation: dict[str, Any]) -> None:
    rows = geometry_rows(evaluation)
    assert len(rows) == len({(row["readout"], row["layer"]) for row in evaluation["diagnostics"]})
    assert "Effective dimension and anisotropy" in render_report(evaluation)
    assert "Effective dimension" not in render_report({**evaluation, "diagnostics": []})
