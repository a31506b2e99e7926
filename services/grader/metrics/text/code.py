"""CodeBLEU for Python: n-grams, weighted n-grams, syntax subtrees and data flow, a quarter each.

S. Ren et al., "CodeBLEU: a method for automatic evaluation of code synthesis", arXiv 2009.10297.
The parser, the token weights and the data-flow rules are those of the package ``codebleu`` 0.7.0
with the Python grammar; the sums over the corpus are made here, because the package

* turns a data-flow score of 0 into 1, so that a program with the wrong data flow gains a quarter;
* orders the variables of a data-flow edge by a set of strings, so that a quarter of all functions
  score differently in two processes. Here they are ordered by their place in the program.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import codebleu
import numpy as np
from codebleu import bleu, weighted_ngram_match
from codebleu.parser import (
    DFG_python,
    index_to_code_token,
    remove_comments_and_docstrings,
    tree_to_token_index,
)
from codebleu.utils import get_tree_sitter_language
from numpy.typing import NDArray
from tree_sitter import Node, Parser

from services.grader.metrics.result import (
    PERCENT,
    MetricResult,
    check_columns,
    count_missing,
    jackknife_stderr,
)

# The package says py.typed and leaves its functions without annotations.
_clipped_precision: Callable[..., Any] = bleu.modified_precision
_closest_length: Callable[..., Any] = bleu.closest_ref_length
_weighted_recall: Callable[..., Any] = weighted_ngram_match.modified_recall
_strip_comments: Callable[..., Any] = remove_comments_and_docstrings
_token_places: Callable[..., Any] = tree_to_token_index
_token_at_place: Callable[..., Any] = index_to_code_token
_edges_of: Callable[..., Any] = DFG_python

ORDERS = 4
#: What an n-gram order without a match counts as (smoothing method 1 of Chen and Cherry, 2014).
EPSILON = 0.1
#: The weight of a token that is no keyword of the language.
PLAIN_TOKEN_WEIGHT = 0.2

_LANGUAGE = "python"
_NGRAMS, _WEIGHTED = slice(0, 2 * ORDERS), slice(2 * ORDERS, 4 * ORDERS)
_LENGTH, _CLOSEST, _NOMINAL, _SYNTAX, _FLOW = (4 * ORDERS + at for at in (0, 1, 2, 3, 5))
#: Columns of the table of counts: per order matched and total n-grams, the same weighted, the
#: lengths of the prediction, of its closest reference and the nominal one, subtrees, data-flow
#: edges.
_COLUMNS = 4 * ORDERS + 7
#: The reference length in the weighted part's brevity penalty. The published implementations take
#: the length of the pair (tokens, weights) there; a recall needs no penalty, so nothing is lost.
NOMINAL_LENGTH = 2

Edge = tuple[str, str, tuple[str, ...]]
_Shape = tuple[str, tuple[tuple[str | None, int], ...]]


@dataclass(frozen=True, slots=True)
class _Program:
    """What one program is compared by."""

    tokens: list[str]
    subtrees: list[int]
    flow: list[Edge]


def codebleu_python(
    predictions: Sequence[str | None], references: Sequence[Sequence[str]]
) -> MetricResult:
    """Corpus CodeBLEU of Python programs in percent, 0..100; all references of an item are used.

    Programs are compared as they are, white space at the ends removed: a Markdown fence is part of
    the answer. Where no reference of the key has a data flow, the other three parts count a third
    each (0/0); a prediction without one scores 0 in that part. A program that does not parse is
    compared by what the error-tolerant parser finds; an exception is raised, never scored. A
    missing item is an empty program, or in the n-gram precision a wrong one of its reference's
    length where that is worse. The standard error is the delete-one jackknife.
    """
    n = check_columns(predictions, references)
    read = functools.cache(_reader())
    empty = np.zeros((n, _COLUMNS))
    wrong = np.zeros((n, _COLUMNS))
    for item, prediction in enumerate(predictions):
        accepted = [read(reference) for reference in references[item]]
        empty[item] = wrong[item] = _counts(read(prediction or ""), accepted)
        if prediction is None:
            longest = max(len(program.tokens) for program in accepted)
            wrong[item, 1 : 2 * ORDERS : 2] = [max(longest - k, 1) for k in range(ORDERS)]
            wrong[item, [_LENGTH, _CLOSEST]] = longest

    totals, wrong_totals = empty.sum(axis=0), wrong.sum(axis=0)
    ngrams = min(
        (empty, totals), (wrong, wrong_totals), key=lambda pair: float(_ngram_part(pair[1]))
    )
    return MetricResult(
        value=float(_score(ngrams[1], totals)),
        n=n,
        stderr=jackknife_stderr(_score(ngrams[1] - ngrams[0], totals - empty)),
        per_sample=None,
        missing=count_missing(predictions),
    )


def _score(ngrams: NDArray[np.float64], counts: NDArray[np.float64]) -> NDArray[np.float64]:
    """CodeBLEU in percent of tables of counts [..., columns]; ``ngrams`` for the first part."""
    parts = [
        _ngram_part(ngrams),
        _bleu(counts[..., _WEIGHTED], counts[..., _LENGTH], counts[..., _NOMINAL]),
        counts[..., _SYNTAX] / np.maximum(counts[..., _SYNTAX + 1], 1),
    ]
    edges = counts[..., _FLOW + 1]
    without = np.mean(parts, axis=0)
    flow = counts[..., _FLOW] / np.maximum(edges, 1)
    share = np.where(edges > 0, (3 * without + flow) / 4, without)
    return np.asarray(PERCENT * np.minimum(share, 1.0))  # sums of fractions can round above 1


def _ngram_part(counts: NDArray[np.float64]) -> NDArray[np.float64]:
    return _bleu(counts[..., _NGRAMS], counts[..., _LENGTH], counts[..., _CLOSEST])


def _bleu(
    ngrams: NDArray[np.float64], length: NDArray[np.float64], closest: NDArray[np.float64]
) -> NDArray[np.float64]:
    """BLEU in [0, 1] from matched and total counts, interleaved by order; 0 without a match."""
    matched, total = ngrams[..., 0::2], np.maximum(ngrams[..., 1::2], EPSILON)
    precision = np.where(matched > 0, matched, EPSILON) / total
    penalty = np.where(
        length > closest, 1.0, np.exp(1 - closest / np.maximum(length, 1)) * (length > 0)
    )
    bleu_value = penalty * np.exp(np.log(precision).mean(axis=-1))
    return np.asarray(np.where(matched[..., 0] > 0, bleu_value, 0.0))


def _counts(candidate: _Program, accepted: list[_Program]) -> NDArray[np.float64]:
    """One row of the table of counts."""
    row = np.zeros(_COLUMNS)
    token_lists = [program.tokens for program in accepted]
    weighted = [(tokens, _token_weights(tokens)) for tokens in token_lists]
    for order in range(1, ORDERS + 1):
        at = 2 * (order - 1)
        row[at : at + 2] = _clipped_precision(token_lists, candidate.tokens, order)
        at += 2 * ORDERS
        row[at : at + 2] = _weighted_recall(weighted, candidate.tokens, order)
    row[_LENGTH] = len(candidate.tokens)
    row[_NOMINAL] = NOMINAL_LENGTH
    row[_CLOSEST] = _closest_length(token_lists, len(candidate.tokens))
    present = set(candidate.subtrees)
    for program in accepted:
        row[_SYNTAX] += sum(subtree in present for subtree in program.subtrees)
        row[_SYNTAX + 1] += len(program.subtrees)
        left = list(candidate.flow)
        for edge in program.flow:
            if edge in left:
                left.remove(edge)
                row[_FLOW] += 1
        row[_FLOW + 1] += len(program.flow)
    return row


@functools.cache
def _keywords() -> frozenset[str]:
    path = Path(codebleu.__file__).parent / "keywords" / f"{_LANGUAGE}.txt"
    return frozenset(line.strip() for line in path.read_text(encoding="utf-8").splitlines())


def _token_weights(tokens: list[str]) -> dict[str, float]:
    keywords = _keywords()
    return {token: 1.0 if token in keywords else PLAIN_TOKEN_WEIGHT for token in tokens}


def _reader() -> Callable[[str], _Program]:
    parser = Parser()
    parser.language = get_tree_sitter_language(_LANGUAGE)

    shapes: dict[_Shape, int] = {}

    def read(text: str) -> _Program:
        # JSON can carry lone surrogates, which no parser accepts.
        source = text.strip().encode("utf-8", "replace").decode("utf-8")
        code = _without_comments(source)
        root = parser.parse(code.encode("utf-8")).root_node
        return _Program(source.split(), _subtrees(root, shapes), _data_flow(root, code))

    return read


def _without_comments(source: str) -> str:
    """The program without comments and docstrings; as it is where Python cannot tokenize it."""
    try:
        return str(_strip_comments(source, _LANGUAGE))
    except Exception:  # tokenize raises several types; the package's rule is to go on
        return source


def _subtrees(root: Node, shapes: dict[_Shape, int]) -> list[int]:
    """The shape numbers of the root and of all nodes that have children.

    Two nodes have one number exactly if their S-expressions are equal. Numbers instead of the
    expressions themselves, whose length over a deeply nested program grows with its square.
    """
    found: list[int] = []
    numbers: list[int] = []  # of finished nodes whose parent is open; later siblings lie deeper
    stack = [(root, False)]
    while stack:
        node, children_are_done = stack.pop()
        children = node.children
        if children and not children_are_done:
            stack.append((node, True))
            stack += [(child, False) for child in children]
            continue
        shown = []
        for index, child in enumerate(children):
            number = numbers.pop()
            if child.is_named or child.is_missing:
                shown.append((node.field_name_for_child(index), number))
        leaf = str(node) if node.is_missing or (node.type == "ERROR" and not shown) else node.type
        numbers.append(shapes.setdefault((leaf, tuple(shown)), len(shapes)))
        if children or node == root:
            found.append(numbers[-1])
    return found


def _data_flow(root: Node, code: str) -> list[Edge]:
    """The edges "value comes from", variables renamed by the order of their appearance."""
    lines = code.split("\n")
    try:
        places = _token_places(root)
        token_at = [_token_at_place(place, lines) for place in places]
        table = {place: (index, token_at[index]) for index, place in enumerate(places)}
        edges, _ = _edges_of(root, table, {})
    except Exception:
        # The package's rule for a program that its walk cannot follow (broken, or nested too deep).
        return []
    edges = sorted(edges, key=lambda edge: edge[1])
    used = {edge[1] for edge in edges if edge[4]} | {place for edge in edges for place in edge[4]}
    used |= {edge[1] for edge in edges if edge[3]}
    sources: dict[int, tuple[str, str, set[int]]] = {}
    for name, place, relation, _, origins in edges:
        if place in used:
            sources.setdefault(place, (name, relation, set()))[2].update(origins)

    renamed: dict[str, str] = {}

    def rename(name: str) -> str:
        return renamed.setdefault(name, f"var_{len(renamed)}")

    flow = []
    for name, relation, origins in sources.values():
        names = dict.fromkeys(token_at[place] for place in sorted(origins))
        parents = tuple(rename(parent) for parent in names)
        flow.append((rename(name), relation, parents))
    return flow
