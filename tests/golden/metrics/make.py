"""Freezes what independent libraries say about small cases.

    python -m tests.golden.metrics.make

Writes ``vectors.json`` beside this file: for each case the metric, the columns, and the value that
somebody else's code gives (or, where ``source`` says "by hand", a value worked out on paper). The
versions of the libraries are in the file. The tests read it without those libraries.
"""

from __future__ import annotations

import importlib.metadata
import json
import math
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jiwer
from anls import anls_score
from codebleu import calc_codebleu
from nltk.tokenize import NLTKWordTokenizer
from nltk.translate.bleu_score import SmoothingFunction, sentence_bleu
from pycocoevalcap.bleu.bleu import Bleu
from pycocoevalcap.cider.cider import Cider
from rouge_score.rouge_scorer import RougeScorer
from sklearn import metrics as sklearn
from sklearn.metrics import f1_score
from sklearn.preprocessing import MultiLabelBinarizer

VECTORS = Path(__file__).with_name("vectors.json")
LIBRARIES = ("nltk", "rouge_score", "pycocoevalcap", "jiwer", "anls", "scikit-learn", "codebleu")

SENTENCES = [
    "The cat is on the mat.",
    "A man, riding a horse, jumps over the fence!",
    "cannot say",
    "Zwölf Boxkämpfer jagen Viktor quer über den Sylter Deich",
    'he said "don\'t" and left (quickly)',
    "one",
    "",
    "今天 天气 很 好",
]
SENTENCE_REFERENCES = [
    ["There is a cat on the mat.", "the cat sat on the mat"],
    ["A man on a horse jumps over a fence.", "A rider jumps the fence!"],
    ["I cannot say that"],
    ["Zwölf Boxkämpfer jagen Eva quer durch den Deich"],
    ['he said "don\'t" and went away (quickly)'],
    ["one", "one two"],
    ["something"],
    ["今天 天气 不错", "今天 很 好"],
]
LABELS = ["Cat", "dog", "bird", "dog", "cat ", "fish", "bird"]
LABEL_REFERENCES = [["cat"], ["dog"], ["bird"], ["cat"], ["cat"], ["dog"], ["dog"]]
SETS = ["a<p>b", "B", "c<p>d<p>e", ""]
SET_REFERENCES = [["A<p>B<p>C"], ["b"], ["d"], ["a"]]
NUMBERS = [1.0, 2.5, -3.0, 10.0]
NUMBER_REFERENCES = [[1.5], [2.0], [-1.0], [7.0]]
CODE = ["def add(a, b):\n    total = a + b\n    return total", "x = 1\nprint(x)"]
CODE_REFERENCES = [["def add(x, y):\n    return x + y"], ["y = 2\nprint(y)\n"]]


def bleu_1() -> float:
    tokenize = NLTKWordTokenizer().tokenize
    smooth = SmoothingFunction().method4
    scores = [
        max(
            float(
                sentence_bleu(
                    [tokenize(reference.lower())],
                    tokenize(prediction.lower()),
                    (1, 0, 0, 0),
                    smoothing_function=smooth,
                )
            )
            for reference in accepted
        )
        for prediction, accepted in zip(SENTENCES, SENTENCE_REFERENCES, strict=True)
    ]
    return 100 * math.fsum(scores) / len(scores)


def rouge(kind: str) -> float:
    scorer = RougeScorer([kind], use_stemmer=True)
    scores = [
        max(scorer.score(reference, prediction)[kind].fmeasure for reference in accepted)
        for prediction, accepted in zip(SENTENCES, SENTENCE_REFERENCES, strict=True)
    ]
    return 100 * math.fsum(scores) / len(scores)


def corpus_bleu(order: int) -> float:
    given = {item: [text.lower()] for item, text in enumerate(SENTENCES)}
    wanted = {
        item: [text.lower() for text in texts] for item, texts in enumerate(SENTENCE_REFERENCES)
    }
    return float(100 * Bleu(order).compute_score(wanted, given, verbose=0)[0][order - 1])


CAPTIONS = ["a cat sits on a mat", "two dogs run", "a red bus", "children play in the park"]
CAPTION_REFERENCES = [
    ["a cat is on a mat", "the cat sits on the mat"],
    ["two dogs are running", "two dogs run fast"],
    ["a red double decker bus", "a bus"],
    ["children are playing in a park", "kids play in the park"],
]


def cider() -> float:
    given = {item: [text] for item, text in enumerate(CAPTIONS)}
    wanted = dict(enumerate(CAPTION_REFERENCES))
    return float(100 * Cider().compute_score(wanted, given)[0])


TRANSCRIPTS = ["the cat sat", "hello big world", "one two three four", "yes"]
TRANSCRIPT_REFERENCES = [["the cat sat down"], ["hello world"], ["one two three four"], ["no"]]


def wer() -> float:
    rates = [
        jiwer.wer(accepted[0], prediction)
        for prediction, accepted in zip(TRANSCRIPTS, TRANSCRIPT_REFERENCES, strict=True)
    ]
    return 100 * math.fsum(rates) / len(rates)


READINGS = ["Invoice  42", "total: 13.50", "", "ACME Corp", "xyz"]
READING_REFERENCES = [
    ["invoice 42"],
    ["Total: 13.58"],
    ["a"],
    ["Acme Corporation", "acme corp."],
    ["abc"],
]


def readings() -> float:
    scores = [
        anls_score(prediction=prediction, gold_labels=accepted)
        for prediction, accepted in zip(READINGS, READING_REFERENCES, strict=True)
    ]
    return 100 * math.fsum(scores) / len(scores)


def of_labels(score: Callable[[list[str], list[str]], float]) -> float:
    true = [accepted[0] for accepted in LABEL_REFERENCES]
    return float(100 * score(true, [label.strip().lower() for label in LABELS]))


def micro_f1() -> float:
    def sets(column: list[str]) -> list[list[str]]:
        return [[label for label in text.lower().split("<p>") if label] for text in column]

    binary = MultiLabelBinarizer(classes=list("abcde"))
    true = binary.fit_transform(sets([accepted[0] for accepted in SET_REFERENCES]))
    return float(100 * f1_score(true, binary.transform(sets(SETS)), average="micro"))


def code() -> float:
    return float(100 * calc_codebleu(CODE_REFERENCES, CODE, "python")["codebleu"])


def main() -> None:
    true = [accepted[0] for accepted in NUMBER_REFERENCES]
    text = (SENTENCES, SENTENCE_REFERENCES)
    rows: list[tuple[str, tuple[list[Any], list[list[Any]]], float, str]] = [
        ("bleu-1", text, bleu_1(), "nltk"),
        ("bleu-1-corpus", text, corpus_bleu(1), "pycocoevalcap"),
        ("bleu-4-corpus", text, corpus_bleu(4), "pycocoevalcap"),
        ("rouge-1", text, rouge("rouge1"), "rouge_score"),
        ("rouge-l", text, rouge("rougeL"), "rouge_score"),
        ("cider", (CAPTIONS, CAPTION_REFERENCES), cider(), "pycocoevalcap"),
        ("wer", (TRANSCRIPTS, TRANSCRIPT_REFERENCES), wer(), "jiwer"),
        ("anls", (READINGS, READING_REFERENCES), readings(), "anls"),
        ("accuracy", (LABELS, LABEL_REFERENCES), of_labels(sklearn.accuracy_score), "scikit-learn"),
        (
            "macro-accuracy",
            (LABELS, LABEL_REFERENCES),
            of_labels(
                lambda t, p: sklearn.recall_score(t, p, labels=sorted(set(t)), average="macro")
            ),
            "scikit-learn",
        ),
        (
            "weighted-f1",
            (LABELS, LABEL_REFERENCES),
            of_labels(lambda t, p: sklearn.f1_score(t, p, average="weighted")),
            "scikit-learn",
        ),
        ("micro-f1", (SETS, SET_REFERENCES), micro_f1(), "scikit-learn"),
        ("codebleu", (CODE, CODE_REFERENCES), code(), "codebleu"),
        (
            "mae",
            (NUMBERS, NUMBER_REFERENCES),
            sklearn.mean_absolute_error(true, NUMBERS),
            "scikit-learn",
        ),
        (
            "mse",
            (NUMBERS, NUMBER_REFERENCES),
            sklearn.mean_squared_error(true, NUMBERS),
            "scikit-learn",
        ),
        (
            "rmse",
            (NUMBERS, NUMBER_REFERENCES),
            sklearn.root_mean_squared_error(true, NUMBERS),
            "scikit-learn",
        ),
        # 2 * 2 / (3 + 4): "a" is kept, one of two "cat" is common.
        (
            "token-f1",
            (["a cat cat", "dog"], [["a cat on mat"], ["no"]]),
            100 * (4 / 7) / 2,
            "by hand",
        ),
        ("exact-match", (["The 2 chairs.", "left"], [["two chairs"], ["right"]]), 50.0, "by hand"),
        ("contains-accuracy", (["go north", "No, never"], [["no"], ["no"]]), 50.0, "by hand"),
        ("recall-at-k", ([["x", "b"], ["q"]], [["a", "b"], ["a"]]), 25.0, "by hand"),
    ]
    content = {
        "versions": {name: importlib.metadata.version(name) for name in LIBRARIES},
        "cases": [
            {
                "metric": metric,
                "predictions": predictions,
                "references": references,
                "value": float(value),
                "source": source,
            }
            for metric, (predictions, references), value, source in rows
        ],
    }
    VECTORS.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    main()
