"""What the specialists reach on a board: the mean of their references as scores."""

from __future__ import annotations

from statistics import fmean

from general_level.catalogue import Catalogue
from general_level.catalogue.mapping import to_score


class Specialists:
    """Means in points of 100 by board, for every reference list; computed once.

    A reference becomes a score as a model's raw value does, so that the mean of a board is what a
    model would have there that reaches every specialist and passes none.
    """

    def __init__(self, catalogue: Catalogue) -> None:
        self._default = catalogue.default_reference_list
        self._scores = {
            one.id: {
                task_id: to_score(catalogue.metric_of(task_id), reference.score)
                for task_id, reference in one.references.items()
            }
            for one in catalogue.reference_lists.values()
        }
        self._means = {
            list_id: {
                board.id: fmean(scores[task_id] for task_id in board.task_ids)
                for board in catalogue.boards.values()
            }
            for list_id, scores in self._scores.items()
        }

    def mean(self, board_id: str, list_id: str | None = None) -> float:
        """Of a board's tasks; by the default list where ``list_id`` is none that we have.

        KeyError for an unknown board.
        """
        return self._means.get(list_id or "", self._means[self._default])[board_id]

    def score(self, task_id: str, list_id: str | None = None) -> float:
        """Of one task; KeyError for an unknown one."""
        return self._scores.get(list_id or "", self._scores[self._default])[task_id]
