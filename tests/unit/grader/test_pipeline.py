"""The pipeline's parts that need no process: boxes by submission, members and their digests."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator
from dataclasses import replace
from random import Random

import pytest

from general_level import catalogue
from general_level.catalogue.model import AnswerKind
from services.grader.backoff import Backoff
from services.grader.decode.box import BoxRefusal, Decoded, IncomingMember
from services.grader.decode.protocol import DecodeRequest
from services.grader.outcomes import Fault, GraderFault
from services.grader.pipeline import Boxes, MembersRead, is_served, served_metrics

REQUEST = DecodeRequest(AnswerKind.TEXT, {})


async def no_members() -> AsyncIterator[IncomingMember]:
    for member in ():
        yield member


class MemoryBox:
    """A box that decodes nothing and counts who is inside."""

    def __init__(self) -> None:
        self.alive = True
        self.decoded = 0
        self.inside = 0
        self.most_inside = 0
        self.crash = False

    async def decode(
        self, request: DecodeRequest, members: AsyncIterator[IncomingMember]
    ) -> Decoded | BoxRefusal:
        self.inside += 1
        self.most_inside = max(self.inside, self.most_inside)
        await asyncio.sleep(0)
        self.inside -= 1
        if self.crash:
            self.alive = False
            raise GraderFault(Fault.DECODER_CRASHED, "decoding")
        self.decoded += 1
        return Decoded({}, ())

    async def close(self) -> None:
        await asyncio.sleep(0)
        self.alive = False


class Starter:
    def __init__(self) -> None:
        self.boxes: list[MemoryBox] = []
        self.content: list[bool] = []

    async def __call__(self, content: bool) -> MemoryBox:
        self.content.append(content)
        self.boxes.append(MemoryBox())
        return self.boxes[-1]


async def test_a_submission_keeps_its_box_and_its_jobs_take_turns() -> None:
    start = Starter()
    boxes = Boxes(start, capacity=2)
    await asyncio.gather(*(boxes.decode("a", REQUEST, no_members()) for _ in range(5)))
    (box,) = start.boxes
    assert (box.decoded, box.most_inside) == (5, 1)


async def test_submissions_never_share_a_box() -> None:
    start = Starter()
    boxes = Boxes(start, capacity=4)
    await asyncio.gather(*(boxes.decode(name, REQUEST, no_members()) for name in "abc"))
    assert [box.decoded for box in start.boxes] == [1, 1, 1]


async def test_media_content_is_decoded_in_a_box_of_its_own() -> None:
    start = Starter()
    boxes = Boxes(start, capacity=4)
    media = replace(REQUEST, content=True)
    for request in (REQUEST, media, REQUEST, media):
        await boxes.decode("a", request, no_members())
    assert [box.decoded for box in start.boxes] == [2, 2]
    assert start.content == [False, True]


async def test_the_least_recently_used_box_is_closed_over_the_capacity() -> None:
    start = Starter()
    boxes = Boxes(start, capacity=2)
    for name in ("a", "b", "a", "c"):
        await boxes.decode(name, REQUEST, no_members())
    assert [box.alive for box in start.boxes] == [True, False, True]
    await boxes.close_idle()
    assert [box.alive for box in start.boxes] == [False, False, False]


async def test_a_dead_box_is_replaced() -> None:
    start = Starter()
    boxes = Boxes(start, capacity=2)
    await boxes.decode("a", REQUEST, no_members())
    start.boxes[0].crash = True
    with pytest.raises(GraderFault):
        await boxes.decode("a", REQUEST, no_members())
    await boxes.decode("a", REQUEST, no_members())
    assert [box.alive for box in start.boxes] == [False, True]


def member(path: str, content: bytes, size: int | None = None) -> IncomingMember:
    async def chunks() -> AsyncIterator[bytes]:
        for start in range(0, len(content), 3):
            yield content[start : start + 3]

    return IncomingMember(path, len(content) if size is None else size, chunks())


async def read(*members: IncomingMember) -> dict[str, str]:
    async def source() -> AsyncIterator[IncomingMember]:
        for one in members:
            yield one

    reading = MembersRead(source())
    async for one in reading:
        async for _ in one.chunks:
            pass
    return reading.digests


async def test_members_pass_with_their_digests() -> None:
    digests = await read(member("prediction.json", b"12345678"), member("a.png", b""))
    assert digests == {
        "prediction.json": hashlib.sha256(b"12345678").hexdigest(),
        "a.png": hashlib.sha256(b"").hexdigest(),
    }


@pytest.mark.parametrize(
    "members",
    [
        [member("a", b"1234", size=3)],
        [member("a", b"1234", size=5)],
        [member("a", b"", size=-1)],
        [member("a", b"", size=1 << 60)],
        [member("", b"1")],
        [member("a" * 600, b"1")],
        [member("a", b"1"), member("a", b"2")],
    ],
)
async def test_members_that_are_not_as_announced_are_a_fault(members: list[IncomingMember]) -> None:
    with pytest.raises(GraderFault) as caught:
        await read(*members)
    assert caught.value.fault is Fault.INTERNAL


async def test_a_box_that_passes_over_a_member_cannot_hide_it() -> None:
    async def source() -> AsyncIterator[IncomingMember]:
        yield member("a", b"1")
        yield member("b", b"2")

    with pytest.raises(GraderFault):
        async for _ in MembersRead(source()):
            pass


def test_planned_metrics_are_not_served_and_text_ones_are() -> None:
    bench = catalogue.load()
    for task in bench.tasks.values():
        planned = bench.metrics[task.metric_id].grading.value == "planned"
        assert is_served(bench, task) is not planned
    assert "accuracy" in served_metrics(bench, "image")
    assert served_metrics(bench, "no-modality") == ()


def test_delays_double_with_jitter_up_to_a_cap() -> None:
    backoff = Backoff(Random(1), first_seconds=1.0, cap_seconds=4.0)
    delays = [backoff.next_seconds() for _ in range(40)]
    for delay, full in zip(delays, [1.0, 2.0, 4.0] + [4.0] * 37, strict=True):
        assert full / 2 <= delay <= full
    assert len(set(delays)) == 40
    backoff.reset()
    assert backoff.next_seconds() <= 1.0


class LingeringBox(MemoryBox):
    """A box whose end takes until it is told."""

    def __init__(self) -> None:
        super().__init__()
        self.closing = asyncio.Event()
        self.may_close = asyncio.Event()
        self.interrupted = False

    async def decode(
        self, request: DecodeRequest, members: AsyncIterator[IncomingMember]
    ) -> Decoded | BoxRefusal:
        decoded = await super().decode(request, members)
        async for _ in members:
            pass
        if not self.alive:
            raise GraderFault(Fault.DECODER_CRASHED, "decoding")
        return decoded

    async def close(self) -> None:
        self.closing.set()
        await self.may_close.wait()
        self.alive = False


async def test_a_box_that_got_a_job_while_another_closed_is_not_closed() -> None:
    made: list[LingeringBox] = []

    async def start(content: bool) -> LingeringBox:
        made.append(LingeringBox())
        return made[-1]

    boxes = Boxes(start, capacity=4)
    await boxes.decode("a", REQUEST, no_members())
    await boxes.decode("b", REQUEST, no_members())
    finish = asyncio.Event()

    async def slow_members() -> AsyncIterator[IncomingMember]:
        await finish.wait()
        for one in ():
            yield one

    closing = asyncio.create_task(boxes.close_idle())
    await made[0].closing.wait()
    working = asyncio.create_task(boxes.decode("b", REQUEST, slow_members()))
    await asyncio.sleep(0)
    for box in made:
        box.may_close.set()
    await closing
    finish.set()
    assert await working == Decoded({}, ())
    assert [box.alive for box in made] == [False, True]


async def test_jobs_that_make_room_at_once_close_each_box_once() -> None:
    start = Starter()
    boxes = Boxes(start, capacity=1)
    # All in use at once, so that several are over the capacity when the next come.
    for names in ("abc", "de"):
        await asyncio.gather(*(boxes.decode(name, REQUEST, no_members()) for name in names))
    await boxes.close_idle()
    assert not any(box.alive for box in start.boxes)
