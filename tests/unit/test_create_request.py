"""A create that can never succeed is refused before anything is reserved, with its field."""

from __future__ import annotations

import pytest

from general_level import errors
from general_level.catalogue import limits, load
from general_level.create_request import check_create
from general_level.v1 import submission_pb2 as pb


def request(**changes: object) -> pb.CreateSubmissionRequest:
    """A good create; a change of the model's metadata is named ``model_…``."""
    good = pb.CreateSubmissionRequest(
        request_id="0b6f5d0e-5d2b-4c39-9a51-0d6f7a2f8c11",
        board_id="B-image",
        model=pb.ModelMetadata(
            model_name="Süd ☀ 7B",
            organisation="Example Lab",
            parameter_count=7_000_000_000,
            description="Two lines\nare fine.",
            modalities=["image", "language"],
            report_url="https://example.org/report",
            contact_email="lab@example.org",
        ),
        archive_bytes=1,
        archive_sha256="0f" * 32,
        archive_name="Süd ☀ 7B-B-image.zip",
    )
    for name, value in changes.items():
        target, field = (good, name)
        if name.startswith("model_"):
            target, field = good.model, name.removeprefix("model_")
        if isinstance(value, list):
            getattr(target, field)[:] = value
        else:
            setattr(target, field, value)
    return good


def test_a_good_create_passes():
    check_create(request(), load())


@pytest.mark.parametrize(
    "change",
    [
        {"archive_bytes": limits.MAX_ARCHIVE_BYTES},
        {"model_model_name": "x" * limits.MAX_MODEL_NAME_CHARS},
        {"model_parameter_count": 0},
        {"model_report_url": "", "model_contact_email": "", "model_organisation": ""},
        {"model_modalities": []},
        {"request_id": "0B6F5D0E-5D2B-4C39-9A51-0D6F7A2F8C11"},
    ],
    ids=str,
)
def test_what_is_just_within_the_limits_passes(change):
    check_create(request(**change), load())


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"request_id": ""}, "request_id"),
        ({"request_id": "not-a-uuid"}, "request_id"),
        ({"request_id": "{0b6f5d0e-5d2b-4c39-9a51-0d6f7a2f8c11}"}, "request_id"),
        ({"archive_bytes": 0}, "archive_bytes"),
        ({"archive_bytes": -1}, "archive_bytes"),
        ({"archive_bytes": limits.MAX_ARCHIVE_BYTES + 1}, "archive_bytes"),
        ({"archive_sha256": ""}, "archive_sha256"),
        ({"archive_sha256": "0F" * 32}, "archive_sha256"),
        ({"archive_sha256": "0f" * 32 + "\n"}, "archive_sha256"),
        ({"archive_name": "Model-B-video.zip"}, "archive_name"),
        ({"archive_name": "Model-B-image-text.zip"}, "archive_name"),
        ({"archive_name": "x" * 250 + "-B-image.zip"}, "archive_name"),
        ({"archive_name": "☀" * 90 + "-B-image.zip"}, "archive_name"),
        ({"model_model_name": " "}, "model.model_name"),
        ({"model_model_name": "x" * (limits.MAX_MODEL_NAME_CHARS + 1)}, "model.model_name"),
        ({"model_model_name": "red \x1b[31m"}, "model.model_name"),
        ({"model_organisation": "a\nb"}, "model.organisation"),
        ({"model_organisation": "x" * (limits.MAX_ORGANISATION_CHARS + 1)}, "model.organisation"),
        ({"model_description": "x" * (limits.MAX_DESCRIPTION_CHARS + 1)}, "model.description"),
        ({"model_modalities": ["smell"]}, "model.modalities"),
        ({"model_modalities": ["image"] * 1000}, "model.modalities"),
        ({"model_report_url": "http://example.org"}, "model.report_url"),
        ({"model_report_url": "javascript:alert(1)"}, "model.report_url"),
        ({"model_contact_email": "nobody"}, "model.contact_email"),
        ({"model_parameter_count": -1}, "model.parameter_count"),
        ({"model_parameter_count": limits.MAX_PARAMETER_COUNT + 1}, "model.parameter_count"),
    ],
    ids=lambda value: str(value)[:60],
)
def test_each_fault_is_named_by_its_field(change, field):
    with pytest.raises(errors.InvalidRequest) as caught:
        check_create(request(**change), load())
    assert caught.value.metadata["field"] == field


@pytest.mark.parametrize("name", ["Model.zip", "B-image.zip", "-B-image.zip", "Model-B-image.tar"])
def test_an_archive_name_without_model_or_board_is_refused(name):
    with pytest.raises(errors.InvalidRequest):
        check_create(request(archive_name=name), load())


@pytest.mark.parametrize("board", ["", "b-image", "B-smell", "B-image "])
def test_an_unknown_board_is_said_to_be_one(board):
    with pytest.raises(errors.UnknownBoard) as caught:
        check_create(request(board_id=board), load())
    assert caught.value.metadata == {"board_id": board}
