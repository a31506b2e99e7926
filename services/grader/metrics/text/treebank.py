"""A word tokenizer with exactly the tokens of NLTK's ``NLTKWordTokenizer``, made for whole columns.

The rules are facts of the Penn Treebank convention as NLTK (3.10) applies it, which is what
published BLEU-1 scores were computed with. NLTK runs some thirty regular expressions over each
text; here each white-space chunk is looked at once per column and remembered. That is exact because
the rules look across white space in a few places only:

* a quote opens when it begins the text or follows a space;
* the period that ends the text is split off, closing quotes and brackets after it included;
* an apostrophe before a plain space is split earlier than one before a line break.

So a chunk's tokens depend on the chunk and on whether it is first or last; texts in the rare
remaining cases go through the rules as a whole. Every step is linear in the length of the text.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence

import numpy as np

from services.grader.metrics.text.ngrams import Documents, encode

#: Texts split and looked up at once; one text with odd white space sends its batch the slower way.
BATCH_TEXTS = 64

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


class _Pieces(dict["str | tuple[str, ...]", int]):
    """Numbers of pieces: of chunks between two others, and of tokens found by the rules."""

    def __init__(self) -> None:
        super().__init__()
        self.tokens: list[tuple[str, ...]] = []

    def __missing__(self, piece: str | tuple[str, ...]) -> int:
        self.tokens.append(_tokens_between(piece) if isinstance(piece, str) else piece)
        number = self[piece] = len(self)
        return number


def _ends_like_any_other(chunk: str) -> bool:
    """Whether a chunk has the same tokens at the end of a text as before a space.

    So it is without a period and a final apostrophe, if it is not closers only: those may belong to
    an earlier period.
    """
    return "." not in chunk and chunk[-1] != "'" and chunk.strip(_CLOSERS_AND_QUOTES) != ""


class WordTokenizer:
    """Tokenizes texts; what it remembers of them goes with it.

    Not kept between columns, so that no part of a sealed answer outlives its job.
    """

    def __init__(self) -> None:
        self._pieces = _Pieces()
        self._number = self._pieces.__getitem__
        self._period = self._number((".",))

    def __call__(self, text: str) -> list[str]:
        """The tokens of one text, as ``NLTKWordTokenizer().tokenize(text)``."""
        numbers: list[int] = []
        self._append(text, numbers)
        return [token for number in numbers for token in self._pieces.tokens[number]]

    def encode(self, texts: Sequence[str]) -> Documents:
        """The tokens of each text as ids."""
        numbers: list[int] = []
        ends = [0]
        for start in range(0, len(texts), BATCH_TEXTS):
            self._append_batch(texts[start : start + BATCH_TEXTS], numbers, ends)
        pieces = encode(self._pieces.tokens)
        number = np.array(numbers, dtype=np.int64)
        sizes = pieces.lengths[number]
        # Each piece's ids in a row: the start of its ids, counted up from its first token.
        last = np.cumsum(sizes)
        starts = (np.cumsum(pieces.lengths) - pieces.lengths)[number]
        ids = pieces.ids[np.arange(sizes.sum()) + np.repeat(starts - last + sizes, sizes)]
        lengths = np.diff(np.concatenate(([0], last))[ends])
        return Documents(ids, lengths, pieces.vocabulary)

    def _append_batch(self, texts: Sequence[str], numbers: list[int], ends: list[int]) -> None:
        """Adds the numbers of each text's pieces, and where they end.

        Texts without any white space but single spaces between their chunks, the usual ones, are
        split and looked up together.
        """
        # The period that ends a text is a token, and what precedes it then stands before a space.
        spaced = [
            f"{text[:-1]} ." if text[-1:] == "." and text[-2:-1] not in {"", ".", " "} else text
            for text in texts
        ]
        joined = " ".join(spaced)
        chunks = joined.split()
        if " ".join(chunks) != joined:
            for text in texts:
                self._append(text, numbers)
                ends.append(len(numbers))
            return
        known = list(map(self._number, chunks))
        start = copied = 0
        for text, original in zip(spaced, texts, strict=True):
            end = start + text.count(" ") + 1
            last = chunks[end - 1]
            if end == start + 1 or not (last == "." or _ends_like_any_other(last)):
                numbers += known[copied:start]
                self._append(original, numbers)
                copied = end
            elif text[0] in _QUOTES:
                known[start] = self._first(chunks[start])
            ends.append(len(numbers) + end - copied)
            start = end
        numbers += known[copied:]

    def _append(self, text: str, numbers: list[int]) -> None:
        """Adds the numbers of one text's pieces."""
        chunks = text.split()
        if not chunks:
            return
        last = chunks.pop()
        begins_text = not text[0].isspace()
        plainly_spaced = " ".join((*chunks, last)) == text
        if not last.strip(_CLOSERS_AND_QUOTES) or (
            not plainly_spaced
            and (_SPACE_MATTERS.search(text) or (text[-1].isspace() and last[-1] == "'"))
        ):
            numbers.append(self._number(tuple(split_words(text))))
            return
        if not chunks and begins_text:
            numbers.append(self._number(tuple(split_words(last))))
            return
        start = len(numbers)
        numbers.extend(map(self._number, chunks))
        if chunks and begins_text and text[0] in _QUOTES:
            numbers[start] = self._first(chunks[0])
        self._append_last(last, numbers)

    def _first(self, chunk: str) -> int:
        """The number of a chunk that begins its text."""
        return self._number(tuple(split_words(f"{chunk} x")[:-1]))

    def _append_last(self, chunk: str, numbers: list[int]) -> None:
        """Adds the numbers of the chunk that ends its text, after a space."""
        if chunk[-1] == "." and chunk[-2:-1] not in {"", "."}:
            numbers += (self._number(chunk[:-1]), self._period)
        elif _ends_like_any_other(chunk):
            numbers.append(self._number(chunk))
        else:
            numbers.append(self._number(tuple(split_words(f"x {chunk}")[1:])))


def encode_words(texts: Sequence[str]) -> Documents:
    """The tokens of a column of texts as ids."""
    return WordTokenizer().encode(texts)
