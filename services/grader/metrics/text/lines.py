"""The words of many lines as numbers, found in the bytes of all lines at once.

No string is made for a word that occurs again: of a column of answers that is most of them. A
word's first eight bytes are one 64-bit number; a longer word is that number's id with its next four
bytes, and so on. UTF-8 has no byte 0xFF, so a word filled up with it is like no other word, and the
numbering is exact. Every step is linear in the bytes, but for a sort of the numbers that share a
slot of a hash table with another, because a lab chooses the words.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from services.grader.metrics.text.ngrams import Documents, IntArray

_Keys = NDArray[np.uint64]

_SPACE, _BREAK = ord(" "), ord("\n")
_FIRST_BYTES, _NEXT_BYTES = 8, 4
#: Words beyond this many bytes are looked up one by one: each further step is one for all words.
_LONGEST_STEPPED = 40

_ONES = 2**64 - 1
#: What fills a number up of which only the first 0, 1, … 8 bytes are the word's.
_FILL = np.array([_ONES ^ (2 ** (8 * size) - 1) for size in range(9)], dtype=np.uint64)
_NEXT_MASK = np.uint64(2 ** (8 * _NEXT_BYTES) - 1)

#: 2^64 over the golden ratio: D. E. Knuth, The Art of Computer Programming, volume 3, section 6.4.
_MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)
_FEWEST_SLOT_BITS = 8


@dataclass(frozen=True, slots=True)
class Lines:
    """The words of lines as ids.

    ``documents`` has a document for each line; ids count up in the order in which words first
    occur, as those of ``ngrams.encode``. ``single_spaced`` tells whether one space stands between
    two words, and none elsewhere. The bytes of all lines stay with it, and never show.
    """

    documents: Documents
    single_spaced: bool
    _text: bytes = field(repr=False)
    _starts: IntArray = field(repr=False)
    _ends: IntArray = field(repr=False)

    def words(self) -> list[str]:
        """The word of each id."""
        text = self._text
        return [
            text[start:end].decode(errors="surrogatepass")
            for start, end in zip(self._starts.tolist(), self._ends.tolist(), strict=True)
        ]


def encode_lines(column: str) -> Lines:
    """The words of a column whose lines end in a line break, the last one excepted.

    Words stand between plain spaces, any number of them; no other white space separates any.
    """
    text = column.encode(errors="surrogatepass")
    # The eight bytes from any position on can be read, also from the last one.
    padded = np.frombuffer(text + bytes(_FIRST_BYTES), dtype=np.uint8)
    signs = padded[: len(text)]
    separators = signs == _SPACE
    separators |= signs == _BREAK
    gaps = np.flatnonzero(separators)
    breaks = gaps[signs[gaps] == _BREAK]
    starts = np.concatenate(([0], gaps + 1))
    ends = np.concatenate((gaps, [len(text)]))
    filled = ends > starts
    if not filled.all():
        starts, ends = starts[filled], ends[filled]
    ids, size = _number(text, padded, starts, ends - starts)
    # Of equal indices the last assignment stays: each id's first word.
    first = np.full(size, -1, dtype=np.int64)
    first[ids[::-1]] = np.arange(len(ids) - 1, -1, -1)
    new = np.sort(first[first >= 0])
    rank = np.zeros(size, dtype=np.int64)
    rank[ids[new]] = np.arange(len(new))
    bounds = np.searchsorted(starts, breaks)
    lengths = np.diff(bounds, prepend=0, append=len(starts))
    documents = Documents(rank[ids], lengths, max(len(new), 1))
    single_spaced = np.count_nonzero(~filled) == np.count_nonzero(lengths == 0)
    return Lines(documents, bool(single_spaced), text, starts[new], ends[new])


def _number(
    text: bytes, padded: NDArray[np.uint8], starts: IntArray, lengths: IntArray
) -> tuple[IntArray, int]:
    """Ids of the words that begin at ``starts``, equal where the words are; all below the int."""
    # The eight bytes from each position on, as one number; not aligned, which numpy allows.
    eight: _Keys = np.ndarray(
        (len(padded) - _FIRST_BYTES + 1,), dtype="<u8", buffer=padded.data, strides=(1,)
    )
    keys = eight[starts]
    keys |= _FILL.take(lengths, mode="clip")
    ids, size = _slots(keys)
    reach = _FIRST_BYTES
    longer = np.flatnonzero(lengths > reach)
    while len(longer) and reach < _LONGEST_STEPPED:
        left = np.minimum(lengths[longer] - reach, _NEXT_BYTES)
        following = (eight[starts[longer] + reach] | _FILL[left]) & _NEXT_MASK
        prefix = ids[longer].astype(np.uint64) << np.uint64(8 * _NEXT_BYTES)
        found, count = _slots(prefix | following)
        ids[longer] = size + found
        size += count
        reach += _NEXT_BYTES
        longer = longer[lengths[longer] > reach]
    known: dict[bytes, int] = {}
    for word, start, length in zip(
        longer.tolist(), starts[longer].tolist(), lengths[longer].tolist(), strict=True
    ):
        ids[word] = size + known.setdefault(text[start : start + length], len(known))
    return ids, size + len(known)


def _slots(keys: _Keys) -> tuple[IntArray, int]:
    """Ids that are equal where the keys are, and a number above all of them."""
    bits = max(len(keys).bit_length() - 1, _FEWEST_SLOT_BITS)
    slots = keys * _MULTIPLIER
    slots >>= np.uint64(64 - bits)
    ids = slots.view(np.int64)
    table = np.zeros(1 << bits, dtype=np.uint64)
    table[ids] = keys
    # Each slot keeps one key; the occurrences of others are few, or somebody wants them many.
    lost = np.flatnonzero(table[ids] != keys)
    others, place = np.unique(keys[lost], return_inverse=True)
    ids[lost] = len(table) + place
    return ids, len(table) + len(others)
