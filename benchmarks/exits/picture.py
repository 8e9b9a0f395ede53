"""A picture of generated answers coloured by depth: what `forethought exits generate` prints, as SVG.

    python benchmarks/exits/picture.py docs/exits/generated.svg 'What is the capital of France?'

Nothing is drawn that the command does not print; without `--exits` it is that of the committed exits.
"""

from __future__ import annotations

import argparse
import io
import os
import re
import shlex
from pathlib import Path

os.environ |= {"FORCE_COLOR": "1", "TERM": "xterm-256color"}  # before the command's console is made

from rich.console import Console
from rich.terminal_theme import TerminalTheme
from rich.text import Text

from forethought.artifacts import atomic_write
from forethought.cli import main
from forethought.cli.console import console

WIDTH = 92
"""Of a line, characters."""

PAPER, INK, GREY = (18, 22, 27), (232, 234, 237), (154, 164, 177)
GREEN, CYAN, BLUE, RED = (78, 203, 163), (120, 205, 235), (120, 150, 250), (220, 110, 110)
THEME = TerminalTheme(
    PAPER, INK,
    [PAPER, RED, GREEN, RED, BLUE, BLUE, CYAN, INK],
    [GREY, RED, GREEN, RED, BLUE, BLUE, CYAN, INK],
)  # fmt: skip
"""The report's dark paper; green, cyan and bright blue for the exits, grey for full depth."""


def picture(questions: list[str], flags: list[str]) -> str:
    """Answer each question by the command and return what stood on the terminal as SVG."""
    console.record = True
    for place, question in enumerate(questions):
        if place:
            console.print()
        console.print(f"$ forethought exits generate {shlex.quote(question)} --compare", style="bold", markup=False)
        main(["exits", "generate", question, "--compare", *flags])
    paper = Console(record=True, width=WIDTH, file=io.StringIO(), force_terminal=True)
    shown = console.export_text(styles=True).rstrip("\n")
    paper.print(Text.from_ansi(shown))  # wrapped: the command leaves that to the terminal
    svg = paper.export_svg(title="forethought", theme=THEME, unique_id="exits")
    return re.sub(r"@font-face \{.*?\}\s*", "", svg, flags=re.DOTALL)  # nothing is fetched to show it


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path, help="SVG to write")
    parser.add_argument("questions", nargs="+", help="what to ask, in turn")
    parser.add_argument("--exits", help="folder of exits; by default the committed ones")
    parser.add_argument("--threshold", help="gate probability above which a token leaves; by default the certified one")
    given = parser.parse_args()
    named = {"--exits": given.exits, "--threshold": given.threshold}
    text = picture(given.questions, [word for flag, value in named.items() if value for word in (flag, value)])
    with atomic_write(given.out) as temporary:
        temporary.write_text(text, encoding="utf-8")
