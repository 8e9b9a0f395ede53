"""Questions about kept entity tables: families, draws, the pilot that chose the families, and JSONL files.

Beside them, arithmetic of graded difficulty. The tables come with the `questions` extra; arithmetic, and reading and
writing files, need nothing beyond the core install.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from forethought._lazy import attach

if TYPE_CHECKING:
    from forethought.questions.arithmetic import arithmetic_question as arithmetic_question
    from forethought.questions.arithmetic import arithmetic_questions as arithmetic_questions
    from forethought.questions.arithmetic import worked as worked
    from forethought.questions.family import Family as Family
    from forethought.questions.family import Item as Item
    from forethought.questions.files import read_questions as read_questions
    from forethought.questions.files import write_questions as write_questions
    from forethought.questions.generation import examples as examples
    from forethought.questions.generation import families as families
    from forethought.questions.generation import generate as generate
    from forethought.questions.generation import pilot_questions as pilot_questions
    from forethought.questions.pilot import PilotRow as PilotRow
    from forethought.questions.pilot import run_pilot as run_pilot
    from forethought.questions.selection import spread as spread

__getattr__, __dir__, __all__ = attach(
    __name__,
    {
        "Family": "family",
        "Item": "family",
        "PilotRow": "pilot",
        "arithmetic_question": "arithmetic",
        "arithmetic_questions": "arithmetic",
        "examples": "generation",
        "families": "generation",
        "generate": "generation",
        "pilot_questions": "generation",
        "read_questions": "files",
        "run_pilot": "pilot",
        "spread": "selection",
        "worked": "arithmetic",
        "write_questions": "files",
    },
)
