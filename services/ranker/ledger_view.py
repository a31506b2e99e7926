"""The ledger as the ranker remembers it: verified scores of completed submissions.

Every statement is verified here again, with the ranker's own list of trusted keys: a gateway that
was broken into can hide a score, but cannot make one. Of a submission with one bad statement
nothing is ranked.

A view may begin with a checkpoint. It then takes the entries up to there as its former self judged
them, and gives no models before their digest has proved that they are the same.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from google.protobuf.timestamp_pb2 import Timestamp

from general_level.catalogue.mapping import is_legal
from general_level.catalogue.model import Catalogue
from general_level.errors import GeneralLevelError
from general_level.public_name import shown_model
from general_level.v1 import ranking_pb2 as pb
from general_level.v1.submission_pb2 import ModelMetadata
from general_level.wire import from_timestamp, to_rfc3339
from services.ranker.checkpoint import Checkpoint, LedgerChain, RefusedAt, basis_of
from services.ranker.standings import ModelEntry, TaskScore
from services.ranker.verifying import Claims, Opened, Verifier


class LedgerBroken(GeneralLevelError):
    """The ledger that the gateway shows is not the one that was read before."""

    reason = "LEDGER_BROKEN"


class CheckpointDisagrees(GeneralLevelError):
    """The ledger that the gateway shows is not the one that the checkpoint is about."""

    reason = "CHECKPOINT_DISAGREES"


@dataclass(frozen=True, slots=True)
class Refusal:
    """A statement that did not verify; ``what`` is one of a few fixed words."""

    submission_id: str
    task_id: str
    what: str


@dataclass(slots=True)
class _Submission:
    scores: dict[str, TaskScore] = field(default_factory=dict)
    #: What the statements say that they are about: (archive digest, catalogue id).
    about: set[tuple[str, str]] = field(default_factory=set)
    completion: pb.CompletionEntry | None = None
    #: Where the completion stands in the ledger.
    position: int = 0
    refused: bool = False

    def take_name(self, naming: pb.NamingEntry) -> None:
        """What the lab reveals; of what is not complete, the completion will say it."""
        if self.completion is not None:
            # A copy: who gave the entry has it still.
            completion = pb.CompletionEntry()
            completion.CopyFrom(self.completion)
            completion.model.CopyFrom(naming.model)
            self.completion = completion


class LedgerView:
    """Applies entries in order; gives the models and says which boards they touch."""

    def __init__(
        self, catalogue: Catalogue, verifier: Verifier, checkpoint: Checkpoint | None = None
    ) -> None:
        self._catalogue = catalogue
        self._verifier = verifier
        self._covered = _covered_boards(catalogue)
        self.basis = basis_of(catalogue, verifier.trusted_keys)
        self._begin(checkpoint)

    def _begin(self, checkpoint: Checkpoint | None) -> None:
        #: Entries up to its position are as it says; None once that is proved.
        self._unproved = checkpoint
        self._former: dict[int, RefusedAt] = (
            {one.position: one for one in checkpoint.refusals} if checkpoint else {}
        )
        self._chain = LedgerChain()
        self._refusals: list[RefusedAt] = []
        self._submissions: dict[str, _Submission] = {}
        self._touched: set[str] = set()
        #: The newest position that was applied.
        self.position = 0
        self._appended: Timestamp | None = None
        #: The newest position that can change a board or the state of a submission.
        self.relevant_position = 0

    @property
    def as_of(self) -> str:
        """When the newest entry was appended, RFC 3339; empty before the first."""
        return to_rfc3339(from_timestamp(self._appended)) if self._appended is not None else ""

    @property
    def unproved_position(self) -> int:
        """Where the checkpoint is that the entries have still to prove; 0 without one."""
        return self._unproved.position if self._unproved is not None else 0

    def start_over(self) -> None:
        """Forgets all entries and the checkpoint: the next one is the first, and is verified."""
        self._begin(None)

    def checkpoint(self) -> Checkpoint:
        """What was verified up to here, for a later self."""
        assert self._unproved is None
        return Checkpoint(
            self.basis,
            self.position,
            self._chain.digest(),
            list(self._refusals),
            {
                submission_id: sorted(submission.about)
                for submission_id, submission in self._submissions.items()
                if submission.about != _completed_about(submission)
            },
        )

    def apply(self, entries: Iterable[pb.LedgerEntry]) -> list[Refusal]:
        """Takes entries in the order of the ledger; returns what did not verify.

        Raises LedgerBroken unless the positions continue without a gap, and CheckpointDisagrees
        where they are not those of the checkpoint: nothing is to be taken from the view then.
        """
        entries = list(entries)
        opened = self._opened(entries)
        refusals: list[Refusal] = []
        for entry in entries:
            if entry.position != self.position + 1:
                raise LedgerBroken(expected=self.position + 1, position=entry.position)
            self._chain.add(entry)
            found = self._apply(entry, opened.get(entry.position))
            refusals += found
            self._refusals += [
                RefusedAt(entry.position, one.submission_id, one.task_id, one.what) for one in found
            ]
            self.position = entry.position
            self._appended = entry.append_time
            if self._unproved is not None and self.position == self._unproved.position:
                self._prove(self._unproved)
        return refusals

    def _opened(self, entries: Iterable[pb.LedgerEntry]) -> dict[int, Opened]:
        """The statements that are to be verified, by their positions."""
        scores = [
            entry
            for entry in entries
            if entry.WhichOneof("entry") == "score"
            and entry.position > self.unproved_position
            and entry.score.task_id in self._catalogue.tasks
        ]
        opened = self._verifier.open([entry.score.envelope for entry in scores])
        return {entry.position: one for entry, one in zip(scores, opened, strict=True)}

    def _prove(self, checkpoint: Checkpoint) -> None:
        """Ends the trust in a checkpoint: what was read is what it is about, or worth nothing."""
        if self._chain.digest() != checkpoint.digest:
            raise CheckpointDisagrees(position=checkpoint.position)
        for submission_id, submission in self._submissions.items():
            known = checkpoint.about.get(submission_id)
            submission.about = set(known) if known is not None else _completed_about(submission)
        self._unproved, self._former = None, {}

    def models(self) -> list[ModelEntry]:
        """Every completed submission without a refused statement."""
        assert self._unproved is None, "entries that nobody has verified are not ranked"
        return [
            ModelEntry(
                submission_id=submission_id,
                model_name=(shown := _shown(completion)).model_name,
                organisation=shown.organisation,
                submitted_board_id=completion.board_id,
                completed_at=to_rfc3339(from_timestamp(completion.complete_time)),
                scores=dict(submission.scores),
                owner=completion.lab_id,
            )
            for submission_id, submission in self._submissions.items()
            if (completion := submission.completion) is not None
            and not submission.refused
            and completion.board_id in self._catalogue.boards
        ]

    def models_with(
        self, scores: Iterable[pb.ScoreEntry]
    ) -> tuple[list[ModelEntry], list[ModelEntry], list[str]]:
        """The models as they are, as they would be with these scores, and who would be left out.

        The scores are not in the ledger: they would supersede others of the same submissions. Those
        that do not verify, or are about another archive, are named by their submission.
        """
        new: dict[str, dict[str, TaskScore]] = {}
        refused = []
        scores = list(scores)
        opened = self._verifier.open([score.envelope for score in scores])
        for score, statement in zip(scores, opened, strict=True):
            known = self._submissions.get(score.submission_id, _Submission())
            tried = _Submission(about=set(known.about))
            if self._fault(score, tried, statement) or len(tried.about) > 1:
                refused.append(score.submission_id)
            else:
                new.setdefault(score.submission_id, {})[score.task_id] = _task_score(score)
        models = self.models()
        changed = [
            replace(model, scores={**model.scores, **new.get(model.submission_id, {})})
            for model in models
        ]
        return models, changed, refused

    def refused_ids(self) -> list[str]:
        """Completed submissions that are left out because a statement did not verify."""
        return [
            submission_id
            for submission_id, submission in self._submissions.items()
            if submission.refused and submission.completion is not None
        ]

    def newest_ids(self, position: int, count: int) -> list[str]:
        """The submissions that were completed last up to a position, ``count`` of them at most.

        When a publication of that position took so many out of RANKING, these are they.
        """
        complete = [
            (submission.position, submission_id)
            for submission_id, submission in self._submissions.items()
            if 0 < submission.position <= position and not submission.refused
        ]
        return [submission_id for _, submission_id in heapq.nlargest(count, complete)]

    def take_touched(self) -> set[str]:
        """The boards that may have changed since this was last asked."""
        touched, self._touched = self._touched, set()
        return touched

    def put_back(self, board_ids: Iterable[str]) -> None:
        """Says that boards were taken and could not be published."""
        self._touched.update(board_ids)

    def _apply(self, entry: pb.LedgerEntry, opened: Opened | None) -> list[Refusal]:
        match entry.WhichOneof("entry"):
            case "score":
                submission = self._submissions.setdefault(entry.score.submission_id, _Submission())
                if self._unproved is not None:
                    refusals = self._as_before(submission, entry.position)
                    if not refusals:
                        submission.scores[entry.score.task_id] = _task_score(entry.score)
                else:
                    refusals = self._take_score(submission, entry.score, opened)
            case "completion":
                submission = self._submissions.setdefault(
                    entry.completion.submission_id, _Submission()
                )
                submission.completion, submission.position = entry.completion, entry.position
                if self._unproved is not None:
                    refusals = self._as_before(submission, entry.position)
                else:
                    refusals = self._check_about(submission)
            case "naming":
                submission = self._submissions.get(entry.naming.submission_id, _Submission())
                submission.take_name(entry.naming)
                refusals = []
            case "withdrawal":
                withdrawn = entry.withdrawal.submission_id
                submission, refusals = self._submissions.pop(withdrawn, _Submission()), []
            case _:
                return []
        if submission.completion is not None:
            self._touched |= self._covered.get(submission.completion.board_id, frozenset())
            self.relevant_position = entry.position
        return refusals

    def _as_before(self, submission: _Submission, position: int) -> list[Refusal]:
        """The verdict of a former self on an entry up to the checkpoint."""
        former = self._former.get(position)
        if former is None:
            return []
        submission.refused = True
        return [Refusal(former.submission_id, former.task_id, former.what)]

    def _take_score(
        self, submission: _Submission, score: pb.ScoreEntry, opened: Opened | None
    ) -> list[Refusal]:
        what = self._fault(score, submission, opened)
        if what:
            submission.refused = True
            return [Refusal(score.submission_id, score.task_id, what)]
        submission.scores[score.task_id] = _task_score(score)
        return self._check_about(submission) if submission.completion is not None else []

    def _fault(self, score: pb.ScoreEntry, submission: _Submission, opened: Opened | None) -> str:
        """What is wrong with a score; empty if it may count."""
        task = self._catalogue.tasks.get(score.task_id)
        if task is None:
            return "task"
        metric = self._catalogue.metrics[task.metric_id]
        if not isinstance(opened, Claims):
            return opened or "envelope"
        error = score.standard_error if score.HasField("standard_error") else None
        if opened[:6] != (
            score.submission_id,
            score.task_id,
            score.value,
            error,
            score.item_count,
            score.missing_count,
        ):
            return "mismatch"
        if (opened.metric_id, opened.metric_version) != (metric.id, metric.version):
            return "metric"
        if not is_legal(metric, score.value):
            return "value"
        submission.about.add((opened.archive_sha256, opened.catalogue_id))
        return ""

    def _check_about(self, submission: _Submission) -> list[Refusal]:
        """Whether all statements are about the archive and the catalogue of the completion."""
        completion = submission.completion
        assert completion is not None
        if submission.about <= {(completion.archive_sha256, completion.catalogue_id)}:
            return []
        submission.refused = True
        return [Refusal(completion.submission_id, "", "archive")]


def _shown(completion: pb.CompletionEntry) -> ModelMetadata:
    """The model as the public may see it, also where a gateway of before wrote the whole of it."""
    return shown_model(completion.lab_id, completion.model)


def _task_score(score: pb.ScoreEntry) -> TaskScore:
    return TaskScore(
        value=score.value,
        n=score.item_count,
        stderr=score.standard_error if score.HasField("standard_error") else None,
    )


def _completed_about(submission: _Submission) -> set[tuple[str, str]]:
    """What its statements are about if the completion of a submission tells; nothing before it."""
    completion = submission.completion
    return {(completion.archive_sha256, completion.catalogue_id)} if completion else set()


def _covered_boards(catalogue: Catalogue) -> dict[str, frozenset[str]]:
    """For each board, the boards on which a submission made for it stands."""
    tasks = {board.id: frozenset(board.task_ids) for board in catalogue.boards.values()}
    return {
        made_for: frozenset(board for board, needed in tasks.items() if needed <= held)
        for made_for, held in tasks.items()
    }
