"""What joins one media metric to a job: how its columns come from the answers and the key."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar, overload

from general_level.catalogue.model import AnswerKind
from services.grader.media.key_reader import KeyReader
from services.grader.metric_options import metric_options
from services.grader.metrics.result import MetricResult
from services.grader.networks import Networks

T = TypeVar("T")


class LazyColumn(Sequence[T], Generic[T]):
    """A column whose entries are made each time they are asked for, so none need be kept."""

    def __init__(self, length: int, entry: Callable[[int], T]) -> None:
        self._length = length
        self._entry = entry

    def __len__(self) -> int:
        return self._length

    def __iter__(self) -> Iterator[T]:
        return map(self._entry, range(self._length))

    @overload
    def __getitem__(self, index: int, /) -> T: ...
    @overload
    def __getitem__(self, index: slice, /) -> Sequence[T]: ...
    def __getitem__(self, index: int | slice, /) -> T | Sequence[T]:
        if isinstance(index, slice):
            return [self._entry(place) for place in range(*index.indices(self._length))]
        if not -self._length <= index < self._length:
            raise IndexError(index)
        return self._entry(index % self._length)


@dataclass(frozen=True, slots=True)
class MediaJob:
    """One job of a media metric: decoded answers beside the opened key, aligned, one per item.

    ``answers`` are values of ``decode.columns.unpack``, None for an item that the submission left
    out. ``references`` are the key's accepted answers as they were sealed, read through ``key``.
    ``unfit`` collects the positions of answers that cannot be compared with their reference, such
    as a mask of another size: they count as missing, and the lab is told.
    """

    kind: AnswerKind
    options: Mapping[str, str]
    answers: Sequence[Any]
    references: Sequence[Sequence[Any]]
    key: KeyReader
    networks: Networks
    unfit: set[int] = field(default_factory=set)

    def __len__(self) -> int:
        return len(self.references)

    def answered(self, convert: Callable[[Any], T | None]) -> LazyColumn[T | None]:
        """The answers through ``convert``; what it makes None of counts as missing, as unfit."""

        def entry(item: int) -> T | None:
            answer = self.answers[item]
            if answer is None:
                return None
            made = convert(answer)
            if made is None:
                self.unfit.add(item)
            return made

        return LazyColumn(len(self), entry)

    def expected(self, read: Callable[[KeyReader, Any], T]) -> LazyColumn[T]:
        """The first accepted answer of each item, read from the key each time."""
        return LazyColumn(len(self), lambda item: read(self.key, self.references[item][0]))


@dataclass(frozen=True, slots=True)
class Binding:
    """One media metric as a job calls it.

    ``columns`` makes the positional arguments of ``function`` from a job; ``extractors`` are the
    names of the networks that it is given as keywords, ``options`` the keywords that a task may
    set. ``read`` reads one accepted answer of a key and raises ``ReferenceUnusable`` where it
    is of another form: sealing proves every answer by it. ``key_form`` says that form in words.
    """

    metric_id: str
    function: Callable[..., MetricResult]
    columns: Callable[[MediaJob], tuple[Any, ...]]
    read: Callable[[KeyReader, Any], Any]
    key_form: str
    kinds: frozenset[AnswerKind]
    oracle: str
    extractors: tuple[str, ...] = ()
    options: frozenset[str] = frozenset()

    def compute(self, job: MediaJob) -> MetricResult:
        """The metric's value over a job."""
        keywords = metric_options(job.options, self.options)
        networks = {name: job.networks(name) for name in self.extractors}
        return self.function(*self.columns(job), **networks, **keywords)
