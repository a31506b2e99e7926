"""To reveal a name opens it in every submission of the model, and says so in the ledger once."""

from __future__ import annotations

import pytest

from general_level.errors import NotFound
from general_level.public_name import public_name
from general_level.v1 import submission_pb2 as pb
from services.gateway import ledger, naming, submissions, views
from services.gateway.states import State
from services.gateway.storage.tables import submissions as table
from tests.support.queue_world import QueueWorld, tasks_of

pytestmark = pytest.mark.usefixtures("rows")

IMAGE = tasks_of("image")


@pytest.fixture
def world(tmp_path):
    world = QueueWorld(tmp_path)
    yield world
    world.close()


def anonymous(world, lab_id, model="Model"):
    """A submission of a model without a name, in the queue."""
    submission_id = world.add_submission(lab_id, IMAGE[:1], "B-image", model)
    hidden = pb.ModelMetadata(model_name=model, organisation="Lab", anonymous=True)
    with world.database.write() as connection:
        connection.execute(
            table.update()
            .where(table.c.submission_id == submission_id)
            .values(model=hidden.SerializeToString())
        )
    return submission_id


def grade(world):
    for leased in world.lease(10):
        world.complete(leased)


def reveal(world, lab_id, submission_id):
    with world.database.write() as connection:
        return naming.reveal(connection, world.now, lab_id, submission_id)


def entries(world, kind):
    with world.database.read() as connection:
        found = ledger.read_after(connection, 0)
    return [getattr(entry, kind) for entry in found if entry.WhichOneof("entry") == kind]


def view(world, submission_id):
    with world.database.read() as connection:
        row = submissions.read(connection, submission_id)
        return views.submission_view(connection, world.now, row)


def test_a_completion_has_the_public_name_and_the_lab_sees_both(world):
    lab_id = world.add_lab()
    submission_id = anonymous(world, lab_id)
    grade(world)
    (completion,) = entries(world, "completion")
    shown = public_name(lab_id, "Model")
    assert completion.model == pb.ModelMetadata(model_name=shown)
    mine = view(world, submission_id)
    assert (mine.public_name, mine.model.model_name) == (shown, "Model")


def test_what_is_complete_is_named_and_what_completes_later_has_the_name(world):
    lab_id, stranger = world.add_lab(), world.add_lab()
    complete = anonymous(world, lab_id)
    of_another, other_model = anonymous(world, stranger), anonymous(world, lab_id, "Other")
    grade(world)
    late = anonymous(world, lab_id)
    before = world.submission(late).revision

    assert reveal(world, lab_id, late) == (complete, late)

    (named,) = entries(world, "naming")
    assert named.submission_id == complete
    assert (named.model.model_name, named.model.organisation) == ("Model", "Lab")
    assert world.submission(late).revision == before + 1
    assert (view(world, late).public_name, view(world, complete).public_name) == ("Model", "Model")
    for untouched in (of_another, other_model):
        assert view(world, untouched).model.anonymous
    grade(world)
    assert entries(world, "completion")[-1].model.model_name == "Model"
    assert len(entries(world, "naming")) == 1


def test_once_more_changes_nothing(world):
    lab_id = world.add_lab()
    submission_id = anonymous(world, lab_id)
    grade(world)
    assert reveal(world, lab_id, submission_id) == (submission_id,)
    revision = world.submission(submission_id).revision
    assert reveal(world, lab_id, submission_id) == ()
    assert world.submission(submission_id).revision == revision
    assert len(entries(world, "naming")) == 1


def test_what_was_withdrawn_is_not_named(world):
    lab_id = world.add_lab()
    submission_id = anonymous(world, lab_id)
    grade(world)
    with world.database.write() as connection:
        submissions.move(connection, world.now, submission_id, State.FAILED, failure_reason="x")
    assert reveal(world, lab_id, submission_id) == (submission_id,)
    assert entries(world, "naming") == []


def test_another_lab_reveals_nothing(world):
    submission_id = anonymous(world, world.add_lab())
    with pytest.raises(NotFound):
        reveal(world, world.add_lab(), submission_id)
    assert view(world, submission_id).model.anonymous
