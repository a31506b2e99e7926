"""A model may stand on the boards without its name, until its lab reveals it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import httpx2
import pytest
from sqlalchemy import select

from general_level.client import ModelMetadata, Standing, SubmissionState
from general_level.errors import InvalidRequest, NotFound
from general_level.identifiers import new_request_id
from general_level.public_name import public_name
from services.gateway.storage.tables import score_ledger
from services.gateway.storage.tables import submissions as table
from tests.contract.lab_gateway import LabGateway, OpenLab, OpenLabs, open_lab
from tests.support.real_lab_gateway import RealLabGateway
from tests.support.wait import eventually

SECRET = "Secret Model"
METADATA = ModelMetadata(
    SECRET,
    organisation="Secret Lab",
    parameter_count=7_000_000_000,
    description="By the secret lab.",
    report_url="https://secret.example/report",
    open_weights=True,
    anonymous=True,
)
#: Another, where the board of other labs is looked at as a whole.
HUSHED = replace(
    METADATA,
    model_name="Hushed Model",
    organisation="Hushed Lab",
    description="By the hushed lab.",
    report_url="https://hushed.example/report",
)


def publish(lab: OpenLab, archive: Path, metadata: ModelMetadata) -> str:
    submission = lab.client.submit(archive, metadata=metadata, request_id=new_request_id())
    lab.gateway.finish(submission.submission_id)
    return submission.submission_id


def rows(lab: OpenLab, *submission_ids: str) -> list[Standing]:
    """These submissions on the board, which other labs may stand on as well."""
    board = lab.client.standings(lab.gateway.board)
    return [row for row in board.standings if row.submission_id in submission_ids]


def test_the_boards_know_no_name_before_it_is_revealed(
    lab: OpenLab, open_labs: OpenLabs, archive: Path
) -> None:
    submission_id = publish(lab, archive, METADATA)
    mine = lab.client.get(submission_id)
    assert mine.state is SubmissionState.PUBLISHED
    assert mine.model == METADATA
    (row,) = rows(lab, submission_id)
    assert (row.model_name, row.organisation) == (mine.public_name, "")
    assert mine.public_name.startswith("Anonymous ")
    assert "secret" not in repr(row).casefold()

    with pytest.raises(NotFound):
        open_labs().client.reveal(submission_id)
    shown = lab.client.reveal(submission_id)
    assert (shown.public_name, shown.model.anonymous) == (SECRET, False)

    def named() -> bool:
        (row,) = rows(lab, submission_id)
        return (row.model_name, row.organisation) == (SECRET, "Secret Lab")

    eventually(named, 60, "the board shows the name")
    assert lab.client.reveal(submission_id) == shown


def test_a_model_is_open_or_anonymous_in_all_submissions_of_it(lab: OpenLab, archive: Path) -> None:
    def create(anonymous: bool) -> str:
        metadata = ModelMetadata("Model", anonymous=anonymous)
        made = lab.client.create(archive, metadata=metadata, request_id=new_request_id())
        return made.submission_id

    # What was withdrawn was never shown: the lab may think again.
    lab.client.cancel(create(False))
    first = create(True)
    lab.client.resume(first, archive)
    lab.gateway.finish(first)
    with pytest.raises(InvalidRequest):
        create(False)
    # A second one of the same model would be the same to the public.
    second = create(True)
    assert lab.client.get(second).public_name == lab.client.get(first).public_name
    lab.client.cancel(second)
    lab.client.reveal(first)
    with pytest.raises(InvalidRequest):
        create(True)
    assert lab.client.get(create(False)).public_name == "Model"


@pytest.mark.parametrize("name", ["Anonymous 0123abcd", "anonymous 0123ABCD ", "Anonymous0123abcd"])
def test_no_lab_takes_a_public_name_for_its_own(lab: OpenLab, archive: Path, name: str) -> None:
    with pytest.raises(InvalidRequest):
        lab.client.create(archive, metadata=ModelMetadata(name), request_id=new_request_id())


def test_no_page_and_no_ledger_has_the_name_before(shared_real_gateway: RealLabGateway) -> None:
    gateway: LabGateway = shared_real_gateway
    lab, close = open_lab(gateway, gateway.new_lab())
    board = gateway.board
    try:
        first = publish(lab, gateway.good_archive(board), HUSHED)
        pages = (
            *(f"/boards/{board}{form}" for form in ("", ".json", ".csv", ".atom")),
            *("/", "/boards", f"/boards/{board}?q=hushed", f"/models/{first}"),
        )

        def read(address: str) -> str:
            return httpx2.get(f"{shared_real_gateway.pages}{address}", timeout=60).text

        eventually(lambda: first in read(pages[1]), 60, "the pages show it")
        mine = lab.client.get(first)
        assert mine.public_name in read(pages[0])
        assert "7 B parameters" in read(pages[0])
        for address in pages:
            found = read(address).casefold()
            # The search's own text stands in its field.
            assert found.count("hushed") == found.count('value="hushed"'), address
        database = shared_real_gateway.gateway.database
        with database.read() as connection:
            entries = connection.scalars(
                select(score_ledger.c.entry).where(score_ledger.c.submission_id == first)
            )
            assert not [entry for entry in entries if b"ushed" in entry]
            lab_id = connection.scalar(select(table.c.lab_id).where(table.c.submission_id == first))
        assert mine.public_name == public_name(str(lab_id), HUSHED.model_name)

        lab.client.reveal(first)
        eventually(lambda: HUSHED.model_name in read(pages[0]), 60, "the pages show the name")
        for address in pages[:4]:
            assert HUSHED.model_name in read(address), address
        assert "https://hushed.example/report" in read(pages[0])
        assert mine.public_name not in read(pages[0])
    finally:
        close()
