"""The text metrics against plain calls of the libraries that published scores came from.

    python -m tests.benchmarks.bench_text_metrics [--pairs 10000]

Both sides score the same pairs in one run and one process; the table prints seconds, the ratio, and
the largest difference between the scores of one item (in percent points). "published" is the way of
the published General-Level scorer (four BLEU orders per pair; all three ROUGE measures per pair),
"plain" the least that the library can be asked for.
"""

from __future__ import annotations

import argparse
import functools
import random
import time
import warnings
from collections.abc import Callable, Sequence

import jiwer
import numpy as np
from nltk.tokenize import NLTKWordTokenizer, word_tokenize
from nltk.translate.bleu_score import SmoothingFunction, sentence_bleu
from numpy.typing import NDArray
from rouge_score.rouge_scorer import RougeScorer

from services.grader.metrics.table import TEXT_METRICS

SEED = 20241201
VOCABULARY = 12_000
WORDS_PER_TEXT = (24, 36)
#: Chance that a word of the reference is another one in the prediction.
CHANGED = 0.3

Pairs = tuple[list[str], list[str]]


def make_pairs(count: int, *, punctuation: bool = True) -> Pairs:
    """Predictions and references of about 30 words with Zipf's frequencies, some punctuation."""
    rng = random.Random(SEED)
    letters = "etaoinshrdlucmfwypvbgk"
    vocabulary = [
        "".join(rng.choices(letters, range(len(letters), 0, -1), k=rng.randint(2, 10)))
        for _ in range(VOCABULARY)
    ]
    weights = [1 / (rank + 1) for rank in range(VOCABULARY)]

    def dress(word: str) -> str:
        chance = rng.random()
        if not punctuation or chance > 0.12:
            return word
        return (word + ",", word + "'s", f'"{word}"', f"({word})", "don't", "cannot")[
            int(chance * 50)
        ]

    predictions, references = [], []
    for _ in range(count):
        words = rng.choices(vocabulary, weights, k=rng.randint(*WORDS_PER_TEXT))
        reference = [dress(word) for word in words]
        prediction = [
            dress(rng.choice(vocabulary)) if rng.random() < CHANGED else word for word in reference
        ]
        end = "." if punctuation else ""
        references.append(" ".join(reference) + end)
        predictions.append(" ".join(prediction) + end)
    return predictions, references


def ours(metric: str, pairs: Pairs) -> NDArray[np.float64]:
    """The values per item of one of our metrics."""
    predictions, references = pairs
    accepted = [[reference] for reference in references]
    samples = TEXT_METRICS[metric].function(predictions, accepted).per_sample
    assert samples is not None
    return np.asarray(samples)


def bleu_published(pairs: Pairs) -> list[float]:
    """Four smoothed sentence BLEUs per pair on Treebank tokens, the first one kept."""
    return _four_bleus(pairs, NLTKWordTokenizer().tokenize)


def bleu_published_without_data(pairs: Pairs) -> list[float]:
    """The same where NLTK's sentence data are not installed: a failed look-up, then spaces."""

    def tokenize(text: str) -> list[str]:
        try:
            return list(word_tokenize(text))
        except LookupError:
            return text.split()

    return _four_bleus(pairs, tokenize)


def _four_bleus(pairs: Pairs, tokenize: Callable[[str], list[str]]) -> list[float]:
    smoothing = SmoothingFunction().method4
    scores = []
    for prediction, reference in zip(*pairs, strict=True):
        given, wanted = tokenize(prediction), [tokenize(reference)]
        four = [
            sentence_bleu(wanted, given, weights=weights, smoothing_function=smoothing)
            for weights in ((1, 0, 0, 0), (0, 1, 0, 0), (0, 0, 1, 0), (0, 0, 0, 1))
        ]
        scores.append(100 * float(four[0]))
    return scores


def bleu_plain(pairs: Pairs) -> list[float]:
    """One BLEU-1 per pair on Treebank tokens."""
    tokenize = NLTKWordTokenizer().tokenize
    smoothing = SmoothingFunction().method4
    return [
        100
        * float(
            sentence_bleu(
                [tokenize(reference)], tokenize(prediction), (1,), smoothing_function=smoothing
            )
        )
        for prediction, reference in zip(*pairs, strict=True)
    ]


def rouge_published(pairs: Pairs) -> list[float]:
    """ROUGE-1, -2 and -L with the stemmer for each pair, the last one kept."""
    return _rouge(pairs, ["rouge1", "rouge2", "rougeL"])


def rouge_plain(pairs: Pairs) -> list[float]:
    """ROUGE-L alone."""
    return _rouge(pairs, ["rougeL"])


def _rouge(pairs: Pairs, kinds: Sequence[str]) -> list[float]:
    scorer = RougeScorer(kinds, use_stemmer=True)
    return [
        100 * scorer.score(reference, prediction)["rougeL"].fmeasure
        for prediction, reference in zip(*pairs, strict=True)
    ]


def wer_plain(pairs: Pairs) -> list[float]:
    """jiwer.wer, pair by pair, as a mean over files needs it."""
    return [
        100 * float(jiwer.wer(reference, prediction))
        for prediction, reference in zip(*pairs, strict=True)
    ]


def wer_list(pairs: Pairs) -> list[float]:
    """jiwer.wer over the whole lists: errors per reference word of the corpus, one figure."""
    predictions, references = pairs
    return [100 * float(jiwer.wer(references, predictions))]


def wer_pooled(pairs: Pairs) -> NDArray[np.float64]:
    """The same figure from our values per item."""
    words = np.array([len(reference.split()) for reference in pairs[1]])
    return np.array([(ours("wer", pairs) * words).sum() / words.sum()])


def seconds(
    call: Callable[[], Sequence[float] | NDArray[np.float64]], repeats: int
) -> tuple[float, NDArray[np.float64]]:
    """The least of some timings, and the result."""
    best = float("inf")
    result: Sequence[float] | NDArray[np.float64] = []
    for _ in range(repeats):
        start = time.perf_counter()
        result = call()
        best = min(best, time.perf_counter() - start)
    return best, np.asarray(result, dtype=np.float64)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=10_000, help="number of pairs to score")
    count = parser.parse_args().pairs
    warnings.simplefilter("ignore")
    pairs = make_pairs(count)
    bare = make_pairs(count, punctuation=False)
    rows: list[tuple[str, str, Pairs, Callable[[Pairs], list[float]]]] = [
        ("bleu-1", "nltk, published", pairs, bleu_published),
        ("bleu-1", "nltk, published, no data", pairs, bleu_published_without_data),
        ("bleu-1", "nltk, plain", pairs, bleu_plain),
        ("rouge-l", "rouge_score, published", pairs, rouge_published),
        ("rouge-l", "rouge_score, plain", pairs, rouge_plain),
        ("wer", "jiwer, each pair", bare, wer_plain),
        ("wer", "jiwer, whole lists", bare, wer_list),
    ]
    for *_, theirs in rows:  # imports and first-call set-up are not what is measured
        theirs(make_pairs(2))
    print(f"{count} pairs, about 30 words each; best of 6 (ours), one run (theirs)")
    print(f"{'metric':<9}{'against':<26}{'theirs s':>9}{'ours s':>9}{'ratio':>8}{'max diff':>11}")
    for metric, name, data, theirs in rows:
        score = wer_pooled if theirs is wer_list else functools.partial(ours, metric)
        # Ours before and after theirs: a burst of other load then slows both or neither.
        before, our_scores = seconds(functools.partial(score, data), 3)
        their_time, their_scores = seconds(functools.partial(theirs, data), 1)
        after, _ = seconds(functools.partial(score, data), 3)
        our_time = min(before, after)
        difference = float(np.abs(our_scores - their_scores).max())
        print(
            f"{metric:<9}{name:<26}{their_time:>9.2f}{our_time:>9.3f}"
            f"{their_time / our_time:>8.1f}{difference:>11.1e}"
        )


if __name__ == "__main__":
    main()
