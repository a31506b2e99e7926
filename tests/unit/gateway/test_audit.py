"""An entry for each change and no change without an entry; each request is done once."""

from __future__ import annotations

import json

import pytest
from sqlalchemy import func, select

from general_level.errors import AlreadyExists, NotFound
from general_level.identifiers import new_request_id
from general_level.v1 import operations_pb2 as pb
from services.gateway import audit, identity, pauses
from services.gateway.audit import Actor
from services.gateway.storage.tables import labs
from tests.support.gateway import START, open_database

pytestmark = pytest.mark.usefixtures("rows")

ADA = Actor("Ada", "tok_1", "spiffe://general-level/operator")


@pytest.fixture
def database(tmp_path):
    with open_database(tmp_path) as database:
        yield database


def resume(connection):
    """A change that can be counted."""
    number = connection.scalar(select(func.count()).select_from(labs)) or 0
    identity.create_lab(connection, START, f"lab {number}")
    return pb.ResumeModalityResponse(extended_submissions=number + 1)


def carry_out(database, request, work=resume, actor=ADA):
    with database.write() as connection:
        return audit.carry_out(
            connection, START, actor, "ResumeModality", request, pb.ResumeModalityResponse, work
        )


def entries(database, **options):
    with database.read() as connection:
        return audit.list_page(
            connection, options.get("size", 100), options.get("before"), options.get("action", "")
        )


def count_labs(database):
    with database.read() as connection:
        return connection.scalar(select(func.count()).select_from(labs))


def request_of(modality="image"):
    return pb.ResumeModalityRequest(request_id=new_request_id(), modality=modality)


def test_an_entry_says_who_did_what_when_and_what_came_of_it(database):
    request = request_of()
    carry_out(database, request)
    (entry,) = entries(database)
    assert (entry.operator, entry.token_id, entry.certificate) == (
        "Ada", "tok_1", "spiffe://general-level/operator",
    )  # fmt: skip
    assert (entry.action, entry.outcome, entry.record_time) == ("ResumeModality", "DONE", START)
    assert entry.request_id == request.request_id
    assert json.loads(entry.parameters) == {
        "request_id": request.request_id, "modality": "image",
    }  # fmt: skip
    assert json.loads(entry.result) == {"extended_submissions": 1}


def test_a_repeated_request_answers_as_the_first_and_changes_nothing(database):
    request = request_of()
    assert carry_out(database, request) == (
        pb.ResumeModalityResponse(extended_submissions=1), True,
    )  # fmt: skip
    for actor in (ADA, Actor("Grace")):
        assert carry_out(database, request, actor=actor) == (
            pb.ResumeModalityResponse(extended_submissions=1), False,
        )  # fmt: skip
    assert count_labs(database) == 1
    assert len(entries(database)) == 1


def test_a_request_id_names_one_request(database):
    request = request_of()
    carry_out(database, request)
    request.modality = "video"
    with pytest.raises(AlreadyExists):
        carry_out(database, request)
    with database.write() as connection, pytest.raises(AlreadyExists):
        audit.carry_out(
            connection, START, ADA, "PauseModality",
            pb.PauseModalityRequest(request_id=request.request_id, modality="image"),
            pb.PauseModalityResponse, lambda _: pb.PauseModalityResponse(),
        )  # fmt: skip
    assert len(entries(database)) == 1


def test_what_failed_left_no_change_and_no_entry_and_may_be_tried_again(database):
    request = request_of()

    def failing(connection):
        resume(connection)
        raise NotFound

    with pytest.raises(NotFound):
        carry_out(database, request, failing)
    assert (count_labs(database), entries(database)) == (0, [])
    with database.write() as connection:
        audit.record_refusal(connection, START, ADA, "ResumeModality", request, "NOT_FOUND")
    assert carry_out(database, request)[1]
    done, refused = entries(database)
    assert (done.outcome, refused.outcome) == ("DONE", "NOT_FOUND")
    assert refused.result is None


def test_the_platform_records_what_it_does_itself(database):
    with database.write() as connection:
        pauses.pause(connection, START, "image", "why", "gateway")
        audit.record(
            connection, START, "PauseModality",
            pb.PauseModalityRequest(modality="image"), pb.PauseModalityResponse(),
        )  # fmt: skip
    (entry,) = entries(database)
    assert (entry.operator, entry.token_id, entry.request_id) == ("gateway", "", "")


def test_pages_are_newest_first_and_may_be_of_one_action(database):
    for _ in range(3):
        carry_out(database, request_of())
    first = entries(database, size=2)
    rest = entries(database, size=2, before=first[-1].entry_id)
    ids = [entry.entry_id for entry in (*first, *rest)]
    assert ids == sorted(ids, reverse=True)
    assert len(ids) == 3
    assert entries(database, action="PauseModality") == []


def test_nothing_of_the_platform_updates_or_deletes_an_entry():
    """Append-only by construction: the table is written by one statement."""
    with open(audit.__file__, encoding="utf-8") as file:
        text = file.read()
    assert text.count("insert(audit_log)") == 1
    assert "update(" not in text
    assert "delete(" not in text
