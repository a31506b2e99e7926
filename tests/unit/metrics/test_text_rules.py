"""What counts as the same answer, what a missing one costs, and faults that ours must not have."""

import subprocess
import sys

import numpy as np
import pytest

from general_level.catalogue.model import AnswerKind
from services.grader.metrics.result import MetricResult
from services.grader.metrics.table import TEXT_METRICS, Pooling
from services.grader.metrics.text.f1 import label_set
from services.grader.metrics.text.normalise import choice, exact, label, word_lines, words
from services.grader.metrics.text.treebank import split_column

IDS = (
    "accuracy macro-accuracy exact-match contains-accuracy micro-f1 token-f1 weighted-f1 bleu-1 "
    "bleu-1-corpus bleu-4-corpus rouge-1 rouge-l cider codebleu anls wer mae mse rmse recall-at-k"
)
TEXT_IDS = [name for name, metric in TEXT_METRICS.items() if AnswerKind.TEXT in metric.kinds]
REFUSALS = ["", "n/a", "N/A", "I cannot answer this question.", "unknown", "-"]


def run(metric, predictions, references, **options):
    return TEXT_METRICS[metric].function(predictions, references, **options)


def one(metric, prediction, *accepted, **options):
    """The value of one item; CIDEr and corpus metrics are tested elsewhere."""
    return run(metric, [prediction], [list(accepted)], **options).value


# --- the table --------------------------------------------------------------------------------


def test_the_table_has_exactly_the_catalogue_ids():
    assert list(TEXT_METRICS) == IDS.split()
    assert all(name == metric.id for name, metric in TEXT_METRICS.items())


def test_every_metric_states_its_oracle_and_its_normalisation():
    for metric in TEXT_METRICS.values():
        assert metric.oracle, metric.id
        assert metric.normalisation.endswith("."), metric.id


@pytest.mark.parametrize("metric", TEXT_METRICS)
def test_an_empty_key_is_refused(metric):
    with pytest.raises(ValueError, match="at least one item"):
        run(metric, [], [])


@pytest.mark.parametrize("metric", TEXT_METRICS)
def test_columns_of_different_lengths_are_refused(metric):
    with pytest.raises(ValueError, match="1 predictions for 2 items"):
        run(metric, [None], [["a"], ["b"]])


@pytest.mark.parametrize("metric", TEXT_METRICS)
def test_an_item_without_a_reference_is_refused(metric):
    with pytest.raises(ValueError, match="item 1 has no reference"):
        run(metric, [None, None], [["1"], []])


@pytest.mark.parametrize("metric", TEXT_METRICS)
def test_pooling_says_how_the_value_follows_from_the_items(metric):
    kinds = TEXT_METRICS[metric].kinds
    if AnswerKind.NUMBER in kinds:
        predictions, references = [1.0, 2.0, None], [[2.0], [2.0], [5.0]]
    elif AnswerKind.RANKING in kinds:
        predictions, references = [["a", "b"], ["x"], None], [["a"], ["b"], ["c"]]
    else:
        predictions = ["a = b + c", "the old dog runs", None]
        references = [["a = b + c"], ["the old cat runs"], ["three or four words"]]

    result = run(metric, predictions, references)

    assert result.n == 3
    assert result.missing == 1
    assert result.stderr > 0
    match TEXT_METRICS[metric].pooling:
        case Pooling.CORPUS:
            assert result.per_sample is None
        case Pooling.MEAN:
            assert result.value == pytest.approx(result.per_sample.mean())
        case Pooling.QUADRATIC_MEAN:
            assert result.value == pytest.approx(np.sqrt(np.mean(result.per_sample**2)))


def test_a_value_that_is_no_number_is_refused():
    with pytest.raises(ValueError, match="finite"):
        MetricResult(float("nan"), 1, None, None, 0)


def test_one_item_gives_no_standard_error():
    for metric in TEXT_IDS:
        if metric != "cider":
            assert run(metric, ["a"], [["a"]]).stderr is None, metric


def test_error_messages_carry_positions_and_no_answer():
    with pytest.raises(ValueError) as refused:  # noqa: PT011 - the text is what is tested
        run("accuracy", ["x", "y"], [["SECRET"], "SECRET"])
    assert "SECRET" not in str(refused.value)


# --- labels and choices -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "form"),
    [
        ("  Cat.  ", "cat"),
        ("“Cat”!", "cat"),
        ("ＣＡＴ", "cat"),
        ("Straße", "strasse"),
        ("the   red\ncat", "the red cat"),
        ("**cat**", "cat"),
        ("猫。", "猫"),
        ("-1", "-1"),
        (".5", ".5"),
        ("C++", "c++"),
        ("50%", "50%"),
        ("?", "?"),
        ("...", "..."),
        ("", ""),
    ],
)
def test_labels_compare_in_one_form(text, form):
    assert label(text) == form


@pytest.mark.parametrize(
    "text", ["A", "a", "(A)", "A.", "A)", "[A]", "A:", "**A**", "A) a cat", "(A) a cat", "A. B"]
)
def test_a_letter_may_be_dressed_and_followed_by_its_text(text):
    assert choice(text) == "a"
    assert one("accuracy", text, "A") == 100


@pytest.mark.parametrize("text", ["A cat", "Answer: A", "A or B", "A, B", "B) A", "AA", "e.g. A"])
def test_other_texts_are_not_the_letter(text):
    assert one("accuracy", text, "A") == 0


def test_a_letter_and_its_text_are_a_choice_only_where_the_reference_is_a_letter():
    assert one("accuracy", "A. Smith", "A. Jones") == 0
    assert one("accuracy", "a) cat", "cat") == 0


def test_a_reference_of_signs_only_is_not_an_empty_answer():
    assert one("accuracy", "", "?") == 0
    assert one("accuracy", "?", "?") == 100


def test_any_accepted_answer_counts():
    assert one("accuracy", "feline", "cat", "Feline") == 100


@pytest.mark.parametrize(
    ("text", "cleaned"),
    [
        ("The two chairs.", "two chairs"),
        ("2 chairs", "two chairs"),
        ("on   the LEFT", "on left"),
        ("it's", "its"),
        ("the", "the"),
        ("猫", "猫"),
        ("", ""),
    ],
)
def test_exact_match_cleans_like_sqa3d(text, cleaned):
    assert exact(text) == cleaned


def test_exact_match_keeps_other_scripts_apart():
    assert one("exact-match", "狗", "猫") == 0
    assert one("exact-match", "12", "13") == 0


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("don't stop-now", ["dont", "stop", "now"]),
        ("3.5 and 1,000", ["3\x015", "and", "1\x01000"]),
        ("-5, a-5", ["\x025", "a", "5"]),
        ("今天 好a", ["今", "天", "好", "a"]),
        ("C++ & $5", ["c++", "$5"]),
        ("e\u0301te\u0301", ["été"]),
        ("x\x01y", ["x", "y"]),
    ],
)
def test_words(text, expected):
    assert words(text) == expected


def test_a_column_of_words_is_its_texts_words():
    texts = ["a\nb", "", "don't", "3.5\n", "\n", "é'a x", "\x01", "'q' -1"]

    lines = word_lines(texts).split("\n")

    assert [[word for word in line.split(" ") if word] for line in lines] == list(map(words, texts))


@pytest.mark.parametrize(
    ("answer", "reference", "right"),
    [
        ("go north", "no", False),
        ("a piano", "no", False),
        ("No, it is not.", "no", True),
        ("yes and no", "no", False),
        ("it costs 3.5", "3", False),
        ("it is -5", "5", False),
        ("a cat", "a", False),
        ("(A) cat", "A", True),
        ("the Red  Fox!", "red fox", True),
        ("red big fox", "red fox", False),
        ("答案是猫", "猫", True),
        ("anything", "?", False),
        ("anything", "", False),
        ("", "", True),
    ],
)
def test_contains_means_whole_words(answer, reference, right):
    assert one("contains-accuracy", answer, reference) == (100 if right else 0)


# --- label sets -------------------------------------------------------------------------------


def test_a_label_set_is_the_same_in_every_writing():
    expected = frozenset({"red", "deep sea"})

    assert label_set("Red<p>deep  sea") == expected
    assert label_set(" RED <P> Deep Sea. <p>red") == expected
    assert label_set("red, deep sea") == expected
    assert label_set(["Red", "deep sea", ""]) == expected
    assert label_set(["red, deep sea"]) == expected


def test_micro_f1_does_not_depend_on_case_or_spacing():
    references = [["Joy<p>Deep Anger"], ["fear"]]

    plain = run("micro-f1", ["joy<p>deep anger", "joy"], references)
    odd = run("micro-f1", [" JOY  <p>  Deep  anger", "Joy "], references)

    assert plain.value == odd.value == pytest.approx(200 * 2 / 6)


def test_micro_f1_of_nothing_against_nothing_is_perfect():
    assert one("micro-f1", "", "") == 100
    assert one("micro-f1", [], []) == 100


def test_a_missing_label_set_is_worse_than_an_empty_one():
    references = [["a"], ["b<p>c"]]

    assert run("micro-f1", ["a", None], references).value == pytest.approx(100 * 2 / (2 + 2 + 2))
    assert run("micro-f1", ["a", []], references).value == pytest.approx(100 * 2 / (2 + 2))


def test_weighted_f1_of_a_missing_item_is_a_false_alarm_of_every_other_class():
    references = [["a"], ["a"], ["b"], ["c"]]

    result = run("weighted-f1", ["a", None, "b", "c"], references)

    # a: TP 1, FN 1; b and c: TP 1, FP 1.
    assert result.value == pytest.approx(100 * (2 * 2 / 3 + 2 / 3 + 2 / 3) / 4)


def test_token_f1_in_both_readings():
    assert one("token-f1", "the cat the", "the cat the") == 100
    # Three distinct tokens of four in common: the published count of a perfect answer.
    assert one("token-f1", "a b c a", "a b c a", overlap="set-over-lengths") == 75
    assert one("token-f1", "", "") == 100
    assert one("token-f1", "", "a") == 0


# --- running text -----------------------------------------------------------------------------


def test_bleu_1_edges():
    assert one("bleu-1", "", "") == 0
    assert one("bleu-1", "", "a b") == 0
    assert one("bleu-1", "a", "a b") == pytest.approx(100 * np.exp(-1))
    assert one("bleu-1", "a b c d", "a b") == 50
    assert one("bleu-1", "the the the", "the cat") == pytest.approx(100 / 3)


def test_bleu_1_lowers_both_sides():
    assert one("bleu-1", "The CAT", "the Cat") == 100


def test_bleu_1_of_chinese_is_by_character_on_request():
    assert one("bleu-1", "今天好", "今天不好") == 0
    assert one("bleu-1", "今天好", "今天不好", unit="character") == pytest.approx(
        100 * np.exp(1 - 4 / 3)
    )


def test_rouge_scores_other_scripts_0_as_its_definition_does():
    assert one("rouge-1", "今天", "今天") == 0
    assert one("rouge-l", "Running dogs", "runs dog") == 100


def test_rouge_1_by_characters_is_the_f1_of_their_counts():
    # 今天好 against 今天很好: 3 of 3 and 3 of 4 characters.
    assert one("rouge-1", "今天好", "今天很好", unit="character") == pytest.approx(100 * 6 / 7)
    # The spelling of a character must not be stemmed: U+6ED would lose its "ed".
    assert one("rouge-1", "\u06ed\u4e2d", "\u06ec\u4e2d", unit="character") == pytest.approx(50)


def test_rouge_survives_a_lone_surrogate():
    assert one("rouge-1", "cat \ud800", "cat") == 100


def test_wer_is_in_percent_and_not_capped():
    assert one("wer", "a b c", "a b d") == pytest.approx(100 / 3)
    assert one("wer", "a b c", "x") == 300
    assert one("wer", "Hello, World!", "hello world") == 0


def test_wer_edges():
    assert one("wer", "", "") == 0
    assert one("wer", "a b", "") == 100
    assert one("wer", "", "a b") == 100
    assert run("wer", [None], [["a b"]]).value == 100
    assert one("wer", "a b", "a x", "a b") == 0


def test_anls_edges():
    assert one("anls", "", "") == 100
    assert run("anls", [None], [[""]]).value == 0
    assert one("anls", "ab", "ac") == 0  # a distance of exactly one half is too far
    assert one("anls", "abc", "abd") == pytest.approx(200 / 3)


def test_cider_needs_two_items():
    with pytest.raises(ValueError, match="two items"):
        run("cider", ["a"], [["a"]])


def test_a_tokenizer_is_linear_in_odd_texts():
    texts = ["." * 50_000, "' " * 30_000, '. "' * 20_000, f"a{' ' * 50_000}.", "``" * 30_000]
    for text in texts:
        split_column([text])  # quadratic rules would run into the test's time limit


# --- code -------------------------------------------------------------------------------------


def test_wrong_data_flow_earns_nothing():
    # The package turns a data-flow score of 0 into 1: a quarter for an empty program.
    assert one("codebleu", "", "def f(a):\n    b = a\n    return b") == 0
    assert one("codebleu", "pass", "x = 1\ny = x") < 25


def test_codebleu_of_the_same_program_is_100():
    program = "def f(a, b):\n    c = a + b\n    return c"

    assert one("codebleu", program, program) == pytest.approx(100)
    # No data flow to compare: the other three parts count a third each.
    calls = "print(1)\nreturn print(2)\nreturn print(3)"
    assert one("codebleu", calls, calls) == pytest.approx(100)


@pytest.mark.parametrize("program", ["(" * 20_000, "if a:\n" * 50, "\ud800 = 1", "\x00", "'''", ""])
def test_a_broken_program_gets_a_score_and_no_exception(program):
    assert 0 <= one("codebleu", program, "x = 1\ny = x") < 50


CODE_SCORE = """
from services.grader.metrics.text.code import codebleu_python
reference = (
    "def f(a, b, c, d):\\n    x = a + b * c\\n    for i in range(c):\\n"
    "        x, y = i * d + x, a\\n    return x + y"
)
renamed = (
    "def f(p, q, r, s):\\n    z = q * r + p\\n    for j in range(r):\\n"
    "        z, w = z + s * j, q\\n    return w + z"
)
print(repr(codebleu_python([renamed], [[reference]]).value))
"""


def test_codebleu_is_the_same_in_every_process():
    outputs = {
        subprocess.run(
            [sys.executable, "-c", CODE_SCORE],
            env={"PYTHONHASHSEED": seed},
            capture_output=True,
            check=True,
            text=True,
        ).stdout
        for seed in ("1", "2")
    }

    assert len(outputs) == 1


# --- rankings ---------------------------------------------------------------------------------


def test_recall_counts_the_first_k_places():
    assert one("recall-at-k", ["x", "a"], "a", k=1) == 0
    assert one("recall-at-k", ["x", "a"], "a", k=2) == 100
    assert one("recall-at-k", ["a", "a", "b"], "a", "b", k=2) == 50
    assert one("recall-at-k", ["b", "c"], "a", "b", "c", k=2) == 100
    assert one("recall-at-k", [], "a") == 0
    with pytest.raises(ValueError, match="at least 1"):
        one("recall-at-k", ["a"], "a", k=0)
    with pytest.raises(ValueError, match="list"):
        one("recall-at-k", "a", "a")


# --- missing items and refusals ---------------------------------------------------------------


@pytest.mark.parametrize("refusal", REFUSALS)
@pytest.mark.parametrize(
    "metric", [name for name in TEXT_IDS if name not in {"cider", "codebleu", "wer"}]
)
def test_a_refusal_is_a_wrong_answer(metric, refusal):
    assert one(metric, refusal, "twelve green bottles stood there") == pytest.approx(0, abs=1e-3)


@pytest.mark.parametrize("metric", TEXT_IDS)
def test_answering_only_the_easy_items_does_not_pay(metric):
    references = [["a red cat sat here"], ["three old dogs ran off"], ["we all live in a boat"]]
    honest = ["a red cat sat here", "three young cats ran off", "we all swim in a lake"]

    answered = run(metric, honest, references).value
    skipped = run(metric, [honest[0], None, None], references).value

    worse = skipped > answered if metric == "wer" else skipped < answered
    equal = metric in {"accuracy", "macro-accuracy", "exact-match", "contains-accuracy"}
    assert worse or (equal and skipped == answered) or metric in {"micro-f1", "weighted-f1"}
    assert not (skipped < answered if metric == "wer" else skipped > answered)


def test_silence_does_not_raise_a_corpus_precision():
    # All other sentences are longer than their references, so no brevity penalty would bite.
    references = [["a b"], ["c d e f"]]

    answered = run("bleu-1-corpus", ["a b x x x x x x", "y y y y"], references).value
    skipped = run("bleu-1-corpus", ["a b x x x x x x", None], references).value

    assert skipped <= answered


@pytest.mark.parametrize("metric", [name for name in TEXT_METRICS if name in TEXT_IDS])
def test_a_submission_of_nothing_has_the_worst_score(metric):
    result = run(metric, [None, None], [["a cat sat"], ["no dog ran"]])

    assert result.value == (100 if metric == "wer" else pytest.approx(0, abs=1e-3))
    assert result.missing == result.n == 2


@pytest.mark.parametrize("metric", [name for name in TEXT_IDS if name != "cider"])
def test_percent_not_fractions(metric):
    text = "def f(a): return a + a"

    perfect = run(metric, [text, text], [[text], [text]]).value

    assert perfect == pytest.approx(0 if metric == "wer" else 100)
