"""How answers are brought to one form before they are compared; the same for every model.

Both sides of a comparison go through the same function, always. Refusals ("n/a", "I cannot
answer", an empty string) get no special treatment anywhere: they are answers, and wrong ones.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable

#: Ignored at the front of a label: quotes, brackets, Markdown emphasis, inverted marks. A dot or a
#: sign is not among them: ".5" is not "5", "-1" is not "1".
_FRONT = "\"'`*([{<“”‘’„«»‹›「『【（《〈¿¡ "
#: Ignored at the end of a label: the same closed, and what ends a clause.
_BACK = "\"'`*)]}>“”‘’«»‹›」』】）》〉.,;:!?。，、；：！？… "

#: A choice with its text: optional opening bracket, quote or asterisk, one letter, one closing
#: sign, white space, anything.
_CHOICE = re.compile(r"[\"'`*(\[{“‘]*([a-z])[)\]}.:][*\"'`”’]*\s")

_ARTICLES = frozenset({"a", "an", "the"})
_NUMBER_WORDS = {
    str(number): word
    for number, word in enumerate(
        ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
    )
}

#: Scripts that write no spaces between words: each of their characters is a word of its own.
_UNSPACED = re.compile(
    "["
    "\u0e00-\u0e7f\u0e80-\u0eff"  # Thai, Lao
    "\u1000-\u109f\u1780-\u17ff"  # Myanmar, Khmer
    "\u3040-\u30ff\u31f0-\u31ff"  # Hiragana, Katakana
    "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"  # Han
    "]"
)
# The character comes first and what precedes it is looked at afterwards: the search is then for one
# of a few characters, which a column of a million of them passes in milliseconds.
_APOSTROPHE = re.compile(r"['’](?<=\w.)(?=\w)")
_DECIMAL = re.compile(r"[.,](?<=\d.)(?=\d)")
_SIGN = re.compile(r"[-−](?<!\w.)(?=\d)")
#: Stand-ins for a decimal separator and a sign while punctuation is removed: control characters,
#: which are blanked in texts before.
_POINT, _MINUS = "\x01", "\x02"
_STAND_INS = str.maketrans({_POINT: " ", _MINUS: " "})


class _WordCharacters(dict[int, "int | str"]):
    """A translation table that keeps letters, marks, digits and symbols, and blanks the rest."""

    def __missing__(self, code: int) -> int | str:
        character = chr(code)
        kept: int | str
        if _UNSPACED.match(character):
            kept = f" {character} "
        elif unicodedata.category(character)[0] in "LMNS":
            kept = code
        else:
            kept = " "
        self[code] = kept
        return kept


#: Line breaks stay: they separate the texts of a column.
_WORD_CHARACTERS = _WordCharacters({ord(kept): ord(kept) for kept in (_POINT, _MINUS, "\n")})


class Memo(dict[str, str]):
    """``function`` over strings, each distinct string computed once; lives for one metric call."""

    def __init__(self, function: Callable[[str], str]) -> None:
        super().__init__()
        self._function = function

    def __missing__(self, text: str) -> str:
        value = self[text] = self._function(text)
        return value


def fold(text: str) -> str:
    """Unicode NFKC and full case folding: "ＡＢ" and "ab", "Straße" and "STRASSE" become equal."""
    if text.isascii():
        return text.lower()
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())


def lower(text: str) -> str:
    """Unicode NFKC and lower case, for metrics on running text."""
    if text.isascii():
        return text.lower()
    return unicodedata.normalize("NFKC", text).lower()


def collapse(text: str) -> str:
    """White space at the ends removed, every run inside made one space."""
    return " ".join(text.split())


def label(text: str) -> str:
    """A label's form: folded, spaces collapsed, surrounding quotes, brackets and clause ends off.

    Where nothing would be left ("?", "..."), the collapsed text stays as it is, so that a reference
    of signs only is not equal to an empty answer.
    """
    folded = collapse(fold(text))
    return folded.lstrip(_FRONT).rstrip(_BACK) or folded


def is_letter(normalised: str) -> bool:
    """Whether a normalised reference is the letter of a choice."""
    return len(normalised) == 1 and "a" <= normalised <= "z"


def choice(text: str) -> str:
    """The letter that a prediction chose, or its label form where it is none of the accepted ones.

    Accepted: "A", "(A)", "A.", "**A**", and with the choice's text after white space: "A) text",
    "(A) text", "A. text", "A: text". Not accepted: "A text" (an article), "Answer: A", "A or B".
    """
    chosen = _CHOICE.match(collapse(fold(text)) + " ")
    return chosen.group(1) if chosen else label(text)


def words(text: str) -> list[str]:
    """The words of a folded text without punctuation.

    Apostrophes inside a word are dropped ("don't" is "dont"), other punctuation separates words; a
    decimal separator and a sign before a number stay part of it ("3.5" does not hold the word "3");
    each character of an unspaced script (Han, Kana, Thai, Lao, Khmer, Myanmar) is a word.
    """
    return _separate(fold(text)).split()


def word_lines(texts: list[str]) -> str:
    """:func:`words` of each text as a line of words between plain spaces, all in one go."""
    column = "\n".join(texts)
    if column.count("\n") != len(texts) - 1:
        column = "\n".join([text.replace("\n", " ") for text in texts])
    if column.isascii():
        return _separate(fold(column))
    return _separate("\n".join([fold(text) for text in column.split("\n")]))


def _separate(folded: str) -> str:
    """The words of a folded text with white space between them; line breaks stay."""
    if _POINT in folded or _MINUS in folded:
        folded = folded.translate(_STAND_INS)
    if "'" in folded or "’" in folded:
        folded = _APOSTROPHE.sub("", folded)
    if "." in folded or "," in folded:
        folded = _DECIMAL.sub(_POINT, folded)
    if "-" in folded or "−" in folded:
        folded = _SIGN.sub(_MINUS, folded)
    return folded.translate(_WORD_CHARACTERS)


def characters(text: str) -> list[str]:
    """The characters of :func:`words` without the spaces, for scripts that write none."""
    return list("".join(words(text)))


def exact(text: str) -> str:
    """The form in which exact match compares: close to SQA3D's cleaning of answers.

    The words of the text without the articles a, an, the; the numbers 0 to 10 spelled out. Where
    nothing is left ("the", "?"), the collapsed folded text.
    """
    kept = [_NUMBER_WORDS.get(word, word) for word in words(text) if word not in _ARTICLES]
    return " ".join(kept) or collapse(fold(text))
