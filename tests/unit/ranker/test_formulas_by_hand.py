"""Every formula on cases worked out by hand, and the faults of the published scorer."""

from __future__ import annotations

from math import inf, nan, tanh

import numpy as np
import pytest

from general_level.catalogue.mapping import reaches as reaches_one
from general_level.catalogue.mapping import to_score as to_score_one
from general_level.errors import ScoreRefused
from services.ranker.formulas.boards import build_boards
from services.ranker.formulas.conventions import Convention
from services.ranker.formulas.mapping import reaches, to_score
from services.ranker.formulas.plan import build_plan

PUBLISHED = Convention.PUBLISHED_2024_12
FID_1 = 100 * tanh(25 / 2)


class TestOneModality:
    def test_s2_halves_the_sum_of_both_paradigm_means(self, rank_one):
        row = rank_one({"image-c-001": 40, "image-c-002": 20, "image-g-002": 0.2}, "B-image")
        # C: (40 + 20) / 2 = 30. G: FID unsupported, (0 + 60) / 2 = 30.
        assert row.s2 == pytest.approx(30)
        assert (row.s3, row.s4, row.level, row.supported, row.wins) == (0, 0, 2, 3, 0)
        assert row.s5 is None

    def test_s3_keeps_a_score_only_where_the_reference_is_reached(self, rank_one):
        row = rank_one({"image-c-001": 80, "image-c-002": 59.9}, "B-image")
        # S_C = (80 + 0) / 2 = 40, S_G = 0.
        assert row.s3 == pytest.approx(20)
        assert (row.s4, row.level, row.wins) == (0, 3, 1)

    def test_s4_is_the_harmonic_mean_of_the_kept_means(self, rank_one):
        row = rank_one({"image-c-001": 80, "image-g-002": 0.6}, "B-image")
        # S_C = 40, S_G = (0 + 80) / 2 = 40.
        assert row.s4 == pytest.approx(40)
        row = rank_one({"image-c-001": 60, "image-g-002": 0.6}, "B-image")
        # S_C = 30, S_G = 40: 2 * 30 * 40 / 70.
        assert row.s4 == pytest.approx(2400 / 70)
        assert row.level == 4

    def test_a_paradigm_without_support_counts_zero(self, rank_one):
        assert rank_one({"image-c-001": 50, "image-c-002": 50}, "B-image").s2 == pytest.approx(25)

    def test_a_board_with_one_paradigm_only_halves_too(self, rank_one):
        row = rank_one({"video-c-001": 44}, "B-video")
        assert (row.s2, row.s3, row.s4, row.level) == (22, 22, 0, 3)

    def test_a_tie_reaches_the_reference(self, rank_one):
        row = rank_one({"image-c-001": 50}, "B-image")
        assert (row.wins, row.s3) == (1, 12.5)


class TestLanguageAndAllModalities:
    def test_s5_weighs_s4_by_the_kept_language_mean(self, rank_one):
        scores = {"image-c-001": 80, "image-g-002": 0.6, "language-001": 80}
        row = rank_one(scores, "B-image-text")
        # S4 = 40; S_L = (80 + 0) / 2 = 40, w_L = 0.4.
        assert row.s5 == pytest.approx(16)
        assert row.level == 5

    def test_language_below_its_references_gives_no_level_five(self, rank_one):
        scores = {"image-c-001": 80, "image-g-002": 0.6, "language-001": 69.9}
        row = rank_one(scores, "B-image-text")
        assert (row.s5, row.level) == (0, 4)

    def test_overall_is_the_plain_mean_of_four_modalities(self, rank_one):
        row = rank_one(
            {"image-c-001": 80, "image-g-002": 0.6, "video-c-001": 40, "audio-g-001": 20}
        )
        # image 40, video 40 / 2 = 20, audio 80 / 2 = 40 and below its reference, 3d 0.
        assert row.s2 == pytest.approx((40 + 20 + 40 + 0) / 4)
        assert row.s3 == pytest.approx((40 + 20 + 0 + 0) / 4)
        assert row.s4 == pytest.approx(40 / 4)
        assert row.by_modality["audio"].s2 == pytest.approx(40)
        assert set(row.by_modality) == {"image", "video", "audio", "3d"}

    def test_every_modality_counts_its_tasks_apart_from_its_score(self, rank_one):
        row = rank_one({"image-c-001": 80, "image-g-002": 0.4, "audio-g-001": 460.0})
        counted = {name: (of.supported, of.tasks, of.wins) for name, of in row.by_modality.items()}
        assert counted == {
            "image": (2, 4, 1),
            "video": (0, 1, 0),
            "audio": (1, 1, 0),
            "3d": (0, 1, 0),
        }
        # Supported and worth nothing, or not supported: the same score, and not the same.
        assert (row.by_modality["audio"].s2, row.by_modality["video"].s2) == (0, 0)
        quick = rank_one({"image-c-001": 80}, "A-quick").by_modality
        assert (quick["image"].tasks, quick["audio"].tasks) == (1, 0)

    def test_scope_a_divides_by_four_whatever_its_selection_holds(self, rank_one):
        assert rank_one({"image-c-001": 80}, "A-quick").s2 == pytest.approx(80 / 2 / 4)

    @pytest.mark.parametrize("board", ["C-image-comprehension", "D-I-C-1"])
    def test_one_paradigm_boards_are_plain_means_without_halving(self, rank_one, board):
        row = rank_one({"image-c-001": 80, "image-c-002": 40}, board)
        s2, s3 = (60, 40) if board.startswith("C") else (80, 80)
        assert (row.s2, row.s3, row.s4, row.s5, row.level) == (s2, s3, None, None, 3)
        assert row.by_modality == {}

    def test_a_model_whose_scores_are_all_zero_has_no_level_and_no_rank(self, rank_one):
        row = rank_one({"image-c-001": 0.0}, "B-image")
        assert (row.level, row.rank, row.supported) == (0, 0, 1)


class TestFaultsOfThePublishedScorer:
    def test_model_and_reference_join_by_task_id_not_by_position(self, rank_one):
        reversed_file = {"image-c-002": 59.0, "image-c-001": 51.0}
        row = rank_one(reversed_file, "C-image-comprehension")
        assert (row.wins, row.s3) == (1, 25.5)

    def test_a_perfect_zero_of_a_lower_is_better_metric_is_full_score(self, rank_one):
        row = rank_one({"image-g-001": 0.0}, "B-image")
        assert row.by_modality["image"].s2 == pytest.approx(100 / 2 / 2)
        assert row.wins == 1

    def test_a_negative_ms_ssim_is_a_score(self, rank_one):
        assert rank_one({"image-g-002": -0.5}, "B-image").s2 == pytest.approx(25 / 2 / 2)

    def test_a_larger_chamfer_distance_does_not_win(self, rank_one):
        assert rank_one({"3d-c-001": 0.6}).wins == 0
        assert rank_one({"3d-c-001": 0.4}).wins == 1

    def test_wer_in_percent_never_goes_below_zero_points(self, rank_one):
        assert rank_one({"audio-g-001": 5.6}).by_modality["audio"].s2 == pytest.approx(94.4 / 2)
        assert rank_one({"audio-g-001": 460.0}).by_modality["audio"].s2 == 0

    def test_a_model_without_audio_wins_no_audio_task(self, rank_one):
        row = rank_one({"image-c-001": 10})
        assert (row.wins, row.by_modality["audio"].s3) == (0, 0)

    def test_language_rmse_compares_like_with_like(self, rank_one):
        assert rank_one({"language-002": 1.9}).wins == 1
        assert rank_one({"language-002": 2.1}).wins == 0

    def test_language_percentages_can_reach_their_references(self, rank_one):
        assert rank_one({"language-001": 70.0}).wins == 1

    def test_a_win_is_decided_on_raw_values_where_the_mapping_saturates(self, rank_one):
        # 0.6 and the reference 0.23 both map to 100 points.
        row = rank_one({"image-g-001": 0.6}, "B-image")
        assert row.s2 == pytest.approx(25)
        assert (row.s3, row.wins) == (0, 0)

    @pytest.mark.parametrize("bad", [nan, inf, -inf])
    def test_nan_and_infinity_are_refused(self, rank_one, bad):
        with pytest.raises(ScoreRefused) as refused:
            rank_one({"image-g-001": bad})
        assert refused.value.metadata["task"] == "image-g-001"


class TestPublishedConvention:
    @pytest.mark.parametrize("printed", [0.0, inf])
    def test_a_printed_zero_or_infinity_is_unsupported(self, rank_one, printed):
        row = rank_one({"image-g-001": printed, "image-c-001": 40}, "B-image", convention=PUBLISHED)
        assert (row.supported, row.wins, row.s2) == (1, 0, 10)

    def test_an_unsupported_ms_ssim_counts_fifty_points(self, rank_one):
        row = rank_one({"image-g-001": 1.0}, "B-image", convention=PUBLISHED)
        assert row.s2 == pytest.approx((FID_1 + 50) / 2 / 2)
        assert row.s3 == 0

    def test_a_model_without_any_generation_does_not_get_them(self, rank_one):
        row = rank_one({"image-c-001": 40}, "B-image", convention=PUBLISHED)
        assert row.s2 == 10

    def test_nan_is_refused(self, rank_one):
        with pytest.raises(ScoreRefused):
            rank_one({"image-g-001": nan}, convention=PUBLISHED)


def test_the_array_mapping_is_the_catalogue_s_for_every_metric(published_bench):
    plan = build_plan(published_bench, None, list(published_bench.boards.values()))
    random = np.random.default_rng(7)
    legal = np.empty((12, len(plan.tasks.ids)))
    for column, task_id in enumerate(plan.tasks.ids):
        metric = published_bench.metric_of(task_id)
        reference = plan.tasks.reference[column]
        low = -30.0 if metric.minimum is None else metric.minimum
        high = max(150.0, reference * 2) if metric.maximum is None else metric.maximum
        legal[:, column] = [low, high, reference, *random.uniform(low, high, 9)]
    supported = np.ones(legal.shape, dtype=bool)
    score = to_score(legal, supported, plan.tasks)
    reached = reaches(legal, supported, plan.tasks)
    for column, task_id in enumerate(plan.tasks.ids):
        metric = published_bench.metric_of(task_id)
        expected = [to_score_one(metric, float(raw)) for raw in legal[:, column]]
        assert score[:, column] == pytest.approx(expected, rel=1e-12, abs=1e-12), task_id
        reference = float(plan.tasks.reference[column])
        assert reached[:, column].tolist() == [
            reaches_one(metric, float(raw), reference) for raw in legal[:, column]
        ]


def test_the_real_catalogue_gives_every_board_its_tasks(published_bench):
    boards = list(published_bench.boards.values())
    arrays = build_boards(boards, published_bench.tasks)
    assert len(arrays.boards) == 2 + 7 + 10 + 145
    assert arrays.board_sizes.tolist() == [len(board.task_ids) for board in boards]
    full = arrays.boards[[board.id for board in boards].index("A-full")]
    pairs = [(pair.comprehension, pair.generation) for pair in full.modalities]
    sizes = [arrays.cell_sizes[cell] for pair in pairs for cell in pair if cell is not None]
    assert [*sizes, arrays.cell_sizes[full.language]] == [271, 45, 126, 46, 24, 20, 30, 22, 115]
