"""Facts and short sentences of our own writing, parted by split; no line of it is a quotation."""

from __future__ import annotations

from typing import NamedTuple

from samples.example import Split


class Country(NamedTuple):
    """What a reading passage says of a country."""

    name: str
    capital: str
    currency: str
    continent: str


_ALL = (
    Country("France", "Paris", "euro", "Europe"),
    Country("Japan", "Tokyo", "yen", "Asia"),
    Country("Kenya", "Nairobi", "shilling", "Africa"),
    Country("Peru", "Lima", "sol", "South America"),
    Country("Norway", "Oslo", "krone", "Europe"),
    Country("Egypt", "Cairo", "pound", "Africa"),
    Country("India", "New Delhi", "rupee", "Asia"),
    Country("Canada", "Ottawa", "dollar", "North America"),
    Country("Chile", "Santiago", "peso", "South America"),
    Country("Poland", "Warsaw", "zloty", "Europe"),
    Country("Thailand", "Bangkok", "baht", "Asia"),
    Country("Ghana", "Accra", "cedi", "Africa"),
    Country("Sweden", "Stockholm", "krona", "Europe"),
    Country("Mexico", "Mexico City", "peso", "North America"),
    Country("Fiji", "Suva", "dollar", "Oceania"),
    Country("Vietnam", "Hanoi", "dong", "Asia"),
    Country("Morocco", "Rabat", "dirham", "Africa"),
    Country("Hungary", "Budapest", "forint", "Europe"),
    Country("Uruguay", "Montevideo", "peso", "South America"),
    Country("Mongolia", "Ulaanbaatar", "tugrik", "Asia"),
    Country("Zambia", "Lusaka", "kwacha", "Africa"),
    Country("Iceland", "Reykjavik", "krona", "Europe"),
    Country("Jamaica", "Kingston", "dollar", "North America"),
    Country("Samoa", "Apia", "tala", "Oceania"),
    Country("Nepal", "Kathmandu", "rupee", "Asia"),
    Country("Angola", "Luanda", "kwanza", "Africa"),
    Country("Denmark", "Copenhagen", "krone", "Europe"),
    Country("Paraguay", "Asuncion", "guarani", "South America"),
    Country("Georgia", "Tbilisi", "lari", "Asia"),
    Country("Nigeria", "Abuja", "naira", "Africa"),
    Country("Romania", "Bucharest", "leu", "Europe"),
    Country("Guatemala", "Guatemala City", "quetzal", "North America"),
    Country("Tonga", "Nuku'alofa", "pa'anga", "Oceania"),
    Country("Jordan", "Amman", "dinar", "Asia"),
    Country("Ethiopia", "Addis Ababa", "birr", "Africa"),
    Country("Albania", "Tirana", "lek", "Europe"),
    Country("Bangladesh", "Dhaka", "taka", "Asia"),
    Country("Tunisia", "Tunis", "dinar", "Africa"),
    Country("Czechia", "Prague", "koruna", "Europe"),
    Country("Colombia", "Bogota", "peso", "South America"),
    Country("Malaysia", "Kuala Lumpur", "ringgit", "Asia"),
    Country("Botswana", "Gaborone", "pula", "Africa"),
    Country("Serbia", "Belgrade", "dinar", "Europe"),
    Country("Honduras", "Tegucigalpa", "lempira", "North America"),
    Country("Armenia", "Yerevan", "dram", "Asia"),
    Country("Namibia", "Windhoek", "dollar", "Africa"),
    Country("Ukraine", "Kyiv", "hryvnia", "Europe"),
    Country("Guyana", "Georgetown", "dollar", "South America"),
)

COUNTRIES = {Split.TRAIN: _ALL[::2], Split.TEST: _ALL[1::2]}

#: How a passage may state a fact: what is asked for, and the sentence.
STATEMENTS = (
    ("capital", "The capital of {name} is {capital}."),
    ("capital", "{capital} is where the government of {name} sits."),
    ("currency", "People in {name} pay with the {currency}."),
    ("currency", "The {currency} is the money of {name}."),
    ("continent", "{name} lies in {continent}."),
    ("continent", "On a map of {continent} you find {name}."),
)
QUESTIONS = {
    "capital": "What is the capital of {name}?",
    "currency": "With what do people in {name} pay?",
    "continent": "On which continent is {name}?",
}

#: Unit, the unit asked for, and how many of it one is.
UNITS = (
    ("kilometres", "metres", 1000),
    ("metres", "centimetres", 100),
    ("centimetres", "millimetres", 10),
    ("kilograms", "grams", 1000),
    ("tonnes", "kilograms", 1000),
    ("litres", "millilitres", 1000),
    ("hours", "minutes", 60),
    ("minutes", "seconds", 60),
    ("days", "hours", 24),
    ("weeks", "days", 7),
    ("years", "months", 12),
    ("dozens", "pieces", 12),
    ("feet", "inches", 12),
    ("yards", "feet", 3),
)

#: Parts of simple sentences; a sentence takes one of each list.
SUBJECTS = {
    Split.TRAIN: (
        "the old farmer",
        "my sister",
        "a small bird",
        "the teacher",
        "our neighbour",
        "the young doctor",
        "a tired driver",
        "the grey cat",
    ),
    Split.TEST: (
        "the old doctor",
        "our teacher",
        "a small cat",
        "the young farmer",
        "my neighbour",
        "the tired sister",
    ),
}
VERBS = ("watches", "carries", "paints", "finds", "follows", "washes")
OBJECTS = (
    "the red boat",
    "a wooden box",
    "the long bridge",
    "an empty bottle",
    "the green garden",
    "a heavy stone",
)
PLACES = (
    "near the river",
    "behind the school",
    "in the morning",
    "after the storm",
    "under the tall tree",
    "before winter",
)

#: Name, what it does, the body's lines; {a} and {b} stand for the arguments' names, {k} for a
#: number.
FUNCTIONS = (
    (
        "add_up",
        "adds all numbers of the list {a}",
        (
            "total = 0",
            "for {b} in {a}:",
            "    total += {b}",
            "return total",
        ),
    ),
    (
        "largest",
        "returns the largest number of the list {a}",
        (
            "best = {a}[0]",
            "for {b} in {a}:",
            "    if {b} > best:",
            "        best = {b}",
            "return best",
        ),
    ),
    (
        "squares",
        "returns the squares of the numbers of the list {a}",
        ("return [{b} * {b} for {b} in {a}]",),
    ),
    (
        "count_above",
        "counts the numbers of the list {a} above {k}",
        (
            "count = 0",
            "for {b} in {a}:",
            "    if {b} > {k}:",
            "        count += 1",
            "return count",
        ),
    ),
    (
        "keep_even",
        "keeps the even numbers of the list {a}",
        ("return [{b} for {b} in {a} if {b} % 2 == 0]",),
    ),
    (
        "backwards",
        "returns the list {a} in reverse order",
        (
            "result = []",
            "for {b} in {a}:",
            "    result.insert(0, {b})",
            "return result",
        ),
    ),
    (
        "average",
        "returns the average of the list {a}",
        (
            "total = sum({a})",
            "return total / len({a})",
        ),
    ),
    (
        "times",
        "multiplies each number of the list {a} by {k}",
        ("return [{b} * {k} for {b} in {a}]",),
    ),
    (
        "first_index",
        "returns the position of {k} in the list {a}, or -1",
        (
            "for position, {b} in enumerate({a}):",
            "    if {b} == {k}:",
            "        return position",
            "return -1",
        ),
    ),
    (
        "has_any",
        "says whether {k} is in the list {a}",
        (
            "for {b} in {a}:",
            "    if {b} == {k}:",
            "        return True",
            "return False",
        ),
    ),
)
#: The arguments' names and the number k by split.
NAMES = {
    Split.TRAIN: (
        ("numbers", "number", 3),
        ("values", "value", 7),
        ("items", "item", 2),
        ("prices", "price", 9),
    ),
    Split.TEST: (
        ("heights", "height", 5),
        ("ages", "age", 18),
        ("scores", "score", 50),
        ("weights", "weight", 8),
    ),
}

#: Words that "Sentence On Demand" asks for.
DEMANDED = {
    Split.TRAIN: ("river", "garden", "bridge", "winter", "school", "stone", "boat", "morning"),
    Split.TEST: ("forest", "window", "island", "summer", "market", "candle", "train", "evening"),
}

#: Letters that a careless typist mixes up.
CONFUSED = {
    "a": "s",
    "e": "r",
    "i": "o",
    "o": "p",
    "t": "y",
    "n": "m",
    "d": "f",
    "r": "t",
    "s": "a",
    "l": "k",
}
