"""Reads what a key holds: the same kinds and files as answers, and the operator's own texts.

The key is trusted, unlike an answer; reading it checks its form all the same, so that sealing can
refuse what grading could not use. No message of an error here holds a part of a key.
"""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any, TypeVar

import msgspec
import numpy as np
from numpy.typing import NDArray

from general_level.catalogue.model import AnswerKind
from general_level.submission.answer_forms import form_of
from services.grader.decode import columns
from services.grader.decode.columns import Answers
from services.grader.decode.contents import CONTENT_KINDS, assemble, with_segments
from services.grader.decode.decoders import has_runs
from services.grader.decode.formats.arrays import read_npz
from services.grader.decode.formats.unusable import Unusable, guarded
from services.grader.decode.frames import FrameInvalid
from services.grader.decode.media_decoders import inline, reader_of
from services.grader.decode.values import Sound, Video, as_rgb

T = TypeVar("T")

#: Makes the arrays of a part of a file's bytes and ending; it may raise Unusable.
Reader = Callable[[bytes, str], dict[str, NDArray[Any]]]


class ReferenceUnusable(ValueError):
    """An accepted answer of a key has another form than its metric compares with.

    The message says which form is wanted and holds nothing of the answer.
    """


class KeyReader:
    """Reads the accepted answers of one task: ``files`` are the key's, by path in its folder."""

    def __init__(
        self, kind: AnswerKind, options: Mapping[str, str], files: Mapping[str, bytes]
    ) -> None:
        self.kind = kind
        self.options = options
        self._files = files

    def answer(
        self, value: object, kind: AnswerKind | None = None, reader: Reader | None = None
    ) -> Any:
        """A value in the form of the task's answers (or of ``kind``), as ``columns.unpack`` gives.

        So a reference may be written, and its files encoded, just as a lab would. ``reader`` takes
        the place of the one that reads the files of answers.
        """
        kind = kind or self.kind
        form = form_of(kind, self.options)
        try:
            found = msgspec.convert(value, form.type)
        except msgspec.ValidationError:
            raise ReferenceUnusable(form.expected) from None
        if form.normalise:
            found = form.normalise(found)
        if form.fault and form.fault(found):
            raise ReferenceUnusable(form.expected)
        try:
            return self._unpacked(kind, found, form.media_paths, reader)
        except (FrameInvalid, UnicodeEncodeError):
            raise ReferenceUnusable(form.expected) from None

    def _unpacked(
        self, kind: AnswerKind, found: Any, media_paths: Any, reader: Reader | None
    ) -> Any:
        """A checked value of the schema, as it comes out of a box."""
        if kind in CONTENT_KINDS:
            return self._content(kind, found, media_paths, reader)
        if has_runs(kind, self.options):
            found = columns.with_runs(kind, found)
            if found is None:
                raise ReferenceUnusable("masks of a size that is accepted")
        packed = columns.pack(kind, Answers(["1"], [found], [0]), self.options)
        return columns.unpack(kind, packed, self.options).values[0]

    def _content(
        self, kind: AnswerKind, value: Any, media_paths: Any, reader: Reader | None
    ) -> Any:
        """What is inside the files that a value names, or what it holds itself."""
        paths: Sequence[str] = media_paths(value)
        read = reader or reader_of(kind, self.options)
        try:
            parts = [
                guarded(lambda path=path: read(self.file(path), _ending(path)))  # type: ignore[misc]
                for path in paths
            ] or [inline(value)]
        except Unusable as unusable:
            raise ReferenceUnusable(f"{kind.value} files that can be read") from unusable
        found = assemble(kind, parts)
        return with_segments(found, value) if kind is AnswerKind.PANOPTIC else found

    def file(self, path: object) -> bytes:
        """The bytes of a file of the key; ReferenceUnusable where it has none of this path."""
        name = posixpath.normpath(path) if isinstance(path, str) else ""
        if name not in self._files:
            raise ReferenceUnusable("the path of a file that was sealed with the key")
        return self._files[name]

    def image(self, path: object) -> NDArray[Any]:
        """A picture as it crosses a box: uint8 or uint16 [h, w], or uint8 [h, w, 3]."""
        return np.asarray(self.answer(path, AnswerKind.IMAGE))

    def rgb(self, path: object) -> NDArray[np.uint8]:
        """A picture as uint8 [h, w, 3]."""
        return as_rgb(self.image(path))

    def video(self, path: object) -> Video:
        """A video with its frame rate."""
        found: Video = self.answer(path, AnswerKind.VIDEO)
        return found

    def sound(self, path: object) -> Sound:
        """A sound with its sample rate."""
        found: Sound = self.answer(path, AnswerKind.AUDIO)
        return found

    def arrays(self, path: object, *names: str) -> list[NDArray[Any]]:
        """Arrays of an NPZ file by name, as they are; ReferenceUnusable where one is lacking."""
        data = self.file(path)
        try:
            found = guarded(lambda: read_npz(data))
        except Unusable:
            found = {}
        if not set(names) <= found.keys():
            raise ReferenceUnusable(f"an .npz file with the arrays {', '.join(names)}")
        return [found[name] for name in names]

    @staticmethod
    def text(value: object) -> str:
        """A text that is not blank."""
        if not isinstance(value, str) or not value.strip():
            raise ReferenceUnusable("a text")
        return value

    @staticmethod
    def fields(value: object, **types: Any) -> dict[str, Any]:
        """The named fields of an object, each converted to its type; other fields are ignored."""
        names = ", ".join(types)
        if not isinstance(value, Mapping) or not types.keys() <= value.keys():
            raise ReferenceUnusable(f"an object with the fields {names}")
        try:
            return {name: msgspec.convert(value[name], wanted) for name, wanted in types.items()}
        except msgspec.ValidationError:
            raise ReferenceUnusable(f"an object with the fields {names}") from None


def _ending(path: str) -> str:
    return PurePosixPath(path).suffix.lower()
