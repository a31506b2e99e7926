"""A page is made once, however many ask, and stays where it is asked for by all."""

from __future__ import annotations

import asyncio
import gzip
import threading

import pytest
from starlette.requests import Request
from starlette.responses import Response

from general_level.errors import ResourceExhausted
from services.gateway.web.answers import Answers
from services.gateway.web.renders import Renders, TooManyWaiting, Urgency


def request(path: str = "/boards/A-full", query: str = "", **headers: str) -> Request:
    return Request(
        {
            "type": "http",
            "method": "GET",
            "path": path,
            "query_string": query.encode(),
            "headers": [(n.replace("_", "-").encode(), v.encode()) for n, v in headers.items()],
            "client": ("203.0.113.7", 1),
        }
    )


class Made:
    """Counts how often a page was made; ``gate`` holds the first one back."""

    def __init__(self) -> None:
        self.count = 0
        self.gate = threading.Event()

    def page(self) -> str:
        self.gate.wait(60)
        self.count += 1
        return f"page {self.count}"


async def test_however_many_ask_a_page_is_made_once() -> None:
    answers, made = Answers(), Made()
    asked = [
        asyncio.create_task(answers.answer(request(accept_encoding=coding), "v1", made.page))
        for coding in ("gzip", "", "br, gzip") * 30
    ]
    await asyncio.sleep(0)
    # One who goes takes nothing from the others.
    asked[0].cancel()
    made.gate.set()
    got = list(await asyncio.gather(*asked, return_exceptions=True))
    assert isinstance(got[0], asyncio.CancelledError)
    bodies = {
        gzip.decompress(one.body) if "content-encoding" in one.headers else one.body
        for one in got
        if isinstance(one, Response)
    }
    assert bodies == {b"page 1"}
    assert made.count == 1
    # Another version is another page, and takes the place of the first.
    kept = answers.kept_bytes
    again = await answers.answer(request(), "v2", made.page)
    assert again.body == b"page 2"
    assert answers.kept_bytes == kept


async def test_who_has_it_is_told_so_without_its_being_made() -> None:
    answers, made = Answers(), Made()
    made.gate.set()
    first = await answers.answer(request(), "v1", made.page)
    tag = first.headers["etag"]
    other = await answers.answer(request(if_none_match=f'"x", {tag}'), "v1", made.page)
    assert (other.status_code, other.body) == (304, b"")
    newer = await answers.answer(request(if_none_match=tag), "v2", made.page)
    assert (newer.status_code, made.count) == (200, 2)


async def test_searches_neither_take_a_page_s_place_nor_grow_without_end() -> None:
    answers, made = Answers(kept_bytes_max=4_000, searched_bytes_max=4_000), Made()
    made.gate.set()
    await answers.answer(request(), "v1", made.page)
    for number in range(500):
        await answers.answer(request(query=f"q={number}"), "v1", lambda: "x" * 500)
    assert answers.kept_bytes < 8_000
    await answers.answer(request(), "v1", made.page)
    assert made.count == 1
    assert answers.read_last(10) == ["/boards/A-full"]


async def test_a_reader_is_asked_for_before_a_page_is_made_for_it_alone() -> None:
    asked: list[bool] = []

    def admit(_request: Request, alone: bool) -> None:
        asked.append(alone)
        if len(asked) > 2:
            raise ResourceExhausted

    answers, made = Answers(admit=admit), Made()
    made.gate.set()
    await answers.answer(request(), "v1", made.page)
    await answers.answer(request(), "v1", made.page)
    assert asked == [False]
    for _ in range(3):
        await answers.answer(request(query="q=a"), "v1", made.page)
    assert asked == [False, True]
    with pytest.raises(ResourceExhausted):
        await answers.answer(request(query="q=b"), "v1", made.page)
    assert made.count == 2


async def test_a_page_that_fails_fails_for_all_and_is_tried_again() -> None:
    answers, tries = Answers(), []

    def fails() -> str:
        tries.append(1)
        if len(tries) == 1:
            raise RuntimeError("broken")
        return "whole"

    async with asyncio.TaskGroup() as group:
        both = [
            group.create_task(_caught(answers.answer(request(), "v1", fails))) for _ in range(2)
        ]
    assert [one.result() for one in both] == ["broken", "broken"]
    assert (await answers.answer(request(), "v1", fails)).body == b"whole"


async def _caught(answer: object) -> str:
    with pytest.raises(RuntimeError) as caught:
        await answer  # type: ignore[misc]
    return str(caught.value)


async def test_what_many_read_goes_before_a_search_and_a_long_line_is_refused() -> None:
    refusals: list[int] = []
    renders: Renders[str] = Renders(waiting_max=4, refused=lambda: refusals.append(1))
    gate, order = threading.Event(), []

    def work(name: str) -> str:
        gate.wait(60)
        order.append(name)
        return name

    async with asyncio.TaskGroup() as group:
        for name, urgency in (
            ("first", Urgency.SEARCH),
            ("ahead", Urgency.AHEAD),
            ("search", Urgency.SEARCH),
            ("page", Urgency.PAGE),
        ):
            group.create_task(renders.run(lambda name=name: work(name), urgency))  # type: ignore[misc]
            await asyncio.sleep(0)
        group.create_task(renders.run(lambda: work("page 2"), Urgency.PAGE))
        await asyncio.sleep(0)
        with pytest.raises(TooManyWaiting):
            await renders.run(lambda: work("one too many"), Urgency.PAGE)
        gate.set()
    assert order == ["first", "page", "page 2", "search", "ahead"]
    assert refusals == [1]
