"""N-grams of many documents counted at once, as numpy arrays.

Tokens get integer ids; an n-gram's id is made from the id of its first n - 1 tokens and its last
token, so one sort per order counts the n-grams of all documents.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

IntArray = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Documents:
    """Texts as token ids: ``ids`` of all documents in a row, ``lengths`` [documents] their sizes.

    Ids lie in [0, ``vocabulary``); one id means one token in all documents.
    """

    ids: IntArray
    lengths: IntArray
    vocabulary: int


@dataclass(frozen=True, slots=True)
class GramCounts:
    """The n-grams of one order: ``gram[j]`` occurs ``count[j]`` times in document ``document[j]``.

    All three have shape [entries], sorted by document, then by gram; gram ids are shared by all
    documents and lie in [0, ``size``).
    """

    document: IntArray
    gram: IntArray
    count: IntArray
    size: int


def encode(documents: Sequence[Sequence[str]]) -> Documents:
    """Token lists as ids."""
    vocabulary: dict[str, int] = {}
    ids = np.fromiter(
        (
            vocabulary.setdefault(token, len(vocabulary))
            for document in documents
            for token in document
        ),
        dtype=np.int64,
    )
    lengths = np.fromiter(
        (len(document) for document in documents), dtype=np.int64, count=len(documents)
    )
    return Documents(ids, lengths, max(len(vocabulary), 1))


def count_ngrams(documents: Documents, orders: int) -> Iterator[GramCounts]:
    """The counts of order 1, 2, ... ``orders``, one :class:`GramCounts` each."""
    tokens, words = documents.ids, documents.vocabulary
    document_of = np.repeat(np.arange(len(documents.lengths), dtype=np.int64), documents.lengths)
    gram = tokens  # id of the n-gram that begins at each position of all documents in a row
    size = words
    for order in range(1, orders + 1):
        if order > 1:
            # An n-gram that runs into the next document gets an id, too; it is dropped below.
            joined = gram[:-1] * words + tokens[order - 1 :][: len(gram) - 1]
            distinct, gram = np.unique(joined, return_inverse=True)
            size = max(len(distinct), 1)
        starts = document_of[: len(gram)]
        whole = starts == document_of[order - 1 :][: len(gram)]
        keys, count = _runs(starts[whole] * size + gram[whole])
        yield GramCounts(keys // size, keys % size, count, size)


def lookup(keys: IntArray, values: IntArray, wanted: IntArray) -> IntArray:
    """``values`` at each wanted key, 0 where ``keys`` (sorted) does not hold it."""
    if len(keys) == 0:
        return np.zeros(len(wanted), dtype=np.int64)
    at = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
    return np.where(keys[at] == wanted, values[at], 0)


def _runs(keys: IntArray) -> tuple[IntArray, IntArray]:
    """The distinct keys, ascending, and how often each occurs."""
    # The stable sort is a merge sort: fast here, where the documents are in order already.
    keys = np.sort(keys, kind="stable")
    starts = np.flatnonzero(np.diff(keys, prepend=-1))
    return keys[starts], np.diff(starts, append=len(keys))
