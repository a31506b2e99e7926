"""The words of lines by their bytes against plain splitting."""

import random

import numpy as np
import pytest

from services.grader.metrics.text.lines import encode_lines
from services.grader.metrics.text.ngrams import encode

#: Words around every step of the numbering, with bytes that could pass for the end of a word.
ATOMS = [
    *("a", "b", "\x00", "\x00\x00", "abcdefg", "abcdefgh", "é", "中文", "😀", "\ud800", "\xff"),
    *("x" * 12, "x" * 17, "y" * 39, "y" * 40, "y" * 41, " ", " ", "  "),
]


def plainly(lines):
    return [[word for word in line.split(" ") if word] for line in lines]


@pytest.mark.parametrize("seed", range(4))
def test_lines_are_numbered_as_their_split_words(seed):
    rng = random.Random(seed)
    for _ in range(150):
        lines = [
            "".join(rng.choices(ATOMS, k=rng.randint(0, 8))) for _ in range(rng.choice([1, 2, 30]))
        ]
        words = plainly(lines)
        expected = encode(words)

        found = encode_lines("\n".join(lines))

        np.testing.assert_array_equal(found.documents.ids, expected.ids)
        np.testing.assert_array_equal(found.documents.lengths, expected.lengths)
        assert found.documents.vocabulary == expected.vocabulary
        assert found.words() == list(dict.fromkeys(word for line in words for word in line))
        assert found.single_spaced == (list(map(" ".join, words)) == lines)


def test_more_words_than_slots_are_told_apart():
    lines = [" ".join(f"{number:x}" for number in range(start, start + 50)) for start in range(999)]

    found = encode_lines("\n".join(lines)).documents

    np.testing.assert_array_equal(found.ids, encode(plainly(lines)).ids)
    assert found.vocabulary == 999 + 49


def test_words_made_to_share_a_slot_cost_one_sort():
    # Eight bytes as a number times an odd one: its inverse gives words with equal high bits.
    inverse = pow(0x9E3779B97F4A7C15, -1, 2**64)
    words = []
    for low in range(2**20):
        data = (low * inverse % 2**64).to_bytes(8, "little")
        if all(33 <= byte < 127 for byte in data):
            words.append(data.decode())
    assert len(words) > 300

    found = encode_lines(" ".join(words)).documents

    np.testing.assert_array_equal(found.ids, np.arange(len(words)))


def test_lines_do_not_show_their_words():
    assert "secret" not in repr(encode_lines("secret words\nsecret"))
