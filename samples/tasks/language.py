"""Language: facts and sentences of our own writing, and two real tables as text."""

from __future__ import annotations

import numpy as np

from samples import sources
from samples.example import Answer, Example, Question, Split, generator
from samples.tasks.facts import (
    CONFUSED,
    COUNTRIES,
    DEMANDED,
    FUNCTIONS,
    NAMES,
    OBJECTS,
    PLACES,
    QUESTIONS,
    STATEMENTS,
    SUBJECTS,
    UNITS,
    VERBS,
    Country,
)

PASSAGE_COUNTRIES = 4
CANDIDATES = 8
CULTIVARS = ("barolo", "grignolino", "barbera")
#: How a sentence of so many words may end, after "We saw the …".
SENTENCE_ENDS = {
    6: "at home",
    7: "in the rain",
    8: "on our way home",
    9: "in the light of day",
}


def _ask(answer: Answer, **fields: str) -> Example:
    return Example(Question(fields), answer)


def _passage(split: Split, rng: np.random.Generator) -> tuple[list[tuple[Country, str, str]], str]:
    """Statements of several countries: (country, what is stated, the sentence), and their text."""
    countries = COUNTRIES[split]
    stated = []
    for at in rng.choice(len(countries), PASSAGE_COUNTRIES, replace=False):
        country = countries[at]
        chosen = {}
        for kind, form in STATEMENTS:
            if kind not in chosen or rng.uniform() < 0.5:
                chosen[kind] = form.format_map(country._asdict())
        stated += [(country, kind, sentence) for kind, sentence in chosen.items()]
    order = rng.permutation(len(stated))
    stated = [stated[i] for i in order]
    return stated, " ".join(sentence for _, _, sentence in stated)


def fact_reading(split: Split) -> list[Example]:
    """A passage about four countries and a question; the text is the answer in the passage."""
    rng = generator("language-001", split)
    examples = []
    for _ in range(200 if split is Split.TRAIN else 60):
        stated, text = _passage(split, rng)
        country, kind, _ = stated[rng.integers(len(stated))]
        question = QUESTIONS[kind].format(name=country.name)
        examples.append(_ask(getattr(country, kind), passage=text, question=question))
    return examples


def unit_conversion(split: Split) -> list[Example]:
    """A quantity in one unit; the text is the number in the other."""
    rng = generator("language-002", split)
    examples = []
    for row, (unit, asked, factor) in enumerate(UNITS * (8 if split is Split.TRAIN else 4)):
        # Test amounts are odd and training amounts even, so that no item is in both.
        amount = 2 * int(rng.integers(1, 50)) + int(split)
        back = row % 3 == 2
        many, few = amount * factor, amount
        prompt = (
            f"How many {unit} are {many} {asked}?"
            if back
            else f"How many {asked} are {few} {unit}?"
        )
        examples.append(_ask(str(few if back else many), question=prompt))
    return list({example.question.text: example for example in examples}.values())


def fact_retrieval(split: Split) -> list[Example]:
    """A question and eight sentences A to H; the ranking names those that tell the answer."""
    rng = generator("language-003", split)
    letters = "ABCDEFGH"
    examples = []
    for _ in range(100 if split is Split.TRAIN else 50):
        stated, _ = _passage(split, rng)
        shown = stated[:CANDIDATES]
        country, kind, _ = shown[rng.integers(len(shown))]
        right = [letters[i] for i, (c, k, _) in enumerate(shown) if (c, k) == (country, kind)]
        fields = {letters[i]: sentence for i, (_, _, sentence) in enumerate(shown)}
        question = QUESTIONS[kind].format(name=country.name)
        examples.append(_ask(right, question=question, **fields))
    return examples


def python_functions(split: Split) -> list[Example]:
    """What a small function does; the code is the function."""
    examples = []
    for plural, singular, number in NAMES[split]:
        for name, does, body in FUNCTIONS:
            words = {"a": plural, "b": singular, "k": number}
            prompt = f"Write a Python function {name}({plural}) that {does.format_map(words)}."
            lines = [line.format_map(words) for line in body]
            code = f"def {name}({plural}):\n" + "".join(f"    {line}\n" for line in lines)
            examples.append(_ask(code, question=prompt))
    return examples


def sentence(split: Split, rng: np.random.Generator) -> str:
    """A simple sentence of our own grammar."""
    parts = (SUBJECTS[split], VERBS, OBJECTS, PLACES)
    return " ".join(words[rng.integers(len(words))] for words in parts)


def _mistyped(text: str, rng: np.random.Generator) -> str:
    letters = []
    for letter in text:
        chance = rng.uniform()
        if letter == " " or chance > 0.2:
            letters.append(letter)
        elif chance > 0.1:
            letters.append(CONFUSED.get(letter, letter))
        elif chance > 0.05:
            letters.append(letter * 2)
    return "".join(letters)


def transcript_repair(split: Split) -> list[Example]:
    """A sentence typed with mistakes; the text is the sentence."""
    rng = generator("language-004", split)
    examples = []
    for _ in range(200 if split is Split.TRAIN else 60):
        right = sentence(split, rng)
        examples.append(_ask(right, transcript=_mistyped(right, rng)))
    return examples


def _row(names: list[str], values: object) -> str:
    cells = zip(names, np.asarray(values, dtype=np.float64), strict=True)
    return ", ".join(f"{name.replace('_', ' ')} {value:g}" for name, value in cells)


def wine_cultivar(split: Split) -> list[Example]:
    """A wine's chemical assay as text; the label is its cultivar."""
    table = sources.wine(split)
    prompt = f"From which cultivar is this wine: {', '.join(CULTIVARS)}?"
    return [
        _ask(CULTIVARS[int(target)], question=prompt, assay=_row(list(table.names), values))
        for values, target in zip(table.values, table.targets, strict=True)
    ]


def diabetes_progression(split: Split) -> list[Example]:
    """A patient's measurements as text; the number is the disease's progression in a year."""
    table = sources.diabetes(split)
    prompt = "Predict the disease progression one year later, a number from 25 to 346."
    return [
        _ask(float(target), question=prompt, measurements=_row(list(table.names), values))
        for values, target in zip(table.values, table.targets, strict=True)
    ]


def sentence_on_demand(split: Split) -> list[Example]:
    """A wish for a sentence of so many words with a certain word; people or a rule rate it."""
    examples = []
    for word in DEMANDED[split]:
        for count, end in SENTENCE_ENDS.items():
            prompt = f'Write one sentence of exactly {count} words with the word "{word}".'
            examples.append(_ask(f"We saw the {word} {end}.", question=prompt))
    return examples
