"""Who may do what."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from general_level.client import Client
from general_level.client.models import Standing
from general_level.errors import NotAuthenticated, NotFound
from tests.contract.lab_gateway import REQUEST_ID, LabGateway, OpenLab, OpenLabs

Call = Callable[[Client, Path, str], object]

NEED_A_TOKEN: dict[str, Call] = {
    "quota": lambda c, _, __: c.quota(),
    "agreement": lambda c, _, __: c.agreement(),
    "accept": lambda c, _, __: c.accept_agreement("1"),
    "create": lambda c, archive, board: c.create(archive, request_id=REQUEST_ID, board=board),
    "get": lambda c, _, __: c.get("sub_1"),
    "submissions": lambda c, _, __: list(c.submissions()),
    "watch": lambda c, _, __: list(c.watch("sub_1")),
    "results": lambda c, _, __: c.results("sub_1"),
    "receipt": lambda c, _, __: c.receipt("sub_1"),
    "cancel": lambda c, _, __: c.cancel("sub_1"),
    "inputs": lambda c, archive, board: c.download_inputs(board, archive.with_name("i.zip")),
}


@pytest.mark.parametrize("token", [None, "not-a-token"])
@pytest.mark.parametrize("call", NEED_A_TOKEN.values(), ids=NEED_A_TOKEN.keys())
def test_a_lab_needs_a_valid_token(
    open_labs: OpenLabs, lab_gateway: LabGateway, archive: Path, call: Call, token: str | None
) -> None:
    with pytest.raises(NotAuthenticated) as caught:
        call(open_labs(token).client, archive, lab_gateway.board)
    assert caught.value.__cause__ is not None
    assert token is None or token not in str(caught.value)


def test_boards_tasks_standings_and_commitments_are_open_to_everyone(
    open_labs: OpenLabs, lab_gateway: LabGateway
) -> None:
    client = open_labs(None).client
    assert lab_gateway.board in {b.board_id for b in client.boards()}
    assert client.tasks()
    assert isinstance(client.key_commitments(), tuple)
    assert not rows_of(client, lab_gateway.unpublished_board)


OF_ONE_SUBMISSION: dict[str, Callable[[Client, str, Path], object]] = {
    "get": lambda c, i, _: c.get(i),
    "watch": lambda c, i, _: list(c.watch(i)),
    "results": lambda c, i, _: c.results(i),
    "receipt": lambda c, i, _: c.receipt(i),
    "cancel": lambda c, i, _: c.cancel(i),
    "resume": lambda c, i, archive: c.resume(i, archive),
}


@pytest.mark.parametrize("call", OF_ONE_SUBMISSION.values(), ids=OF_ONE_SUBMISSION.keys())
def test_another_labs_submission_does_not_exist(
    lab: OpenLab, open_labs: OpenLabs, archive: Path, call: Callable[[Client, str, Path], object]
) -> None:
    theirs = lab.client.create(archive, request_id=REQUEST_ID)
    with pytest.raises(NotFound):
        call(open_labs().client, theirs.submission_id, archive)
    assert lab.client.get(theirs.submission_id) == theirs


def test_labs_do_not_see_each_others_submissions_and_quota(
    lab: OpenLab, open_labs: OpenLabs, archive: Path
) -> None:
    lab.client.create(archive, request_id=REQUEST_ID)
    other = open_labs().client
    assert list(other.submissions()) == []
    assert [w.used for w in other.quota().windows] == [0, 0]
    assert other.quota().pending_submission_id == ""


def test_one_request_id_in_two_labs_makes_two_submissions(
    lab: OpenLab, open_labs: OpenLabs, archive: Path
) -> None:
    mine = lab.client.create(archive, request_id=REQUEST_ID)
    theirs = open_labs().client.create(archive, request_id=REQUEST_ID)
    assert mine.submission_id != theirs.submission_id


def rows_of(client: Client, board: str) -> tuple[Standing, ...]:
    """The rows of a board; none where nothing was published, or a board without entries."""
    try:
        return client.standings(board).standings
    except NotFound:
        return ()
