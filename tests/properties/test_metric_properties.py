"""What must hold for every column: bounds, perfection, order, form; and skipping never pays."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.grader.metrics.table import TEXT_METRICS

SETTINGS = settings(max_examples=60, deadline=None)

WORDS = st.sampled_from(
    ["cat", "dog", "red", "three", "runs", "x1", "no", "yes", "über", "猫", "b."]
)
TEXTS = st.lists(WORDS, max_size=7).map(" ".join) | st.text(max_size=8)
#: Sentences long enough for every order of n-grams, in an alphabet that every tokenizer knows.
SENTENCES = st.lists(
    st.sampled_from(["cat", "dog", "red", "old", "ran", "sat"]), min_size=6, max_size=9
).map(" ".join)

HIGHER_IS_BETTER = [
    *("accuracy", "macro-accuracy", "exact-match", "contains-accuracy", "micro-f1", "token-f1"),
    *("weighted-f1", "bleu-1", "bleu-1-corpus", "bleu-4-corpus", "rouge-1", "rouge-l", "anls"),
]
BOUNDED = [*HIGHER_IS_BETTER, "codebleu"]
#: Metrics in which dropping any answer whatever cannot help.
NEVER_PAYS = [
    name for name in HIGHER_IS_BETTER if name not in {"micro-f1", "bleu-1-corpus", "bleu-4-corpus"}
]


def columns(texts, size=(2, 6), missing=True):
    """Aligned predictions (some missing) and one or two references each."""
    answer = st.none() | texts if missing else texts
    item = st.tuples(answer, st.lists(texts, min_size=1, max_size=2))
    return st.lists(item, min_size=size[0], max_size=size[1]).map(
        lambda items: ([p for p, _ in items], [r for _, r in items])
    )


def value(metric, predictions, references, **options):
    return TEXT_METRICS[metric].function(predictions, references, **options).value


@pytest.mark.parametrize("metric", BOUNDED)
@SETTINGS
@given(column=columns(TEXTS))
def test_a_percentage_stays_within_0_and_100(metric, column):
    result = TEXT_METRICS[metric].function(*column)

    assert 0 <= result.value <= 100  # exactly: the ledger refuses what lies outside
    assert result.stderr is None or result.stderr >= 0
    if result.per_sample is not None:
        assert result.per_sample.shape == (result.n,)
        assert ((result.per_sample >= 0) & (result.per_sample <= 100)).all()
    assert result.missing == sum(prediction is None for prediction in column[0])


@pytest.mark.parametrize("metric", [*HIGHER_IS_BETTER, "wer"])
@SETTINGS
@given(texts=st.lists(SENTENCES, min_size=2, max_size=5), others=st.lists(SENTENCES, max_size=2))
def test_the_references_themselves_score_best(metric, texts, others):
    references = [[text, *others] for text in texts]

    best = 0 if metric == "wer" else 100

    assert value(metric, texts, references) == pytest.approx(best)


@SETTINGS
@given(column=columns(SENTENCES))
def test_cider_stays_within_0_and_1000(column):
    assert 0 <= value("cider", *column) <= 1000
    assert 0 <= value("cider", [accepted[0] for accepted in column[1]], column[1]) <= 1000


@pytest.mark.parametrize("metric", [*BOUNDED, "wer", "cider"])
@SETTINGS
@given(column=columns(TEXTS), data=st.data())
def test_the_order_of_the_items_does_not_matter(metric, column, data):
    order = data.draw(st.permutations(range(len(column[0]))))
    shuffled = [[side[position] for position in order] for side in column]

    assert value(metric, *shuffled) == pytest.approx(value(metric, *column), abs=1e-9)


@pytest.mark.parametrize("metric", [*HIGHER_IS_BETTER, "wer", "cider"])
@SETTINGS
@given(column=columns(SENTENCES, missing=False))
def test_case_and_spacing_do_not_matter(metric, column):
    predictions, references = column
    odd = [f"  {text.upper().replace(' ', '  ')} " for text in predictions]

    assert value(metric, odd, references) == pytest.approx(value(metric, predictions, references))


@pytest.mark.parametrize("metric", NEVER_PAYS)
@SETTINGS
@given(column=columns(TEXTS), data=st.data())
def test_dropping_an_answer_never_pays(metric, column, data):
    predictions, references = column
    dropped = list(predictions)
    dropped[data.draw(st.integers(0, len(predictions) - 1))] = None

    assert value(metric, dropped, references) <= value(metric, predictions, references) + 1e-9


LABELS = st.lists(st.sampled_from(["a1", "b1", "c1", "d1"]), min_size=1, max_size=3, unique=True)


@SETTINGS
@given(items=st.lists(st.tuples(LABELS, LABELS), min_size=1, max_size=6), data=st.data())
def test_dropping_a_label_set_of_the_references_size_never_pays(items, data):
    predictions = [answer[: len(wanted)] for answer, wanted in items]
    references = [[wanted] for _, wanted in items]
    at = data.draw(st.integers(0, len(items) - 1))
    dropped, emptied = list(predictions), list(predictions)
    dropped[at], emptied[at] = None, []

    skipped = value("micro-f1", dropped, references)

    assert skipped <= value("micro-f1", predictions, references) + 1e-9
    assert skipped <= value("micro-f1", emptied, references) + 1e-9


@SETTINGS
@given(
    items=st.lists(st.tuples(st.none() | SENTENCES, SENTENCES), min_size=1, max_size=6),
    data=st.data(),
)
def test_dropping_a_sentence_no_longer_than_its_reference_never_pays(items, data):
    references = [[wanted] for _, wanted in items]
    predictions = [
        None if answer is None else " ".join(answer.split()[: len(wanted.split())])
        for answer, wanted in items
    ]
    dropped = list(predictions)
    dropped[data.draw(st.integers(0, len(items) - 1))] = None

    # BLEU-4 without a match of four words is the oracle's 1e-15 to the power 1/4, not quite 0.
    for metric, tolerance in (("bleu-1-corpus", 1e-9), ("bleu-4-corpus", 0.01)):
        answered = value(metric, predictions, references)
        assert value(metric, dropped, references) <= answered + tolerance


@SETTINGS
@given(column=columns(TEXTS, missing=False), data=st.data())
def test_a_missing_transcript_is_an_empty_one(column, data):
    predictions, references = column
    references = [[f"{text} word" for text in accepted] for accepted in references]
    at = data.draw(st.integers(0, len(predictions) - 1))
    dropped, emptied = list(predictions), list(predictions)
    dropped[at], emptied[at] = None, ""

    assert value("wer", dropped, references) == pytest.approx(value("wer", emptied, references))


NUMBERS = st.floats(-1e6, 1e6)


@pytest.mark.parametrize("metric", ["mae", "mse", "rmse"])
@SETTINGS
@given(
    items=st.lists(
        st.tuples(st.none() | NUMBERS, st.lists(NUMBERS, min_size=1, max_size=2)),
        min_size=1,
        max_size=6,
    ),
    share=st.floats(0, 1),
    data=st.data(),
)
def test_dropping_a_guess_within_the_references_range_never_pays(metric, items, share, data):
    predictions = [answer for answer, _ in items]
    references = [accepted for _, accepted in items]
    lowest, highest = min(map(min, references)), max(map(max, references))
    at = data.draw(st.integers(0, len(items) - 1))
    guessed, dropped = list(predictions), list(predictions)
    guessed[at], dropped[at] = min(lowest + share * (highest - lowest), highest), None

    answered = value(metric, guessed, references)

    assert value(metric, dropped, references) >= answered * (1 - 1e-9)


@pytest.mark.parametrize("metric", ["mae", "mse", "rmse"])
@SETTINGS
@given(
    items=st.lists(
        st.integers(1, 3).flatmap(
            lambda length: st.tuples(
                st.none() | st.lists(NUMBERS, min_size=length, max_size=length),
                st.lists(NUMBERS, min_size=length, max_size=length),
            )
        ),
        min_size=1,
        max_size=5,
    ),
    data=st.data(),
)
def test_errors_do_not_depend_on_order_and_dropping_a_series_never_pays(metric, items, data):
    references = [[wanted] for _, wanted in items]
    numbers = np.concatenate([wanted for _, wanted in items])
    predictions = [
        None if answer is None else list(np.clip(answer, numbers.min(), numbers.max()))
        for answer, _ in items
    ]
    dropped = list(predictions)
    dropped[data.draw(st.integers(0, len(items) - 1))] = None

    answered = value(metric, predictions, references)

    assert value(metric, predictions[::-1], references[::-1]) == pytest.approx(answered)
    assert value(metric, dropped, references) >= answered * (1 - 1e-9)
