"""A word tokenizer with exactly the tokens of NLTK's ``NLTKWordTokenizer``, made for whole columns.

The rules are facts of the Penn Treebank convention as NLTK (3.10) applies it, which is what
published BLEU-1 scores were computed with. NLTK runs some thirty regular expressions over each
text; here each white-space chunk is looked at once per column and remembered. That is exact because
the rules look across white space in a few places only:

* a quote opens when it begins the text or follows a space;
* the period that ends the text is split off, closing quotes and brackets after it included;
* an apostrophe before a plain space is split earlier than one before a line break.

So a chunk's tokens depend on the chunk and on whether it is first or last, and the chunks of a
column are numbered without a look at each of them; texts in the rare remaining cases go through the
rules as a whole. Every step is linear in the length of the text.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from services.grader.metrics.text.lines import Lines, encode_lines
from services.grader.metrics.text.ngrams import Documents, IntArray, encode

#: Unicode White_Space. Python's own white space also holds U+001C to U+001F, which end a token but
#: are no white space to the rules.
_SPACES = (
    "\t\n\v\f\r \x85\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009"
    "\u200a\u2028\u2029\u202f\u205f\u3000"
)
#: The zero-width joiners and the circled and squared letters.
_OTHER_WORD_CHARACTERS = re.compile(
    "[\u200c\u200d\u24b6-\u24e9\U0001f130-\U0001f149\U0001f150-\U0001f169\U0001f170-\U0001f189]"
)
_ANY_SPACES = re.compile(f"[{_SPACES}]+")
#: Where else ``str.split`` splits than at plain spaces and line breaks.
_OTHER_SPACES = (*_SPACES.replace(" ", "").replace("\n", ""), *"\x1c\x1d\x1e\x1f")
#: Stands for a text that goes through the rules as a whole.
_ANY_WORD = "x"

#: Where another white space than the plain one changes the tokens.
_SPACE_MATTERS = re.compile(r"'[^\S ]|[^\S ][\"']|[\x1c-\x1f]")

_QUOTES = "\"'`"
_CLOSERS = "])}>\"'"
_CLOSERS_AND_QUOTES = _CLOSERS + "»”’ "

_OPENING_QUOTES = re.compile("[«“‘„]|`+")
_QUOTE_AFTER_OPENER = re.compile(r"([ (\[{<])(?:\"|'')")
_CLITIC = re.compile(r"re|ve|ll|m|t|s|d|n", re.IGNORECASE)
_COLON_OR_COMMA = re.compile(r"([:,])(\D)")
_APART = re.compile(r"\.{2,}|[;@#$%&?!\u2012-\u2015]")
_APOSTROPHE_BEFORE_SPACE = re.compile(r"([^'])' ")
_BRACKETS_AND_DASHES = re.compile(r"[\][(){}<>]|--")
_CLOSING_QUOTES = re.compile("[»”’]")
_POSSESSIVE = re.compile(r"([^' ])('[sSmMdD]|') ")
_CONTRACTED_VERB = re.compile(r"([^' ])('ll|'LL|'re|'RE|'ve|'VE|n't|N'T) ")
_CONTRACTED_WORDS = tuple(
    re.compile(pattern, re.IGNORECASE)
    for pattern in (
        r"\b(can)(not)\b",
        r"\b(d)('ye)\b",
        r"\b(gim)(me)\b",
        r"\b(gon)(na)\b",
        r"\b(got)(ta)\b",
        r"\b(lem)(me)\b",
        r"\b(more)('n)\b",
        r"\b(wan)(na)(?=\s)",
        r" ('t)(is)\b",
        r" ('t)(was)\b",
    )
)
_MAY_CONTRACT = re.compile(
    r"cannot|d'ye|g[iı]mme|gonna|gotta|lemme|more'n|wanna|'t[iı][sſ]|'twa[sſ]", re.IGNORECASE
)
#: The words of letters only that the rules split.
_SPLIT_WORDS = frozenset({"cannot", "gimme", "gonna", "gotta", "lemme", "wanna"})
_LONGEST_SPLIT_WORD = 6


def _is_word_character(character: str) -> bool:
    """Unicode's word characters (UTS #18): letters, marks, digits, connectors, joiners."""
    category = unicodedata.category(character)
    return (
        category[0] in "LM"
        or category in {"Nd", "Nl", "Pc"}
        or _OTHER_WORD_CHARACTERS.match(character) is not None
    )


def _split_opening_apostrophes(text: str) -> str:
    """A space after each apostrophe that begins a word, except before a clitic ('s, 'll, n't)."""
    if "'" not in text:
        return text
    parts = []
    done = 0
    at = text.find("'")
    while at >= 0:
        after = text[at + 1 : at + 2]
        if (
            after
            and _is_word_character(after)
            and not (at > 0 and _is_word_character(text[at - 1]))
            and not _is_clitic(text, at + 1)
        ):
            parts.append(text[done : at + 1])
            done = at + 1
        at = text.find("'", at + 1)
    parts.append(text[done:])
    return " ".join(parts)


def _is_clitic(text: str, start: int) -> bool:
    clitic = _CLITIC.match(text, start)
    if clitic is None:
        return False
    end = clitic.end()
    return end == len(text) or not _is_word_character(text[end])


def _split_last_period(text: str, closers: str, *, apart: bool) -> str:
    """The text with the period that ends it split off, if nothing but ``closers`` follows it."""
    at = text.rfind(".")
    if at <= 0 or text[at - 1] == ".":
        return text
    tail = text[at + 1 :]
    rest = tail.lstrip(closers)
    if rest.strip(_SPACES):
        return text
    run = tail[: len(tail) - len(rest)]
    return f"{text[:at]} .{' ' if apart else ''}{run} "


def split_words(text: str) -> list[str]:
    """The tokens of one text, by the rules themselves."""
    if '"' in text or "'" in text or not text.isascii() or "`" in text:
        text = _OPENING_QUOTES.sub(r" \g<0> ", text)
        if text.startswith('"'):
            text = "``" + text[1:]
        text = text.replace("``", " `` ")
        text = _QUOTE_AFTER_OPENER.sub(r"\1 `` ", text)
        text = _split_opening_apostrophes(text)
    text = _split_last_period(text, _CLOSERS_AND_QUOTES, apart=True)
    text = _COLON_OR_COMMA.sub(r" \1 \2", text)
    if text[-1:] in {":", ","}:
        text = f"{text[:-1]} {text[-1]} "
    text = _APART.sub(r" \g<0> ", text)
    text = _split_last_period(text, _CLOSERS, apart=False)
    text = _APOSTROPHE_BEFORE_SPACE.sub(r"\1 ' ", text)
    text = text.replace("*", " * ")
    text = _BRACKETS_AND_DASHES.sub(r" \g<0> ", text)
    text = f" {text} "
    if not text.isascii():
        text = _CLOSING_QUOTES.sub(r" \g<0> ", text)
    text = text.replace("''", " '' ").replace('"', " '' ")
    if "'" in text:
        text = _ANY_SPACES.sub(" ", text)
        text = _POSSESSIVE.sub(r"\1 \2 ", text)
        text = _CONTRACTED_VERB.sub(r"\1 \2 ", text)
    if _MAY_CONTRACT.search(text):
        text = _ANY_SPACES.sub(" ", text)
        for pattern in _CONTRACTED_WORDS:
            text = pattern.sub(r" \1 \2 ", text)
    return text.split()


def _is_plain(word: str) -> bool:
    """Whether the rules leave this chunk whole wherever it stands: letters and digits only."""
    if not word.isalnum():
        return False
    if word.isascii():
        return len(word) > _LONGEST_SPLIT_WORD or word.lower() not in _SPLIT_WORDS
    return len(word) > _LONGEST_SPLIT_WORD


#: What one sign around a plain word becomes between two other chunks.
_OPENING = {'"': "``", "(": "(", "[": "[", "{": "{", "<": "<"}
_CLOSING = {'"': "''", **{sign: sign for sign in ")]}>,;:?!"}}


def _tokens_between(chunk: str) -> tuple[str, ...]:
    """The tokens of a chunk that stands between two others; common forms without the rules."""
    if _is_plain(chunk):
        return (chunk,)
    end = chunk[-1]
    if end in ".-/_" and _is_plain(chunk[:-1]):
        return (chunk,)
    closing = _CLOSING.get(end)
    opening = _OPENING.get(chunk[0])
    word = chunk[opening is not None : len(chunk) - (closing is not None)]
    if (opening or closing) and _is_plain(word):
        return tuple(token for token in (opening, word, closing) if token)
    if chunk[-2:] in {"'s", "'S"} and _is_plain(chunk[:-2]):
        return (chunk[:-2], chunk[-2:])
    return tuple(split_words(f"x {chunk} x")[1:-1])


def _at_start(chunk: str) -> tuple[str, ...] | None:
    """The tokens of a chunk that begins its text and does not end it; None for those in between."""
    return tuple(split_words(f"{chunk} x")[:-1]) if chunk[0] in _QUOTES else None


def _at_end(chunk: str) -> tuple[str, ...] | None:
    """The tokens of a chunk that ends its text, after a space; None for those in between.

    It is not of closers only, and a period that ended it has been split off. Another period, or a
    final apostrophe, takes the rules.
    """
    if chunk == "." or not ("." in chunk or chunk[-1] == "'"):
        return None
    return tuple(split_words(f"x {chunk}")[1:])


def _alone(chunk: str) -> tuple[str, ...] | None:
    """The tokens of a chunk that is its text; None for those in between."""
    return None if _is_plain(chunk) else tuple(split_words(chunk))


def _plainly_spaced(text: str) -> str | None:
    """A text of the same tokens with single spaces; None where its white space matters."""
    line = " ".join(text.split())
    if line in {text, ""}:
        return line
    if (
        _SPACE_MATTERS.search(text)
        or (text[-1].isspace() and line[-1] == "'")
        or (text[0].isspace() and not line[0].isalnum())
    ):
        return None
    return line


def _line(text: str) -> str | None:
    """A text with single spaces and the period that ends it apart; None for the rules as a whole.

    Those it takes where the last chunk is closers only, which may belong to an earlier period.
    """
    end = text[-1:]
    # The period is a token, and what precedes it then stands before a space.
    if end == "." and text[-2:-1] not in {"", ".", " "}:
        return f"{text[:-1]} ."
    if end and end in _CLOSERS_AND_QUOTES:
        last = text[text.rfind(" ") + 1 :]
        return text if last.strip(_CLOSERS_AND_QUOTES) else None
    return text


class Pieces(NamedTuple):
    """The tokens of texts in pieces, most of which are one chunk wherever it stands.

    ``tokens`` of each piece; ``numbers`` int64 of the pieces of all texts in a row; ``counts``
    int64 [texts] how many each text has.
    """

    tokens: list[tuple[str, ...]]
    numbers: IntArray
    counts: IntArray


def encode_words(texts: Sequence[str]) -> Documents:
    """The tokens of a column of texts as ids."""
    tokens, numbers, counts = split_column(texts)
    pieces = encode(tokens)
    sizes = pieces.lengths[numbers]
    # Each piece's ids in a row: the start of its ids, counted up from its first token.
    last = np.cumsum(sizes)
    starts = (np.cumsum(pieces.lengths) - pieces.lengths)[numbers]
    ids = pieces.ids[np.arange(sizes.sum()) + np.repeat(starts - last + sizes, sizes)]
    ends = np.concatenate(([0], last))[np.cumsum(counts)]
    return Documents(ids, np.diff(ends, prepend=0), pieces.vocabulary)


def split_column(texts: Sequence[str]) -> Pieces:
    """The tokens of a column of texts: those of ``NLTKWordTokenizer().tokenize`` of each."""
    lines = list(map(_line, texts))
    encoded = _encode_usual(lines)
    if encoded is None:
        spaced = map(_plainly_spaced, texts)
        lines = [None if text is None else _line(text) for text in spaced]
        encoded = encode_lines(_column(lines))
    chunks, ids, counts = encoded.words(), encoded.documents.ids, encoded.documents.lengths
    tokens = list(map(_tokens_between, chunks))
    numbers = ids.copy()
    ends = np.cumsum(counts)
    starts = ends - counts
    for places, rule in (
        (starts[counts > 1], _at_start),
        (ends[counts > 1] - 1, _at_end),
        (starts[counts == 1], _alone),
    ):
        piece_of = np.arange(len(chunks))
        for chunk in np.unique(ids[places]).tolist():
            found = rule(chunks[chunk])
            if found is not None:
                piece_of[chunk] = len(tokens)
                tokens.append(found)
        numbers[places] = piece_of[ids[places]]
    for place, text, line in zip(starts.tolist(), texts, lines, strict=True):
        if line is None:
            numbers[place] = len(tokens)
            tokens.append(tuple(split_words(text)))
    return Pieces(tokens, numbers, counts)


def _column(lines: Sequence[str | None]) -> str:
    return "\n".join([_ANY_WORD if line is None else line for line in lines])


def _encode_usual(lines: Sequence[str | None]) -> Lines | None:
    """The chunks of the lines; None where there is other white space than a space between two."""
    column = _column(lines)
    if any(space in column for space in _OTHER_SPACES):
        return None
    encoded = encode_lines(column)
    usual = encoded.single_spaced and len(encoded.documents.lengths) == len(lines)
    return encoded if usual else None
