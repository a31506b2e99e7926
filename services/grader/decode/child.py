"""The process inside the decode box: decoders first, then hardening, then untrusted bytes."""

from __future__ import annotations

import argparse
import errno
import importlib
import io
import itertools
import os
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

import numpy as np

from general_level.catalogue.limits import MAX_MEMBERS
from general_level.catalogue.model import AnswerKind
from services.grader.decode import frames, protocol
from services.grader.decode.hardening import apply_all, standard_steps
from services.grader.decode.protocol import Decoder, Emit, PartsFull, WarmUp
from services.grader.outcomes import EXIT_OUT_OF_MEMORY

_SKIP_BYTES: Final = 1024 * 1024


@dataclass(slots=True)
class _PipeMember:
    """A member whose bytes come next on the pipe."""

    path: str
    size_bytes: int
    source: BinaryIO
    left: int

    def read(self, size: int, /) -> bytes:
        """Up to ``size`` of the bytes that are left; EOFError if the worker went away."""
        want = min(size, self.left)
        data = self.source.read(want)
        if len(data) != want:
            raise EOFError("the worker closed its pipe")
        self.left -= want
        return data

    def skip(self) -> None:
        """Passes over what was not read."""
        while self.left:
            self.read(_SKIP_BYTES)


def _members(source: BinaryIO, sink: BinaryIO) -> Iterator[_PipeMember]:
    """The members as they come; the worker is told of each before anything looks at it."""
    for number in itertools.count():
        head = frames.read(source, protocol.HEAD_LIMITS)
        if not head:
            return
        _write(sink, protocol.encode_progress(number))
        size = int(head["size"][0])
        member = _PipeMember(head["path"].tobytes().decode(), size, source, size)
        yield member
        member.skip()


def _answer(
    decoders: Mapping[AnswerKind, Decoder], source: BinaryIO, sink: BinaryIO, emit: Emit
) -> frames.Arrays:
    """Reads one request with all its members, sends its parts, and returns its answer."""
    request = protocol.decode_request(frames.read(source, protocol.HEAD_LIMITS))
    members = _members(source, sink)
    decoder = decoders.get(request.kind)
    if decoder is None:
        answer = protocol.encode_answer(protocol.NO_DECODER)
    else:
        arrays, findings = decoder(request, members, emit)
        status = protocol.REFUSED if arrays is None else protocol.DECODED
        answer = protocol.encode_answer(status, arrays, findings)
    for _ in members:
        pass
    return answer


class _Emitter:
    """Sends the parts of one answer, as long as they fit."""

    def __init__(self, sink: BinaryIO, max_bytes: int, max_parts: int) -> None:
        self._sink = sink
        self._left_bytes = max_bytes
        self._left_parts = max_parts

    def __call__(self, arrays: frames.Arrays) -> None:
        buffers = frames.encode(arrays)
        size = sum(map(len, buffers))
        if size > self._left_bytes or not self._left_parts:
            raise PartsFull
        self._left_bytes -= size
        self._left_parts -= 1
        for buffer in buffers:
            self._sink.write(buffer)
        self._sink.flush()


def _write(sink: BinaryIO, arrays: frames.Arrays) -> None:
    for part in frames.encode(arrays):
        sink.write(part)
    sink.flush()


def _discard(_arrays: frames.Arrays) -> None:
    """Where the parts of the warm-up go."""


def _warm_up(decoders: Mapping[AnswerKind, Decoder], jobs: Iterable[WarmUp]) -> None:
    for job in jobs:
        members = [
            _PipeMember(path, len(data), io.BytesIO(data), len(data))
            for path, data in job.members.items()
        ]
        decoders[job.request.kind](job.request, iter(members), _discard)


def main() -> None:
    """Serves decode requests on standard input until it closes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--decoders", required=True, help="module that has DECODERS and WARM_UP")
    parser.add_argument("--memory-bytes", type=int, required=True)
    parser.add_argument("--cpu-seconds", type=int, required=True)
    parser.add_argument("--open-files", type=int, required=True)
    parser.add_argument("--parts-bytes", type=int, required=True)
    parser.add_argument("--without", action="append", default=[], help="a wall to leave out")
    arguments = parser.parse_args()

    module = importlib.import_module(arguments.decoders)
    decoders: Mapping[AnswerKind, Decoder] = module.DECODERS
    _warm_up(decoders, module.WARM_UP)
    # Whatever a library prints must not get among the frames.
    sink = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    source: BinaryIO = sys.stdin.buffer

    steps = standard_steps(
        Path.cwd(),
        memory_bytes=arguments.memory_bytes,
        cpu_seconds=arguments.cpu_seconds,
        open_files=arguments.open_files,
    )
    skipped = apply_all(steps, arguments.without)
    _write(sink, {"skipped": np.array(skipped, dtype=np.uint8)})
    while True:
        try:
            emit = _Emitter(sink, arguments.parts_bytes, MAX_MEMBERS)
            _write(sink, _answer(decoders, source, sink, emit))
        except EOFError:
            return
        except MemoryError:
            os._exit(EXIT_OUT_OF_MEMORY)  # a teardown would need memory
        except OSError as error:
            if error.errno == errno.ENOMEM:
                os._exit(EXIT_OUT_OF_MEMORY)
            raise


if __name__ == "__main__":
    main()
