"""Each text metric against somebody else's implementation on generated real-looking columns."""

import ast
import inspect
import json.decoder
import random
import textwrap
import warnings

import numpy as np
import pytest

from services.grader.metrics.numbers.errors import mae, mse, rmse
from services.grader.metrics.table import TEXT_METRICS
from services.grader.metrics.text import code
from services.grader.metrics.text.normalise import lower, words
from services.grader.metrics.text.treebank import encode_words, split_column, split_words

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # deprecations inside the oracles, not ours
    import jiwer
    import sacrebleu
    from anls import anls_score
    from codebleu import calc_codebleu, syntax_match
    from nltk.tokenize import NLTKWordTokenizer
    from nltk.translate.bleu_score import SmoothingFunction, sentence_bleu
    from pycocoevalcap.bleu.bleu import Bleu
    from pycocoevalcap.cider.cider import Cider
    from rouge_score.rouge_scorer import RougeScorer
    from sklearn import metrics as sklearn
    from sklearn.preprocessing import MultiLabelBinarizer

TOLERANCE = 1e-9  # percent points

VOCABULARY = [
    *("the", "a", "cat", "dogs", "running", "ran", "jumps", "over", "mat's", "U.S.", "don't"),
    *("cannot", "3.5", "1,000", "no", "north", "É", "Straße", "naïve", "猫", "今天", "привет"),
    *("hello,", "(world)", '"quoted"', "end.", "what?", "it's", "-5", "50%", "a.b", "x"),
]


def sentences(seed, count=200, longest=14):
    """Aligned predictions and one to three references each, some empty, some of one word."""
    rng = random.Random(seed)

    def sentence():
        return " ".join(
            rng.choices(VOCABULARY, k=rng.choice([0, 1, 1, 2, rng.randint(3, longest)]))
        )

    predictions = [sentence() for _ in range(count)]
    references = []
    for prediction in predictions:
        accepted = [sentence() or "the" for _ in range(rng.randint(1, 3))]
        if rng.random() < 0.5:
            accepted.append(prediction + " the")
        references.append(accepted)
    return predictions, references


def labels(seed, count=300):
    rng = random.Random(seed)
    classes = ["cat", "dog", "bird", "fish", "cow"]
    true = rng.choices(classes[:4], [8, 4, 2, 1], k=count)
    given = [label if rng.random() < 0.6 else rng.choice(classes) for label in true]
    return true, given


def run(metric, predictions, references, **options):
    return TEXT_METRICS[metric].function(predictions, references, **options)


# --- tokens -----------------------------------------------------------------------------------

ATOMS = [
    *"ab12'\"`()[]{}<>.,:;@#$%&?!*-/_ \n\t«»“”‘’„—–½é",
    *("cat", "cannot", "gimme", "Wanna", "d'ye", "more'n", "'tis", "'Twas", "don't", "N'T"),
    *("'ll", "'S", "''", "``", "..", "...", "--", "3.5", "1,000", "U.S.", "e\u0301", "中文"),
    *("\u0915\u093f", "ſ", "ı", "\xa0", "\x1c", "\u200d", "Ⓐ", "\u3000", "😀", "  ", "x' \n"),
]


def word_tokens(texts):
    """The tokens of each text, found as those of a column are."""
    tokens, numbers, counts = split_column(texts)
    pieces = np.split(numbers, np.cumsum(counts)[:-1])
    return [[token for number in text.tolist() for token in tokens[number]] for text in pieces]


@pytest.mark.parametrize("joined", ["", " "])
def test_word_tokens_equal_nltk_on_odd_strings(joined):
    rng = random.Random(7)
    theirs = NLTKWordTokenizer()
    for _ in range(1500):
        text = joined.join(rng.choices(ATOMS, k=rng.choice([1, 2, 3, 5, 9])))

        expected = theirs.tokenize(text)

        assert word_tokens([text]) == [expected], repr(text)
        assert split_words(text) == expected, repr(text)


def test_a_column_of_word_tokens_equals_nltk():
    rng = random.Random(8)
    rows = [rng.choices(ATOMS + VOCABULARY * 3, k=rng.choice([0, 1, 4, 9])) for _ in range(1500)]
    usual = [" ".join("".join(row).split()) for row in rows]
    # A column with single spaces, and one with anything.
    for texts in (usual, usual + [" ".join(row) for row in rows]):
        ours = encode_words(texts)
        ends = np.cumsum(ours.lengths)
        names: dict[int, str] = {}
        for text, ids in zip(texts, np.split(ours.ids, ends[:-1]), strict=True):
            expected = NLTKWordTokenizer().tokenize(text)

            assert [names.setdefault(n, t) for n, t in zip(ids, expected, strict=True)] == expected
        assert len(set(names.values())) == len(names)


def test_word_tokens_equal_nltk_on_prose():
    text = inspect.cleandoc(textwrap.__doc__ + (textwrap.TextWrapper.__doc__ or ""))
    paragraphs = [text, *text.splitlines(), " ".join(text.split())]

    expected = list(map(NLTKWordTokenizer().tokenize, paragraphs))

    assert word_tokens(paragraphs) == expected
    assert [word_tokens([paragraph])[0] for paragraph in paragraphs] == expected


# --- running text -----------------------------------------------------------------------------


def test_bleu_1_equals_nltk_with_method_4():
    predictions, references = sentences(1)
    tokenize, smooth = NLTKWordTokenizer().tokenize, SmoothingFunction().method4
    expected = [
        100
        * max(
            float(
                sentence_bleu(
                    [tokenize(lower(reference))],
                    tokenize(lower(prediction)),
                    (1, 0, 0, 0),
                    smoothing_function=smooth,
                )
            )
            for reference in accepted
        )
        for prediction, accepted in zip(predictions, references, strict=True)
    ]

    result = run("bleu-1", predictions, references)

    np.testing.assert_allclose(result.per_sample, expected, atol=TOLERANCE)
    assert result.value == pytest.approx(np.mean(expected))
    assert result.stderr == pytest.approx(np.std(expected, ddof=1) / np.sqrt(len(expected)))


@pytest.mark.parametrize(("metric", "order"), [("bleu-1-corpus", 1), ("bleu-4-corpus", 4)])
def test_corpus_bleu_equals_pycocoevalcap(metric, order):
    predictions, references = sentences(2)
    given = {item: [lower(text)] for item, text in enumerate(predictions)}
    wanted = {item: [lower(text) for text in texts] for item, texts in enumerate(references)}
    expected = Bleu(order).compute_score(wanted, given, verbose=0)[0][order - 1]

    assert run(metric, predictions, references).value == pytest.approx(100 * expected, abs=1e-7)


def test_corpus_bleu_equals_sacrebleu():
    predictions, references = sentences(3)
    single = [[accepted[0]] for accepted in references]
    bleu = sacrebleu.metrics.BLEU(tokenize="none", lowercase=True, smooth_method="none", force=True)
    expected = bleu.corpus_score(predictions, [[accepted[0] for accepted in single]])

    assert run("bleu-4-corpus", predictions, single).value == pytest.approx(
        expected.score, abs=1e-4
    )


def test_corpus_bleu_stderr_is_the_jackknife_of_pycocoevalcap():
    predictions, references = sentences(4, count=25, longest=20)
    references = [[predictions[item], *accepted] for item, accepted in enumerate(references)]

    def value(kept):
        given = {item: [lower(predictions[item])] for item in kept}
        wanted = {item: [lower(text) for text in references[item]] for item in kept}
        return 100 * Bleu(4).compute_score(wanted, given, verbose=0)[0][3]

    without = np.array([value([j for j in range(25) if j != i]) for i in range(25)])
    expected = np.sqrt(24 / 25 * np.sum((without - without.mean()) ** 2))

    assert run("bleu-4-corpus", predictions, references).stderr == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize(("metric", "kind"), [("rouge-1", "rouge1"), ("rouge-l", "rougeL")])
def test_rouge_equals_rouge_score(metric, kind):
    predictions, references = sentences(5)
    scorer = RougeScorer([kind], use_stemmer=True)
    expected = [
        100 * max(scorer.score(reference, prediction)[kind].fmeasure for reference in accepted)
        for prediction, accepted in zip(predictions, references, strict=True)
    ]

    np.testing.assert_array_equal(run(metric, predictions, references).per_sample, expected)


class Letters:
    """A tokenizer for the oracle: every letter and digit by itself."""

    def tokenize(self, text):
        return [character for character in text.lower() if character.isalnum()]


@pytest.mark.parametrize(("metric", "kind"), [("rouge-1", "rouge1"), ("rouge-l", "rougeL")])
def test_rouge_of_characters_equals_rouge_score_with_such_a_tokenizer(metric, kind):
    predictions = ["今天天气很好。", "GPT 是模型", "", "привет"]
    references = [["今天天气不错"], ["GPT-4 是一个模型"], ["空"], ["Привет!"]]
    scorer = RougeScorer([kind], tokenizer=Letters())
    expected = [
        100 * scorer.score(accepted[0], prediction)[kind].fmeasure
        for prediction, accepted in zip(predictions, references, strict=True)
    ]

    result = run(metric, predictions, references, unit="character")

    assert expected[0] > 0
    np.testing.assert_allclose(result.per_sample, expected)


def test_cider_equals_pycocoevalcap():
    predictions, references = sentences(6)
    given = {item: [" ".join(words(text))] for item, text in enumerate(predictions)}
    wanted = {
        item: [" ".join(words(text)) for text in texts] for item, texts in enumerate(references)
    }
    _, expected = Cider().compute_score(wanted, given)

    result = run("cider", predictions, references)

    np.testing.assert_allclose(result.per_sample, 100 * expected, atol=TOLERANCE)


def test_wer_equals_jiwer_per_item():
    predictions, references = sentences(7)
    single = [[accepted[0] + " end"] for accepted in references]
    expected = [
        100 * jiwer.wer(" ".join(words(accepted[0])), " ".join(words(prediction)))
        for prediction, accepted in zip(predictions, single, strict=True)
    ]

    np.testing.assert_allclose(run("wer", predictions, single).per_sample, expected, atol=TOLERANCE)


def test_character_error_rate_equals_jiwer():
    predictions = ["今天天气很好", "hello", "a b"]
    references = [["今天天气不错"], ["hallo"], ["ab"]]
    expected = [
        100 * jiwer.cer(accepted[0], prediction.replace(" ", ""))
        for prediction, accepted in zip(predictions, references, strict=True)
    ]

    result = run("wer", predictions, references, unit="character")

    np.testing.assert_allclose(result.per_sample, expected)


def test_anls_equals_anls():
    predictions, references = sentences(8)
    # The oracle takes lengths in upper case, where ß counts twice.
    predictions = [text.replace("ß", "s") for text in predictions]
    references = [[text.replace("ß", "s") for text in accepted] for accepted in references]
    expected = [
        100 * anls_score(lower(prediction), [lower(reference) for reference in accepted])
        for prediction, accepted in zip(predictions, references, strict=True)
    ]

    np.testing.assert_allclose(run("anls", predictions, references).per_sample, expected)


# --- classes ----------------------------------------------------------------------------------


def test_class_metrics_equal_scikit_learn():
    true, given = labels(1)
    references = [[label] for label in true]
    noisy = [f" {label.upper()}. " for label in given]

    assert run("accuracy", noisy, references).value == pytest.approx(
        100 * sklearn.accuracy_score(true, given)
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a predicted class that the key does not have
        macro = 100 * sklearn.balanced_accuracy_score(true, given)
        weighted = 100 * sklearn.f1_score(true, given, average="weighted")
    assert run("macro-accuracy", noisy, references).value == pytest.approx(macro)
    assert run("weighted-f1", noisy, references).value == pytest.approx(weighted)


def test_weighted_f1_stderr_is_the_jackknife_of_scikit_learn():
    true, given = labels(2, count=40)
    without = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for item in range(40):
            t, g = true[:item] + true[item + 1 :], given[:item] + given[item + 1 :]
            without.append(100 * sklearn.f1_score(t, g, average="weighted", zero_division=0))
    expected = np.sqrt(39 / 40 * np.sum((np.array(without) - np.mean(without)) ** 2))

    result = run("weighted-f1", given, [[label] for label in true])

    assert result.stderr == pytest.approx(expected)


def test_micro_f1_equals_scikit_learn():
    rng = random.Random(3)
    classes = ["red", "green", "blue", "deep sea", "x"]
    true = [rng.sample(classes, rng.randint(0, 4)) for _ in range(40)]
    given = [rng.sample(classes, rng.randint(0, 4)) for _ in range(40)]
    binary = MultiLabelBinarizer(classes=classes).fit(true)
    expected = sklearn.f1_score(binary.transform(true), binary.transform(given), average="micro")
    without = [
        100
        * sklearn.f1_score(
            binary.transform(true[:item] + true[item + 1 :]),
            binary.transform(given[:item] + given[item + 1 :]),
            average="micro",
        )
        for item in range(40)
    ]

    result = run(
        "micro-f1", ["<p>".join(sample) for sample in given], [[sample] for sample in true]
    )

    assert result.value == pytest.approx(100 * expected)
    assert result.stderr == pytest.approx(np.sqrt(39 * np.var(without)))


def test_number_errors_equal_scikit_learn():
    rng = np.random.default_rng(4)
    true, given = rng.normal(size=(2, 50, 8))
    references = [[series] for series in true]

    assert mae(list(given), references).value == pytest.approx(
        sklearn.mean_absolute_error(true, given)
    )
    assert mse(list(given), references).value == pytest.approx(
        sklearn.mean_squared_error(true, given)
    )
    assert rmse(list(given), references).value == pytest.approx(
        sklearn.root_mean_squared_error(true.ravel(), given.ravel())
    )


# --- code -------------------------------------------------------------------------------------


def functions(*modules):
    """The source of every function of some modules of the standard library."""
    found = []
    for module in modules:
        source = inspect.getsource(module)
        nodes = (node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.FunctionDef))
        found += [ast.get_source_segment(source, node) for node in nodes]
    return found


def test_codebleu_equals_the_package_where_it_is_well_defined():
    # One source per value: no set whose order the package leaves to chance.
    references = ["def f(a):\n    b = a\n    c = b\n    return c", "x = 1\nprint(x)", "y = g(3)"]
    predictions = ["def f(z):\n    b = z\n    return b", "x = 1\nprint(x)", "for i in y: pass"]
    expected = calc_codebleu([[program] for program in references], predictions, "python")

    result = run("codebleu", predictions, [[program] for program in references])

    assert 0 < expected["dataflow_match_score"] < 1
    assert result.value == pytest.approx(100 * expected["codebleu"])


def test_codebleu_parts_that_do_not_depend_on_chance_equal_the_package():
    rng = random.Random(5)
    references = functions(textwrap, json.decoder)
    predictions = []
    for program in references:
        characters = list(program)
        for _ in range(rng.randint(0, 8)):
            characters[rng.randrange(len(characters))] = rng.choice("():=x \n$'")
        predictions.append("".join(characters))
    expected = calc_codebleu([[program] for program in references], predictions, "python")

    result = run("codebleu", predictions, [[program] for program in references])

    # The data flow is a quarter, and differs by the order of a set only.
    assert result.value == pytest.approx(100 * expected["codebleu"], abs=2.0)


def test_codebleu_numbers_a_subtree_like_its_expression():
    rng = random.Random(6)
    for reference in functions(textwrap):
        characters = list(reference)
        for _ in range(6):
            characters[rng.randrange(len(characters))] = rng.choice("():=x \n$'")
        prediction = "".join(characters)
        expected = syntax_match.corpus_syntax_match([[reference]], [prediction], "python")

        assert syntax_share(prediction, reference) == pytest.approx(expected)


def syntax_share(prediction, reference):
    read = code._reader()
    row = code._counts(read(prediction), [read(reference)])
    return row[code._SYNTAX] / row[code._SYNTAX + 1]
