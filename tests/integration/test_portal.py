"""The portal of a real gateway over real sockets: sessions, forgeries, forms and pages."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator
from datetime import timedelta
from ipaddress import ip_network
from pathlib import Path

import pytest
from sqlalchemy import func, select

from services.gateway import agreement, identity, web_sessions
from services.gateway.states import State
from services.gateway.storage.tables import web_sessions as table
from services.kit.clock import ManualClock
from tests.support.gateway import BOARD, START, Archive, Running, archive, eventually, of_members
from tests.support.portal import Browser, browser, create_fields, portal
from tests.support.site import entry, publish

pytestmark = pytest.mark.usefixtures("stores")

COOKIE = "general-level-session"
HOSTILE = "<script>alert('x')</script>"


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(START)


@pytest.fixture
async def gateway(tmp_path: Path, clock: ManualClock) -> AsyncIterator[Running]:
    async with portal(tmp_path, clock) as gateway:
        yield gateway


async def rows(gateway: Running) -> int:
    count = select(func.count()).select_from(table)
    found = await gateway.gateway.database.run_read(lambda connection: connection.scalar(count))
    return int(found or 0)


async def revoke(gateway: Running, token: str | None) -> None:
    assert token is not None
    token_id = "_".join(token.split("_")[1:3])
    await gateway.gateway.database.run_write(identity.revoke_token, START, token_id)


# Sessions.


async def test_a_session_is_a_cookie_that_no_script_reads_and_a_digest_in_the_table(
    gateway: Running,
) -> None:
    lab = await gateway.new_lab()
    assert lab.token is not None
    async with browser(gateway) as one:
        assert (await one.get("/portal")).headers["location"] == "/sign-in?next=/portal"
        answer = await one.sign_in(lab.token)
        assert (answer.status_code, answer.headers["location"]) == (303, "/portal")
        parts = {part.strip().lower() for part in answer.headers["set-cookie"].split(";")[1:]}
        assert parts == {"httponly", "max-age=43200", "path=/", "samesite=lax"}
        secret = one.client.cookies[COOKIE]
        stored = await gateway.gateway.database.run_read(
            lambda connection: connection.execute(select(table)).one()
        )
        assert stored.session_sha256 == hashlib.sha256(secret.encode()).hexdigest()
        assert len(bytes.fromhex(secret)) == 32
        page = await one.get("/portal")
        assert page.headers["cache-control"] == "no-store"
        assert secret not in page.text
        assert lab.token not in page.text
        await one.post("/portal/sign-out")
        assert await rows(gateway) == 0
        assert (await one.get("/portal")).status_code == 303


@pytest.mark.parametrize("url", ["https://Board.example.org", "https://board.example.org:443/"])
async def test_where_the_site_is_served_at_https_the_cookie_is_for_https_alone(
    tmp_path: Path, url: str
) -> None:
    async with portal(tmp_path, web_url=url) as gateway:
        lab = await gateway.new_lab()
        assert lab.token is not None
        async with browser(gateway) as one:
            own = "https://board.example.org"
            form = {"token": lab.token}
            assert (await one.post("/sign-in", form)).status_code == 403
            answer = await one.post("/sign-in", form, origin=own)
            name, *parts = answer.headers["set-cookie"].lower().split("; ")
            assert name.startswith(f"__host-{COOKIE}=")
            assert "secure" in parts
            assert not [part for part in parts if part.startswith("domain")]


async def test_the_setting_stands_over_what_a_proxy_says_of_the_scheme(tmp_path: Path) -> None:
    own, networks = "https://board.example.org", (ip_network("127.0.0.1/32"),)
    async with portal(tmp_path, web_url=own, web_trusted_proxies=networks) as gateway:
        lab = await gateway.new_lab()
        assert lab.token is not None
        async with browser(gateway) as one:
            # A second proxy, behind the one that ends TLS.
            said = {"x-forwarded-proto": "http", "x-forwarded-for": "192.0.2.7"}
            answer = await one.post("/sign-in", {"token": lab.token}, origin=own, **said)
            assert answer.status_code == 303
            assert answer.headers["set-cookie"].startswith(f"__Host-{COOKIE}=")


async def test_a_token_of_another_kind_is_refused_in_the_words_of_an_unknown_one(
    gateway: Running,
) -> None:
    lab = await gateway.new_lab()
    await revoke(gateway, lab.token)
    tokens = [
        "",
        "glt_nothing",
        HOSTILE,
        f"glt_tok_{'0' * 26}_{'0' * 64}",
        lab.token,
        await gateway.token("operator", label="operator"),
        await gateway.token("grader", modality="image"),
    ]
    async with browser(gateway) as one:
        answers = [await one.post("/sign-in", {"token": token}) for token in tokens]
        assert {answer.status_code for answer in answers} == {401}
        assert len({answer.text for answer in answers}) == 1
        assert all("set-cookie" not in answer.headers for answer in answers)
    assert await rows(gateway) == 0


async def test_signing_in_gives_a_new_session_whatever_the_browser_brought(
    gateway: Running,
) -> None:
    lab = await gateway.new_lab()
    assert lab.token is not None
    async with browser(gateway) as one:
        planted = "ab" * 32
        one.client.cookies.set(COOKIE, planted, domain="127.0.0.1")
        await one.post("/sign-in", {"token": lab.token})
        first = next(c.value for c in one.client.cookies.jar if c.value != planted)
        one.client.cookies.clear()
        one.client.cookies.set(COOKIE, first, domain="127.0.0.1")
        answer = await one.post("/sign-in", {"token": lab.token})
        second = answer.headers["set-cookie"].split(";")[0].split("=")[1]
        assert len({planted, first, second}) == 3
        # The earlier session of this browser is over.
        assert await rows(gateway) == 1
        for old in (planted, first):
            one.client.cookies.clear()
            one.client.cookies.set(COOKIE, old, domain="127.0.0.1")
            assert (await one.get("/portal")).status_code == 303


async def test_a_session_ends_with_its_time_with_its_token_and_with_too_many_others(
    gateway: Running, clock: ManualClock
) -> None:
    lab = await gateway.new_lab()
    async with browser(gateway, lab) as oldest, browser(gateway) as other:
        for _ in range(web_sessions.SESSIONS_PER_TOKEN_MAX - 1):
            clock.advance(timedelta(seconds=1))
            other.client.cookies.clear()
            await other.post("/sign-in", {"token": lab.token})
        assert (await oldest.get("/portal")).status_code == 200
        clock.advance(timedelta(seconds=1))
        other.client.cookies.clear()
        await other.post("/sign-in", {"token": lab.token})
        assert await rows(gateway) == web_sessions.SESSIONS_PER_TOKEN_MAX
        assert (await oldest.get("/portal")).status_code == 303
        assert (await other.get("/portal")).status_code == 200
        kept = await gateway.token("lab", lab_id=lab.lab_id)
        assert (await oldest.sign_in(kept)).status_code == 303
        await revoke(gateway, lab.token)
        assert (await other.get("/portal")).status_code == 303
        assert (await other.get("/portal", "application/json")).status_code == 401
        assert (await oldest.get("/portal")).status_code == 200
        clock.advance(web_sessions.SESSION_MAX)
        assert (await oldest.get("/portal")).status_code == 303
    await gateway.gateway.maintenance.clear()
    assert await rows(gateway) == 0


async def test_an_open_stream_ends_with_the_session(gateway: Running, clock: ManualClock) -> None:
    lab = await gateway.new_lab()
    async with browser(gateway, lab) as one:
        address = f"/portal/submissions/{await one.create(archive())}/events"
        async with one.client.stream("GET", address) as stream:
            lines = stream.aiter_lines()
            assert "data: CREATED" in [line async for line in until(lines, "data: CREATED")]
            await revoke(gateway, lab.token)
            clock.advance(timedelta(seconds=2))
            told = [line async for line in lines if line]
            assert told == ["event: end", "data: NOT_AUTHENTICATED"]
        assert (await one.get(address, "text/event-stream")).status_code == 401


async def until(lines: AsyncIterator[str], last: str) -> AsyncIterator[str]:
    async for line in lines:
        yield line
        if line == last:
            return


# Forgeries.


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "https://evil.example"},
        {"origin": "null"},
        {"origin": ""},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
    ],
)
async def test_a_change_that_another_site_asks_for_is_refused(
    gateway: Running, headers: dict[str, str]
) -> None:
    lab = await gateway.new_lab(accept=False)
    async with browser(gateway, lab) as one:
        for address in ("/sign-in", "/portal/sign-out", "/portal/agreement", "/portal/submissions"):
            answer = await one.post(address, accept="application/json", **headers)
            assert answer.status_code == 403, address
            assert answer.json()["reason"] == "CROSS_SITE_REQUEST"
            assert answer.headers["cache-control"] == "no-store"
        answer = await one.patch("sub", 0, b"x", **headers)
        assert (answer.status_code, answer.json()["reason"]) == (403, "CROSS_SITE_REQUEST")
    assert await rows(gateway) == 1


async def test_a_change_needs_the_form_token_of_this_session(gateway: Running) -> None:
    lab = await gateway.new_lab()
    async with browser(gateway, lab) as one, browser(gateway, lab) as other:
        submission_id = await one.create(archive())
        for token in ("", "0" * 64, other.form_token, "\u00e4"):
            for address in (
                "/portal/sign-out",
                "/portal/agreement",
                "/portal/submissions",
                f"/portal/submissions/{submission_id}/withdraw",
            ):
                answer = await one.post(address, {"form_token": token})
                assert answer.status_code == 403, address
                assert "CROSS_SITE_REQUEST" in answer.text
        answer = await one.patch(submission_id, 0, b"x", **{"x-form-token": other.form_token})
        assert answer.status_code == 403
        assert (await one.offset(submission_id)) == 0


async def test_nobody_is_sent_elsewhere_after_signing_in(gateway: Running) -> None:
    lab = await gateway.new_lab()
    async with browser(gateway) as one:
        for wanted in ("https://evil.example", "//evil.example", "/portal/../x", "/portal\\x"):
            form = {"token": lab.token, "next": wanted}
            answer = await one.post("/sign-in", form)
            assert answer.headers["location"] == "/portal"


# Pages.


async def test_a_lab_sees_nothing_of_another_s_submission(gateway: Running) -> None:
    mine, stranger = await gateway.new_lab(), await gateway.new_lab()
    async with browser(gateway, mine) as one, browser(gateway, stranger) as other:
        place = f"/portal/submissions/{await one.create(archive())}"
        assert (await one.get(place)).status_code == 200
        for address in (place, f"{place}/events", f"{place}/withdraw", f"{place}/receipt.json"):
            assert (await other.get(address)).status_code == 404, address
        assert (await other.client.head(f"{place}/archive")).status_code == 404
        assert (await other.patch(place.split("/")[3], 0, b"x")).status_code == 404
        assert (await other.post(f"{place}/withdraw")).status_code == 404
        assert place not in (await other.get("/portal")).text


async def test_the_dashboard_tells_quota_agreement_and_submissions(
    gateway: Running, clock: ManualClock
) -> None:
    lab = await gateway.new_lab(accept=False)
    async with browser(gateway, lab) as one:
        assert "Accept it for the whole lab" in (await one.get("/portal")).text
        refused = await one.post("/portal/submissions", create_fields(archive()), "text/plain")
        assert (refused.status_code, refused.json()["reason"]) == (409, "AGREEMENT_REQUIRED")
        await one.post("/portal/agreement", {"version": agreement.VERSION})
        page = (await one.get("/portal")).text
        assert "Accept it" not in page
        assert "A slot is free now." in page
        ids = []
        for _ in range(2):
            ids.append(await one.create(archive()))
            await gateway.move(ids[-1], State.UPLOADING, State.CHECKING, State.RANKING)
            await gateway.move(ids[-1], State.PUBLISHED)
        page = (await one.get("/portal")).text
        assert "The next slot is free at" in page
        assert '<time datetime="2026-01-06T09:00:00Z">2026-01-06 09:00:00 UTC</time>' in page
        assert all(f"/portal/submissions/{each}" in page for each in ids)
        refused = await one.post("/portal/submissions", create_fields(archive()), "text/plain")
        assert (refused.status_code, refused.json()["reason"]) == (429, "QUOTA_EXCEEDED")


async def test_a_published_submission_has_its_boards_at_once(gateway: Running) -> None:
    lab = await gateway.new_lab()
    async with browser(gateway, lab) as one:
        submission_id = await one.create(archive())
        place = f"/portal/submissions/{submission_id}"
        await gateway.move(submission_id, State.UPLOADING, State.CHECKING, State.RANKING)
        assert f'href="/models/{submission_id}"' not in (await one.get(place)).text
        # The page that a lab has open is read again now, for the last time.
        rows = [entry("Example Model", submission_id=submission_id)]
        await publish(gateway.gateway, rows, BOARD, told=False)
        await gateway.move(submission_id, State.PUBLISHED)
        page = (await one.get(f"{place}?part=table")).text
        assert f'href="/models/{submission_id}"' in page
        assert f'href="/boards/{BOARD}"' in page


async def test_hostile_texts_are_text_on_every_page(gateway: Running) -> None:
    lab = await gateway.new_lab()
    async with browser(gateway, lab) as one:
        submission_id = await one.create(
            archive(),
            model_name=f"{HOSTILE} \U0001f99c",
            organisation=HOSTILE,
            description=HOSTILE,
        )
        place = f"/portal/submissions/{submission_id}"
        assert HOSTILE not in (await one.get(f"{place}?part=table")).text
        for address in ("/portal", place, f"{place}/withdraw"):
            page = (await one.get(address)).text
            assert HOSTILE not in page
            assert "&lt;script&gt;" in page
            assert 'style="' not in page


async def test_a_model_is_anonymous_until_its_lab_reveals_it(gateway: Running) -> None:
    lab = await gateway.new_lab()
    async with browser(gateway, lab) as one:
        submission_id = await one.create(archive(), anonymous="yes", open_weights="no")
        made = await lab.get(submission_id)
        assert (made.model.anonymous, made.model.open_weights) == (True, False)
        place = f"/portal/submissions/{submission_id}"
        assert f"<strong>{made.public_name}</strong>" in (await one.get(place)).text
        assert (await one.post(f"{place}/reveal", {"form_token": ""})).status_code == 403
        assert (await lab.get(submission_id)).model.anonymous
        assert (await one.post(f"{place}/reveal")).headers["location"] == place
        assert not (await lab.get(submission_id)).model.anonymous
        assert "Reveal the name" not in (await one.get(place)).text


async def test_a_form_that_cannot_be_is_refused_with_what_is_wrong(gateway: Running) -> None:
    lab = await gateway.new_lab()
    wrong: list[tuple[str, object]] = [
        ("model_name", "M" * 101),
        ("model_name", " "),
        ("organisation", "O" * 201),
        ("description", "D" * 2001),
        ("description", "D" * 70_000),
        ("parameter_count", "-1"),
        ("parameter_count", "1e9"),
        ("parameter_count", "9" * 30),
        ("report_url", "http://plain.example"),
        ("contact_email", "nobody"),
        ("modalities", ["image", "smell"]),
        ("archive_sha256", "x"),
        ("archive_bytes", "0"),
        ("archive_name", "n" * 300),
        ("request_id", "x"),
        ("open_weights", "maybe"),
        ("anonymous", "no"),
        ("board_id", ["A-full", "A-quick"]),
    ]
    async with browser(gateway, lab) as one:
        for field, value in wrong:
            fields = create_fields(archive(), **{field: value})
            answer = await one.post("/portal/submissions", fields, "application/json")
            assert (answer.status_code, answer.json()["reason"]) == (400, "INVALID_REQUEST"), field


async def test_other_bodies_than_forms_are_refused(gateway: Running) -> None:
    lab = await gateway.new_lab()
    async with browser(gateway, lab) as one:
        headers = {"origin": one.origin}
        form = "application/x-www-form-urlencoded"
        for body, kind in ((b"{}", "application/json"), (b"\xff=1", form), (b"a=%ff", form)):
            answer = await one.client.post(
                "/portal/agreement", content=body, headers={**headers, "content-type": kind}
            )
            assert answer.status_code == 400
        many = "&".join(f"a{number}=1" for number in range(100)).encode()
        answer = await one.client.post(
            "/portal/agreement", content=many, headers={**headers, "content-type": form}
        )
        assert answer.status_code == 400


async def test_a_submission_s_page_tells_findings_and_withdrawal(gateway: Running) -> None:
    lab = await gateway.new_lab()
    bad = of_members({"nothing/here/prediction.json": []})
    async with browser(gateway, lab) as one:
        place = await refused(one, bad)
        page = (await one.get(place)).text
        assert "Rejected" in page
        assert 'href="/findings#GL135"' in page
        assert "does not count: the slot was given back" in page
        assert 'id="GL135"' in (await one.get("/findings")).text
        submission_id = await one.create(archive())
        place = f"/portal/submissions/{submission_id}"
        assert "the slot comes back" in (await one.get(f"{place}/withdraw")).text
        answer = await one.post(f"{place}/withdraw")
        assert (answer.status_code, answer.headers["location"]) == (303, place)
        page = (await one.get(place)).text
        assert "You withdrew it." in page
        assert (await one.get(f"{place}/receipt.json", "application/json")).status_code == 409


async def refused(one: Browser, bad: Archive) -> str:
    """The page of a submission whose archive was rejected."""
    submission_id = await one.create(bad)
    answer = await one.patch(submission_id, 0, bad.data)
    assert answer.status_code == 204
    place = f"/portal/submissions/{submission_id}"

    async def is_rejected() -> bool:
        return "Rejected" in (await one.get(place)).text

    await eventually(is_rejected, 60)
    return place


async def test_streams_that_are_left_or_that_the_gateway_ends_hold_no_place(
    gateway: Running,
) -> None:
    lab = await gateway.new_lab()
    places = gateway.gateway._desk._watches
    async with browser(gateway, lab) as one:
        address = f"/portal/submissions/{await one.create(archive())}/events"
        async with one.client.stream("GET", address) as left:
            assert (await anext(left.aiter_lines())).startswith("retry: ")
            await eventually(lambda: places.taken(lab.lab_id) == 1, 60)
        await eventually(lambda: places.taken(lab.lab_id) == 0, 60)
        async with one.client.stream("GET", address) as stream:
            lines = stream.aiter_lines()
            assert (await anext(lines)).startswith("retry: ")
            ended = asyncio.create_task(gateway.gateway.stop())
            told = [line async for line in lines if line.startswith("event")]
            assert told in ([], ["event: change"])
            await ended
        assert places.taken(lab.lab_id) == 0
