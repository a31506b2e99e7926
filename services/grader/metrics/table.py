"""Every metric of text-like answers: one explicit table from catalogue id to function."""

from __future__ import annotations

import enum
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from general_level.catalogue.model import AnswerKind
from services.grader.metrics.numbers.errors import mae, mse, rmse
from services.grader.metrics.result import MetricResult
from services.grader.metrics.text.accuracy import (
    accuracy,
    contains_accuracy,
    exact_match,
    macro_accuracy,
)
from services.grader.metrics.text.bleu import bleu_1, bleu_1_corpus, bleu_4_corpus
from services.grader.metrics.text.cider import cider
from services.grader.metrics.text.code import codebleu_python
from services.grader.metrics.text.edits import anls, wer
from services.grader.metrics.text.f1 import micro_f1, token_f1, weighted_f1
from services.grader.metrics.text.ranking import recall_at_k
from services.grader.metrics.text.rouge import rouge_1, rouge_l


class Pooling(enum.StrEnum):
    """How a metric's value follows from its items."""

    MEAN = "mean"  # value = mean(per_sample)
    QUADRATIC_MEAN = "quadratic-mean"  # value = sqrt(mean(per_sample ** 2))
    CORPUS = "corpus"  # from sums over all items; per_sample is None


@dataclass(frozen=True, slots=True)
class TextMetric:
    """One metric as the pipeline calls it: ``function(predictions, references, **options)``.

    ``kinds`` are the answer kinds whose columns it takes, ``options`` the keywords it knows.
    ``oracle`` names the independent implementation or published definition that the tests compare
    it with; ``normalisation`` says what is done to both sides, the same for every model.
    """

    id: str
    function: Callable[..., MetricResult]
    kinds: frozenset[AnswerKind]
    pooling: Pooling
    oracle: str
    normalisation: str
    options: frozenset[str] = frozenset()


_TEXT = frozenset({AnswerKind.TEXT, AnswerKind.LABEL})
_LABELS = frozenset({AnswerKind.TEXT, AnswerKind.LABEL, AnswerKind.LABELS})
_NUMBERS = frozenset({AnswerKind.NUMBER, AnswerKind.SERIES})
_UNIT = frozenset({"unit"})

_LABEL_FORM = (
    "NFKC, case-folded, runs of white space made one space, quotes, brackets, asterisks around the "
    "answer and clause ends (. , ; : ! ?) after it removed, unless nothing would be left."
)
_WORD_FORM = (
    "NFKC, case-folded, punctuation made space (apostrophes inside words dropped; decimal points "
    "and signs of numbers kept), each character of an unspaced script a word."
)
_NO_CREDIT = " An empty answer or a refusal is compared like any other answer, so it is wrong."
_ROUGE_FORM = (
    "Lower case, runs of a-z and 0-9, Porter stems; other scripts have no tokens, unless the task "
    "asks for characters: then those of the words without punctuation, of any script."
)
_NUMBER_FORM = "None: finite numbers as they are. A series of another length counts as missing."

_ALL = (
    TextMetric(
        "accuracy",
        accuracy,
        _TEXT,
        Pooling.MEAN,
        "scikit-learn accuracy_score on label ids",
        _LABEL_FORM
        + " Where the reference is one letter, the letter alone, in brackets, or closed by ) ] . :"
        " and followed by the choice's text is that letter." + _NO_CREDIT,
    ),
    TextMetric(
        "macro-accuracy",
        macro_accuracy,
        _TEXT,
        Pooling.CORPUS,
        "scikit-learn balanced_accuracy_score",
        "As accuracy; the first reference is the item's class." + _NO_CREDIT,
    ),
    TextMetric(
        "exact-match",
        exact_match,
        _TEXT,
        Pooling.MEAN,
        "hand-worked vectors after SQA3D's definition",
        _WORD_FORM + " Articles dropped, 0 to 10 spelled out." + _NO_CREDIT,
    ),
    TextMetric(
        "contains-accuracy",
        contains_accuracy,
        _TEXT,
        Pooling.MEAN,
        "hand-worked vectors",
        _WORD_FORM
        + " Whole words in sequence; a one-letter reference asks for the choice as in accuracy; an"
        " answer with both yes and no is neither." + _NO_CREDIT,
    ),
    TextMetric(
        "micro-f1",
        micro_f1,
        _LABELS,
        Pooling.CORPUS,
        "scikit-learn f1_score(average=micro) on binarised labels",
        'Split at "<p>" and commas, each label as in accuracy, repeated and empty labels dropped. A'
        " refusal is one wrong label, an empty answer the empty set.",
    ),
    TextMetric(
        "token-f1",
        token_f1,
        _TEXT,
        Pooling.MEAN,
        "hand-worked vectors after SQuAD's definition",
        _WORD_FORM + _NO_CREDIT,
        frozenset({"overlap"}),
    ),
    TextMetric(
        "weighted-f1",
        weighted_f1,
        _TEXT,
        Pooling.CORPUS,
        "scikit-learn f1_score(average=weighted)",
        "As accuracy, without the rule for letters. A refusal is no known class: a miss of its own"
        " class.",
    ),
    TextMetric(
        "bleu-1",
        bleu_1,
        _TEXT,
        Pooling.MEAN,
        "nltk sentence_bleu with SmoothingFunction.method4 on NLTKWordTokenizer tokens",
        "NFKC, lower case, Treebank word tokens, punctuation kept." + _NO_CREDIT,
        _UNIT,
    ),
    TextMetric(
        "bleu-1-corpus",
        bleu_1_corpus,
        _TEXT,
        Pooling.CORPUS,
        "pycocoevalcap Bleu(1); sacrebleu corpus_score(tokenize=none)",
        "NFKC, lower case, tokens between white space." + _NO_CREDIT,
        _UNIT,
    ),
    TextMetric(
        "bleu-4-corpus",
        bleu_4_corpus,
        _TEXT,
        Pooling.CORPUS,
        "pycocoevalcap Bleu(4)",
        "NFKC, lower case, tokens between white space." + _NO_CREDIT,
        _UNIT,
    ),
    TextMetric(
        "rouge-1",
        rouge_1,
        _TEXT,
        Pooling.MEAN,
        "rouge_score RougeScorer(use_stemmer=True)",
        _ROUGE_FORM + _NO_CREDIT,
        _UNIT,
    ),
    TextMetric(
        "rouge-l",
        rouge_l,
        _TEXT,
        Pooling.MEAN,
        "rouge_score RougeScorer(use_stemmer=True)",
        _ROUGE_FORM + _NO_CREDIT,
        _UNIT,
    ),
    TextMetric(
        "cider",
        cider,
        _TEXT,
        Pooling.MEAN,
        "pycocoevalcap Cider",
        _WORD_FORM + _NO_CREDIT,
    ),
    TextMetric(
        "codebleu",
        codebleu_python,
        frozenset({AnswerKind.CODE, AnswerKind.TEXT}),
        Pooling.CORPUS,
        "codebleu 0.7.0 calc_codebleu, its two faults excepted",
        "White space at the ends removed; Markdown fences are part of the answer." + _NO_CREDIT,
    ),
    TextMetric(
        "anls",
        anls,
        _TEXT,
        Pooling.MEAN,
        "anls 0.0.2 anls_score",
        "NFKC, lower case, runs of white space made one space." + _NO_CREDIT,
        frozenset({"threshold"}),
    ),
    TextMetric(
        "wer",
        wer,
        _TEXT,
        Pooling.MEAN,
        "jiwer wer, per item",
        _WORD_FORM + " An empty answer is an empty transcript: 100.",
        _UNIT,
    ),
    TextMetric(
        "mae", mae, _NUMBERS, Pooling.MEAN, "scikit-learn mean_absolute_error", _NUMBER_FORM
    ),
    TextMetric("mse", mse, _NUMBERS, Pooling.MEAN, "scikit-learn mean_squared_error", _NUMBER_FORM),
    TextMetric(
        "rmse",
        rmse,
        _NUMBERS,
        Pooling.QUADRATIC_MEAN,
        "scikit-learn root_mean_squared_error",
        _NUMBER_FORM,
    ),
    TextMetric(
        "recall-at-k",
        recall_at_k,
        frozenset({AnswerKind.RANKING}),
        Pooling.MEAN,
        "hand-worked vectors",
        "Each answer as in accuracy, without the rule for letters." + _NO_CREDIT,
        frozenset({"k"}),
    ),
)

#: The metrics of text-like answers by catalogue id.
TEXT_METRICS: Mapping[str, TextMetric] = MappingProxyType({metric.id: metric for metric in _ALL})
