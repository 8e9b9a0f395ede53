"""The report of an evaluation: one HTML page, tables for terminals and Markdown, and the main picture."""

from __future__ import annotations

from typing import TYPE_CHECKING

from forethought._lazy import attach

__getattr__, __dir__, __all__ = attach(
    __name__,
    {
        "Summary": "tables",
        "certificate_sentence": "sentences",
        "read_evaluation": "source",
        "read_published": "published",
        "render_report": "page",
        "render_table": "tables",
        "save_frontier": "frontier",
        "study_markdown": "study",
        "summary_tables": "tables",
        "to_markdown": "tables",
        "verdict": "sentences",
        "write_report": "page",
    },
)

if TYPE_CHECKING:
    from forethought.evaluation.report.frontier import save_frontier as save_frontier
    from forethought.evaluation.report.page import render_report as render_report
    from forethought.evaluation.report.page import write_report as write_report
    from forethought.evaluation.report.published import read_published as read_published
    from forethought.evaluation.report.sentences import certificate_sentence as certificate_sentence
    from forethought.evaluation.report.sentences import verdict as verdict
    from forethought.evaluation.report.source import read_evaluation as read_evaluation
    from forethought.evaluation.report.study import study_markdown as study_markdown
    from forethought.evaluation.report.tables import Summary as Summary
    from forethought.evaluation.report.tables import render_table as render_table
    from forethought.evaluation.report.tables import summary_tables as summary_tables
    from forethought.evaluation.report.tables import to_markdown as to_markdown
