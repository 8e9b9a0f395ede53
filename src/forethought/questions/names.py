"""Codes and symbols with a name behind them: languages (pycountry) and chemical elements."""

from __future__ import annotations

from collections.abc import Iterator

import pycountry

from forethought.questions.family import Family, Item

ALSO_CALLED = {
    "fa": ("Farsi",),
    "gd": ("Gaelic",),
    "gn": ("Guaraní",),
    "kg": ("Kikongo",),
    "ki": ("Gikuyu",),
    "kl": ("Greenlandic",),
    "ky": ("Kyrgyz",),
    "lb": ("Luxemburgish",),
    "lg": ("Luganda",),
    "li": ("Limburgish",),
    "nb": ("Bokmål",),
    "nn": ("Nynorsk",),
    "om": ("Afaan Oromo",),
    "pa": ("Punjabi",),
    "ps": ("Pashto",),
    "rn": ("Kirundi",),
    "se": ("Sami",),
    "st": ("Sotho", "Sesotho"),
    "sw": ("Swahili", "Kiswahili"),
    "tl": ("Filipino",),
    "tn": ("Setswana",),
    "ug": ("Uyghur",),
    "zh": ("Mandarin",),
}

NOT_SPOKEN = frozenset({"ia", "ie", "io", "vo", "el", "sh", "cu", "pi", "ae", "ho", "ii"})
"""Constructed, dead or not the usual name."""

ELEMENTS = """
H Hydrogen, He Helium, Li Lithium, Be Beryllium, B Boron, C Carbon, N Nitrogen, O Oxygen, F Fluorine, Ne Neon,
Na Sodium, Mg Magnesium, Al Aluminium, Si Silicon, P Phosphorus, S Sulfur, Cl Chlorine, Ar Argon, K Potassium,
Ca Calcium, Sc Scandium, Ti Titanium, V Vanadium, Cr Chromium, Mn Manganese, Fe Iron, Co Cobalt, Ni Nickel, Cu
Copper, Zn Zinc, Ga Gallium, Ge Germanium, As Arsenic, Se Selenium, Br Bromine, Kr Krypton, Rb Rubidium, Sr
Strontium, Y Yttrium, Zr Zirconium, Nb Niobium, Mo Molybdenum, Tc Technetium, Ru Ruthenium, Rh Rhodium, Pd
Palladium, Ag Silver, Cd Cadmium, In Indium, Sn Tin, Sb Antimony, Te Tellurium, I Iodine, Xe Xenon, Cs Caesium,
Ba Barium, La Lanthanum, Ce Cerium, Pr Praseodymium, Nd Neodymium, Pm Promethium, Sm Samarium, Eu Europium, Gd
Gadolinium, Tb Terbium, Dy Dysprosium, Ho Holmium, Er Erbium, Tm Thulium, Yb Ytterbium, Lu Lutetium, Hf Hafnium,
Ta Tantalum, W Tungsten, Re Rhenium, Os Osmium, Ir Iridium, Pt Platinum, Au Gold, Hg Mercury, Tl Thallium, Pb
Lead, Bi Bismuth, Po Polonium, At Astatine, Rn Radon, Fr Francium, Ra Radium, Ac Actinium, Th Thorium, Pa
Protactinium, U Uranium, Np Neptunium, Pu Plutonium, Am Americium, Cm Curium, Bk Berkelium, Cf Californium, Es
Einsteinium, Fm Fermium, Md Mendelevium, No Nobelium, Lr Lawrencium
"""

MISREAD = frozenset({"am", "as", "at", "be", "c", "he", "i", "in", "no", "o", "s", "u"})
"""Symbols that a whole-word match would find in an English sentence."""

ALSO_SPELLED = {"Aluminium": ("Aluminum",), "Caesium": ("Cesium",), "Sulfur": ("Sulphur",), "Tungsten": ("Wolfram",)}


def _languages() -> Iterator[Item]:
    for language in pycountry.languages:
        code = getattr(language, "alpha_2", None)
        if code and code not in NOT_SPOKEN:
            name = language.name.split(" (")[0]
            yield Item(code, (name, *ALSO_CALLED.get(code, ())), (f"{name.lower()} language",))


def _elements() -> Iterator[Item]:
    for entry in ELEMENTS.split(","):
        symbol, name = entry.split()
        yield Item(symbol, (name.lower(), *(other.lower() for other in ALSO_SPELLED.get(name, ()))), (name.lower(),))


def _atomic_numbers() -> Iterator[Item]:
    for number, item in enumerate(_elements(), start=1):
        yield Item(str(number), item.answers, item.entities)


def _symbols() -> Iterator[Item]:
    return (Item(i.answers[0], (i.subject,), i.entities) for i in _elements() if i.subject.lower() not in MISREAD)


def families() -> Iterator[Family]:
    """Families whose subjects are codes and symbols."""
    yield Family("language_of_code", 'Which language has the ISO 639-1 code "{}"?', _languages)
    yield Family("element", "Which chemical element has the symbol {}?", _elements)
    yield Family("element_symbol", "What is the chemical symbol of {}?", _symbols)
    yield Family("atomic_number", "Which chemical element has the atomic number {}?", _atomic_numbers)
