"""Makes the outcome tables of the routing benchmark from clones of the public repositories that they come from.

Nothing is downloaded here: fetch a source yourself, as `--help` says, and name its folder.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from converters import bbh_direct_vs_cot, llmrouter, mmlu_pro, openai_gsm8k, prices, routellm
from converters.files import Files

from forethought.artifacts import atomic_directory
from forethought.errors import ConfigError, ForethoughtError
from forethought.outcomes import read_plain

SCRIPT = "python benchmarks/routing/convert.py"


@dataclass(frozen=True)
class Source:
    """Where a table comes from.

    Attributes:
        convert: Reads what was fetched.
        origin: A git URL, or a package of PyPI.
        version: The commit, or the package's version.
        note: What it is, and its licence.
    """

    convert: Callable[[Path], Files]
    origin: str
    version: str
    note: str

    @property
    def fetch(self) -> str:
        """The command that fetches it into the current folder."""
        if "://" in self.origin:
            return f"git clone {self.origin} && git -C {self.path} checkout --quiet {self.version}"
        return f"pip download --no-deps {self.origin}=={self.version}"

    @property
    def path(self) -> str:
        """What that command leaves there."""
        if "://" in self.origin:
            return self.origin.rpartition("/")[2]
        return f"{self.origin}-{self.version}-py3-none-any.whl"


SOURCES: Mapping[str, Source] = {
    "routellm": Source(
        routellm.convert,
        "https://github.com/lm-sys/RouteLLM",
        "0b64fdafe049e596a3f5657c219329f24af24198",
        "GSM8K and MMLU by Mixtral-8x7B and GPT-4; Apache-2.0, texts MIT",
    ),
    "mmlu_pro": Source(
        mmlu_pro.convert,
        "https://github.com/TIGER-AI-Lab/MMLU-Pro",
        "f418b116db00b065c2aea046518d8fcf74d39872",
        "MMLU-Pro by 29 models, its other archives are not read; Apache-2.0",
    ),
    "prices": Source(prices.convert, "litellm", "1.57.0", "list prices of five of them in December 2024; MIT"),
    "llmrouter": Source(
        llmrouter.convert,
        "https://github.com/ulab-uiuc/LLMRouter",
        "4e7a796942ce26e9d5f2b93191c7c2585c99c2e3",
        "14 tasks by nine models; MIT",
    ),
    "bbh_direct_vs_cot": Source(
        bbh_direct_vs_cot.convert,
        "https://github.com/suzgunmirac/BIG-Bench-Hard",
        "9ee07bd481feebf959a6b59d61ea57bdcf30964d",
        "BIG-bench Hard by one model, with and without thought; MIT, not to be trained on",
    ),
    "openai_gsm8k": Source(
        openai_gsm8k.convert,
        "https://github.com/openai/grade-school-math",
        "3101c7d5072418e28b9008a6636bde82a006892c",
        "GSM8K by two sizes, one sample or the best of a hundred; MIT",
    ),
}

LEFT_OUT = (
    "MATH-7, MATH-36 and GSM8K-2 cannot be made this way: github.com/KabakaWilliam/llms_know_difficulty keeps their\n"
    "labels apart from the questions, over several commits, and not all of them in a readable format."
)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, epilog=instructions(), formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("source", metavar="SOURCE", help=", ".join(SOURCES))
    parser.add_argument("clone", metavar="CLONE", type=Path, help="the folder (of prices the wheel) that was fetched")
    parser.add_argument("data", metavar="DATA", type=Path, help="the table is made in DATA/outcomes/SOURCE")
    given = parser.parse_args(arguments)
    try:
        print(make(given.source, given.clone, given.data))
    except ForethoughtError as error:
        print(f"convert: {error}", file=sys.stderr)
        return 2
    return 0


def make(name: str, clone: Path, data: Path) -> str:
    """Make a source's table, whole or not at all, and say what it holds.

    Raises:
        ConfigError: No such source or clone, or a table that is there already.
        DataError: The clone is not what the source publishes.
        ArtifactError: The table cannot be written.
    """
    if name not in SOURCES:
        raise ConfigError(f"no source {name!r}; there are {', '.join(SOURCES)}")
    if not clone.exists():
        raise ConfigError(f"no {clone}; fetch it with: {SOURCES[name].fetch}")
    folder = data / "outcomes" / name
    if folder.exists():
        raise ConfigError(f"{folder} exists; remove it first, or name another DATA than {data}")
    files = SOURCES[name].convert(clone)
    with atomic_directory(folder) as temporary:
        for file, content in files.items():
            (temporary / file).write_bytes(content)
        held = described(temporary, files)
    return f"{folder}: {held}"


def described(folder: Path, files: Files) -> str:
    """What the files hold, as the benchmark reads them: an unreadable table is an error before it is in place."""
    if "outcomes.csv.gz" not in files:
        return ", ".join(files)
    imported = read_plain(folder)
    targets, count = len(imported.outcomes.targets), len(imported.outcomes)
    return f"{len(imported.questions)} questions, {targets} targets, {count} outcomes"


def instructions(data: Path | str = "DATA") -> str:
    """The commands that make every table that can be made, and which cannot."""
    lines = [
        f"# {name}: {source.note}\n{source.fetch} && {SCRIPT} {name} {source.path} {data}"
        for name, source in SOURCES.items()
    ]
    return "\n".join(["Each of these makes one table; nothing else downloads them:", *lines, LEFT_OUT])


if __name__ == "__main__":
    sys.exit(main())
