"""What the country tables leave out: names in use, facts in dispute, facts that changed. Keys are ISO 3166-1 codes."""

from __future__ import annotations


def _codes(text: str) -> frozenset[str]:
    return frozenset(text.split())


TERRITORIES = _codes(
    "AI AQ AS AW AX BL BM BQ BV CC CK CS CW CX AN EH FK FO GF GG GI GL GP GS GU HK HM IM IO JE KY MF MO MP MQ MS "
    "NC NF NU PF PM PN PR PS RE SH SJ SX TC TF TK TW UM VA VG VI WF XK YT"
)

NAME_WITHIN_ANOTHER = _codes("CD CG DM GN GQ GW SD SS WS")

NOT_ASKED = TERRITORIES | NAME_WITHIN_ANOTHER
"""Dependencies, disputed states, and names that a whole-word match would take for another country's."""

ARTICLE = _codes("AE BS CF DO GB GM KM MH MV NL PH SB SC US")

ALSO_CALLED = {
    "AE": ("UAE", "Emirates"),
    "AG": ("Antigua",),
    "BA": ("Bosnia",),
    "BN": ("Brunei Darussalam",),
    "CI": ("Côte d'Ivoire",),
    "CN": ("People's Republic of China", "PRC"),
    "CV": ("Cape Verde",),
    "CZ": ("Czech Republic",),
    "GB": ("UK", "Great Britain", "Britain", "England"),
    "KN": ("St. Kitts and Nevis", "St Kitts"),
    "KP": ("Democratic People's Republic of Korea", "DPRK"),
    "KR": ("Republic of Korea",),
    "LC": ("St. Lucia",),
    "MK": ("Macedonia",),
    "MM": ("Burma",),
    "NL": ("Holland",),
    "RU": ("Russian Federation",),
    "ST": ("São Tomé", "Sao Tome & Principe"),
    "SZ": ("Swaziland",),
    "TL": ("East Timor", "Timor-Leste"),
    "TR": ("Türkiye",),
    "TT": ("Trinidad & Tobago", "Trinidad"),
    "US": ("United States of America", "USA", "US", "America"),
    "VC": ("St. Vincent and the Grenadines", "St Vincent"),
}

ALSO_CAPITAL = {
    "AG": ("Saint John's",),
    "BI": ("Bujumbura",),
    "CI": ("Abidjan",),
    "CR": ("San Jose",),
    "DZ": ("Alger",),
    "GD": ("Saint George's",),
    "KG": ("Biskek",),
    "KI": ("Tarawa", "South Tarawa"),
    "LU": ("Luxembourg City",),
    "MD": ("Kishinev", "Chişinău"),
    "MM": ("Naypyidaw", "Nay Pyi Taw", "Naypyitaw"),
    "MN": ("Ulaanbaatar", "Ulan Bator"),
    "MV": ("Male",),
    "PW": ("Ngerulmud", "Melekeok"),
    "RO": ("Bucuresti",),
    "TD": ("Ndjamena", "N'Djamena"),
    "TG": ("Lome",),
    "TM": ("Ashgabat", "Ashkhabad"),
    "TO": ("Nukualofa", "Nuku'alofa"),
    "UA": ("Kyiv", "Kiev"),
    "US": ("Washington, D.C.", "Washington DC"),
    "UZ": ("Toshkent", "Tashkent"),
    "YE": ("Sana'a", "Sanaa"),
}

NO_SINGLE_CAPITAL = _codes("BJ BO GQ ID IL LK MY NR SZ TZ ZA CI BI KZ")
"""Capitals that are disputed, moving, or divided between cities."""

CONTINENTS = {
    "AF": ("Africa",),
    "AS": ("Asia",),
    "EU": ("Europe",),
    "NA": ("North America",),
    "OC": ("Oceania", "Australia"),
    "SA": ("South America",),
}

TWO_CONTINENTS = _codes("AM AZ CY EG GE ID KZ RU TL TR PA TT")

CURRENCY_CHANGED = _codes("BG BT CU EC HR LS LT MR NA PA SL ST SV VE ZM ZW BY TM PW MH FM TL HT CH")
"""More than one legal tender, or a new one lately."""


def _words(*names: str) -> dict[str, tuple[str, ...]]:
    return {name: (name, f"{name}s") for name in names}


CURRENCY_WORDS = {
    **_words(
        "euro", "dollar", "franc", "peso", "pound", "dinar", "rupee", "shilling", "riyal", "rial", "real", "rand",
        "naira", "yen", "won", "baht", "dong", "ringgit", "rupiah", "taka", "forint", "zloty", "hryvnia", "lira",
        "shekel", "dirham", "birr", "lek", "dram", "manat", "som", "tenge", "kip", "kyat", "pula", "sol", "guarani",
        "quetzal", "lempira", "colon", "boliviano", "ruble", "afghani", "riel", "tugrik", "cedi", "dalasi", "ariary",
        "metical", "kwacha", "kina", "vatu", "tala", "rufiyaa", "nakfa", "kwanza", "lari", "gourde",
    ),
    "rial": ("rial", "rials", "riyal", "riyals"),
    "riyal": ("riyal", "riyals", "rial", "rials"),
    "krone": ("krone", "kroner", "krones", "krona", "kronor"),
    "krona": ("krona", "kronor", "krone", "kroner", "kronas"),
    "koruna": ("koruna", "korunas", "crown", "crowns"),
    "lev": ("lev", "leva"),
    "leu": ("leu", "lei"),
    "yuan renminbi": ("yuan", "renminbi", "RMB"),
    "ruble": ("ruble", "rubles", "rouble", "roubles"),
    "denar": ("denar", "denars", "denari"),
    "lilangeni": ("lilangeni", "emalangeni"),
    "cordoba": ("córdoba", "córdobas"),
    "tugrik": ("tugrik", "tögrög", "togrog"),
    "som": ("som", "soms", "sum", "soum"),
}  # fmt: skip

_COUNTRIES_BY_LANGUAGE = {
    "Spanish": "AR CL CO CR CU DO EC ES GT HN MX NI PA SV UY VE",
    "Arabic": "AE BH EG JO KW LB LY OM QA SA SY TN YE",
    "French": "BJ CI FR GA MC SN TG",
    "Portuguese": "AO BR CV MZ PT ST",
    "English": "AG AU BB BS BZ GB GD GH GM GY JM KN LC LR NG SL TT VC ZM",
    "German": "AT DE LI",
    "Italian": "IT SM",
    "Greek": "GR",
    "Albanian": "AL",
    "Armenian": "AM",
    "Azerbaijani": "AZ",
    "Bengali": "BD",
    "Bulgarian": "BG",
    "Czech": "CZ",
    "Danish": "DK",
    "Estonian": "EE",
    "Amharic": "ET",
    "Georgian": "GE",
    "Croatian": "HR",
    "Hungarian": "HU",
    "Indonesian": "ID",
    "Icelandic": "IS",
    "Japanese": "JP",
    "Khmer": "KH",
    "Korean": "KP KR",
    "Lao": "LA",
    "Lithuanian": "LT",
    "Latvian": "LV",
    "Romanian": "MD RO",
    "Burmese": "MM",
    "Mongolian": "MN",
    "Dutch": "NL SR",
    "Norwegian": "NO",
    "Nepali": "NP",
    "Polish": "PL",
    "Serbian": "RS",
    "Russian": "RU",
    "Swedish": "SE",
    "Slovenian": "SI",
    "Slovak": "SK",
    "Thai": "TH",
    "Tajik": "TJ",
    "Turkmen": "TM",
    "Turkish": "TR",
    "Ukrainian": "UA",
    "Uzbek": "UZ",
    "Vietnamese": "VN",
    "Macedonian": "MK",
    "Montenegrin": "ME",
}

_ALSO_LANGUAGE = {
    "CN": ("Chinese", "Mandarin"),
    "IR": ("Persian", "Farsi"),
    "MV": ("Dhivehi", "Divehi", "Maldivian"),
    "MY": ("Malay", "Bahasa Malaysia"),
    "BN": ("Malay",),
    "BT": ("Dzongkha",),
    "ID": ("Indonesian", "Bahasa Indonesia"),
    "KH": ("Khmer", "Cambodian"),
    "AZ": ("Azerbaijani", "Azeri"),
    "BD": ("Bengali", "Bangla"),
    "LA": ("Lao", "Laotian"),
    "MD": ("Romanian", "Moldovan"),
    "IL": ("Hebrew",),
}

LANGUAGE_OF = {
    **{code: (language,) for language, codes in _COUNTRIES_BY_LANGUAGE.items() for code in codes.split()},
    **_ALSO_LANGUAGE,
}
"""The one official (or by far the main) language, where there is one."""

SEVERAL_FOREIGN_NAMES = _codes("BF BN CI CZ GB MD MM MU RU SR TL TN US")
"""Called in more than one way abroad, or misspelt in the translation tables."""
