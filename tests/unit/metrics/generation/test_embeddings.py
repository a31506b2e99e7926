"""Cosine scores, consistencies and verdicts over injected networks, against scikit-learn."""

import itertools

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, top_k_accuracy_score
from sklearn.metrics.pairwise import cosine_similarity

from services.grader.metrics.features.clip import (
    clip_image_score,
    clip_score,
    frame_accuracy,
    frame_image_score,
    frame_text_score,
)
from services.grader.metrics.features.cosine import all_cosines, pair_cosines
from services.grader.metrics.features.verdicts import (
    LinearHead,
    aesthetic_score,
    classified_accuracy,
    musiq,
)
from services.grader.metrics.media import BATCH, BATCH_BYTES, embed_answered
from services.grader.metrics.motion.consistency import background_consistency, dino_score
from services.grader.metrics.motion.video_text import action_success, viclip_score
from services.grader.metrics.sound.clap import clap_score, style_clap
from tests.unit.metrics.generation.networks import (
    DIMENSIONS,
    Projection,
    Words,
    as_they_are,
    pictures,
    videos,
)

IMAGE, TEXT = Projection(), Words()
TEXTS = ["a red dog", "b ship", "c tree", "d wolf"]


def cosine(first, second):
    return cosine_similarity(first, second)


def test_pictures_against_texts():
    shown = pictures(0)

    result = clip_score(shown, TEXTS, clip_image=IMAGE, clip_text=TEXT)

    expected = 100 * np.diag(cosine(IMAGE(shown), TEXT(TEXTS)))
    np.testing.assert_allclose(result.per_sample, expected, atol=1e-12)
    assert result.stderr == pytest.approx(np.std(expected, ddof=1) / 2)


def test_pictures_against_pictures():
    shown, wanted = pictures(1), pictures(2)

    result = clip_image_score(shown, wanted, clip_image=IMAGE)

    expected = 100 * np.diag(cosine(IMAGE(shown), IMAGE(wanted)))
    np.testing.assert_allclose(result.per_sample, expected, atol=1e-12)
    assert clip_image_score(wanted, wanted, clip_image=IMAGE).value == pytest.approx(100)


def test_frames_against_a_text_and_against_style_pictures():
    shown, styles = videos(3, 4), [pictures(4, 1), pictures(5, 3), pictures(6, 2), pictures(7, 1)]
    frames = [IMAGE(list(video)) for video in shown]

    text = frame_text_score(shown, TEXTS, clip_image=IMAGE, clip_text=TEXT)
    style = frame_image_score(shown, styles, clip_image=IMAGE)

    by_text = [100 * cosine(f, TEXT([t])).mean() for f, t in zip(frames, TEXTS, strict=True)]
    by_style = [100 * cosine(f, IMAGE(s)).mean() for f, s in zip(frames, styles, strict=True)]
    np.testing.assert_allclose(text.per_sample, by_text, atol=1e-12)
    np.testing.assert_allclose(style.per_sample, by_style, atol=1e-12)


def test_sounds_against_texts_and_styles():
    sounds = [np.random.default_rng(seed).normal(size=50) for seed in range(4)]
    styles = [TEXTS[0], sounds[0], TEXTS[2], sounds[2]]

    by_text = clap_score(sounds, TEXTS, clap_audio=IMAGE, clap_text=TEXT)
    by_style = style_clap(sounds, styles, clap_audio=IMAGE, clap_text=TEXT)

    table = 100 * cosine(IMAGE(sounds), TEXT(TEXTS))
    among = 100 * cosine(IMAGE(sounds), IMAGE(sounds))
    np.testing.assert_allclose(by_text.per_sample, np.diag(table), atol=1e-12)
    np.testing.assert_allclose(
        by_style.per_sample, [table[0, 0], among[1, 0], table[2, 2], among[3, 2]], atol=1e-12
    )


def test_a_missing_item_scores_minus_100_and_the_rest_keep_their_places():
    shown = [*pictures(8, 2), None, pictures(9, 1)[0]]
    empty = np.empty((0, 4, 4, 3), dtype=np.uint8)

    result = clip_score(shown, TEXTS, clip_image=IMAGE, clip_text=TEXT)
    frames = frame_text_score([empty, None], TEXTS[:2], clip_image=IMAGE, clip_text=TEXT)

    assert result.per_sample[2] == -100
    assert result.per_sample[3] == pytest.approx(
        100 * cosine(IMAGE([shown[3]]), TEXT([TEXTS[3]])).item()
    )
    assert result.missing == 1
    np.testing.assert_array_equal(frames.per_sample, [-100, -100])
    for metric in (clap_score, style_clap):
        assert metric([None], ["x"], clap_audio=IMAGE, clap_text=TEXT).value == -100


def test_a_long_column_is_read_once_and_in_batches():
    sizes = []

    def network(media):
        sizes.append(len(media))
        return IMAGE(media)

    shown = pictures(18, 3 * BATCH + 5, (4, 4, 3))
    column = [None if item % 3 == 0 else picture for item, picture in enumerate(shown)]

    positions, features = embed_answered(network, iter(column))

    assert positions == [item for item in range(len(shown)) if item % 3]
    np.testing.assert_array_equal(features, IMAGE([shown[item] for item in positions]))
    assert sizes == [BATCH, BATCH, len(positions) - 2 * BATCH]


def test_large_media_go_to_the_network_in_smaller_batches():
    # A view of one zero: its size counts, without the memory.
    large = np.broadcast_to(np.uint8(0), (BATCH_BYTES // 4 + 1,))
    small = np.zeros(10, np.uint8)
    lengths = []

    def network(media):
        lengths.append(len(media))
        return np.array([[float(medium.size)] for medium in media])

    column = [large, None, large, small, large, large, small, large, small]
    positions, features = embed_answered(network, column)

    assert lengths == [5, 3]
    assert positions == [0, 2, 3, 4, 5, 6, 7, 8]
    assert features[:, 0].tolist() == [float(column[place].size) for place in positions]


def test_an_embedding_of_length_0_has_cosine_0_and_huge_ones_do_not_overflow():
    rows = np.array([[0.0, 0.0], [1e300, 1e300], [1e-300, 0.0]])

    table = all_cosines(rows, np.array([[1.0, 0.0]]))

    np.testing.assert_allclose(table[:, 0], [0, np.sqrt(0.5), 1])
    np.testing.assert_array_equal(pair_cosines(rows, -rows)[0], 0)


def test_frame_accuracy_counts_frames_nearer_to_the_target():
    # Frames are their own embeddings; texts are the two axes.
    axes = {"target": [1.0, 0.0], "source": [0.0, 1.0]}
    video = np.array([[2.0, 1.0], [1.0, 2.0], [1.0, 1.0], [3.0, -1.0]])

    result = frame_accuracy(
        [video, None],
        ["target"] * 2,
        ["source"] * 2,
        clip_image=as_they_are,
        clip_text=lambda texts: np.array([axes[text] for text in texts]),
    )

    np.testing.assert_array_equal(result.per_sample, [50, 0])  # the tie is not nearer
    assert result.missing == 1


@pytest.mark.parametrize(
    ("metric", "network"), [(dino_score, "dino_image"), (background_consistency, "clip_image")]
)
def test_consistency_is_the_mean_cosine_with_the_first_and_the_previous_frame(metric, network):
    shown = videos(10, 3, 6)

    result = metric(shown, **{network: IMAGE})

    expected = []
    for video in shown:
        table = np.maximum(cosine(IMAGE(list(video)), IMAGE(list(video))), 0)
        expected.append(100 * np.mean([(table[t, 0] + table[t, t - 1]) / 2 for t in range(1, 6)]))
    np.testing.assert_allclose(result.per_sample, expected, atol=1e-12)


def test_a_still_video_is_consistent_and_a_single_frame_shows_nothing():
    still = np.repeat(pictures(11, 1), 4, axis=0)

    result = dino_score([still, still[:1], None], dino_image=IMAGE)

    np.testing.assert_allclose(result.per_sample, [100, 0, 0])
    assert result.missing == 2


def test_videos_against_texts_do_not_fall_below_0():
    shown = videos(12, 4)

    result = viclip_score([*shown[:3], None], TEXTS, viclip_video=IMAGE, viclip_text=TEXT)

    expected = 100 * np.maximum(np.diag(cosine(IMAGE(shown[:3]), TEXT(TEXTS[:3]))), 0)
    np.testing.assert_allclose(result.per_sample, [*expected, 0], atol=1e-12)
    assert (expected == 0).any()


def test_the_aesthetic_head_rates_unit_embeddings_over_10():
    generator = np.random.default_rng(13)
    head = LinearHead(generator.normal(size=DIMENSIONS) * 3, 5.0)
    shown = videos(14, 3)

    result = aesthetic_score([*shown, None], clip_image_large=IMAGE, aesthetic_head=head)

    expected = []
    for video in shown:
        rows = IMAGE(list(video))
        unit = rows / np.sqrt((rows**2).sum(axis=1))[:, None]
        expected.append(np.clip((unit @ head.weight + 5) / 10, 0, 1).mean() * 100)
    np.testing.assert_allclose(result.per_sample, [*expected, 0], atol=1e-12)


def test_musiq_is_the_mean_of_the_frames_scores():
    video = np.array([[50.0], [70.0], [120.0], [-4.0]])

    result = musiq([video, video[:2], None], musiq_score=as_they_are)

    np.testing.assert_allclose(result.per_sample, [(50 + 70 + 100 + 0) / 4, 60, 0])


# --- classifiers ------------------------------------------------------------------------------


def test_a_choice_among_all_classes_is_the_classifiers_accuracy():
    generator = np.random.default_rng(15)
    probabilities = generator.dirichlet(np.ones(6), size=40)
    classes = generator.integers(0, 6, size=40).tolist()

    ours = classified_accuracy(
        list(probabilities), classes, class_probabilities=as_they_are, ways=6
    ).value
    of_three = classified_accuracy(
        list(probabilities), classes, class_probabilities=as_they_are, ways=6, top=3
    ).value

    assert ours == pytest.approx(100 * accuracy_score(classes, probabilities.argmax(axis=1)))
    assert of_three == pytest.approx(
        100 * top_k_accuracy_score(classes, probabilities, k=3, labels=range(6))
    )


@pytest.mark.parametrize(("ways", "top"), [(2, 1), (3, 1), (4, 2), (5, 3)])
def test_the_expected_choice_is_the_mean_over_all_draws(ways, top):
    generator = np.random.default_rng(16)
    probabilities = generator.dirichlet(np.ones(7), size=5)
    classes = [0, 3, 6, 2, 2]

    result = classified_accuracy(
        list(probabilities), classes, class_probabilities=as_they_are, ways=ways, top=top
    )

    for row, true, sample in zip(probabilities, classes, result.per_sample, strict=True):
        others = [c for c in range(7) if c != true]
        wins = [
            sum(row[c] >= row[true] for c in drawn) < top
            for drawn in itertools.combinations(others, ways - 1)
        ]
        assert sample == pytest.approx(100 * np.mean(wins))


def test_an_undecided_classifier_and_a_missing_picture_score_0():
    even = np.full(100, 0.01)

    result = classified_accuracy([even, None], [5, 5], class_probabilities=as_they_are)

    np.testing.assert_array_equal(result.per_sample, [0, 0])
    assert result.missing == 1


@pytest.mark.parametrize(("ways", "true"), [(101, 5), (1, 5), (50, 100)])
def test_a_choice_beyond_the_classes_is_refused(ways, true):
    with pytest.raises(ValueError, match="choice"):
        classified_accuracy(
            [np.full(100, 0.01)], [true], class_probabilities=as_they_are, ways=ways
        )


def test_an_action_is_among_the_five_most_probable_and_sure():
    generator = np.random.default_rng(17)
    rows = np.exp(generator.normal(size=(60, 12)))  # scores above 0.85 occur; no need to sum to 1
    actions = generator.integers(0, 12, size=60)
    sure = rows[np.arange(60), actions] >= 0.85

    result = action_success(list(rows), actions.tolist(), action_probabilities=as_they_are)

    top = [
        top_k_accuracy_score([action], row[None], k=5, labels=range(12))
        for action, row in zip(actions, rows, strict=True)
    ]
    np.testing.assert_array_equal(result.per_sample, 100 * np.array(top) * sure)
    assert 0 < result.value < 100 * np.mean(sure)


def test_a_missing_video_shows_no_action_and_a_class_must_exist():
    row = np.array([0.9, 0.1])

    result = action_success([row, None], [0, 0], action_probabilities=as_they_are)

    np.testing.assert_array_equal(result.per_sample, [100, 0])
    with pytest.raises(ValueError, match="action"):
        action_success([row], [2], action_probabilities=as_they_are)
