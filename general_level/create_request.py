"""What a create must fulfil before anything is reserved."""

from __future__ import annotations

import re
from typing import Final

from general_level.catalogue import Catalogue, Modality, limits
from general_level.client.archive_name import split_archive_name
from general_level.errors import InvalidRequest, UnknownBoard
from general_level.identifiers import is_request_id
from general_level.public_name import looks_public
from general_level.v1 import submission_pb2 as pb

_SHA256: Final = re.compile(r"[0-9a-f]{64}")
_MODALITIES: Final = frozenset(modality.value for modality in Modality)


def check_create(request: pb.CreateSubmissionRequest, catalogue: Catalogue) -> None:
    """InvalidRequest or UnknownBoard for a create that can never succeed as it is."""
    if not is_request_id(request.request_id):
        raise InvalidRequest("The request_id must be a UUID.", field="request_id")
    if request.board_id not in catalogue.boards:
        raise UnknownBoard(board_id=request.board_id)
    if not 0 < request.archive_bytes <= limits.MAX_ARCHIVE_BYTES:
        raise InvalidRequest(
            f"The archive must have 1 to {limits.MAX_ARCHIVE_BYTES} bytes.", field="archive_bytes"
        )
    if not _SHA256.fullmatch(request.archive_sha256):
        raise InvalidRequest(
            "archive_sha256 must be 64 lower-case hex digits.", field="archive_sha256"
        )
    if len(request.archive_name.encode()) > limits.MAX_NAME_BYTES:
        raise InvalidRequest(
            f"The archive's name may have {limits.MAX_NAME_BYTES} bytes.", field="archive_name"
        )
    named = split_archive_name(request.archive_name, catalogue.boards)
    if named.board_id != request.board_id:
        raise InvalidRequest(
            f"The archive is named for board {named.board_id}.", field="archive_name"
        )
    _check_model(request.model)


def _check_model(model: pb.ModelMetadata) -> None:
    for name, text, longest in (
        ("model_name", model.model_name, limits.MAX_MODEL_NAME_CHARS),
        ("organisation", model.organisation, limits.MAX_ORGANISATION_CHARS),
        ("description", model.description, limits.MAX_DESCRIPTION_CHARS),
        ("report_url", model.report_url, limits.MAX_LINK_CHARS),
        ("contact_email", model.contact_email, limits.MAX_EMAIL_CHARS),
    ):
        if len(text) > longest:
            raise InvalidRequest(f"{name} may have {longest} characters.", field=f"model.{name}")
    if not model.model_name.strip():
        raise InvalidRequest("The model needs a name.", field="model.model_name")
    for name, text in (("model_name", model.model_name), ("organisation", model.organisation)):
        # Both stand on public boards and in terminals.
        if not text.isprintable():
            raise InvalidRequest(f"{name} has an unprintable character.", field=f"model.{name}")
    if looks_public(model.model_name):
        raise InvalidRequest(
            "This form of name is that of anonymous models.", field="model.model_name"
        )
    if len(model.modalities) > len(_MODALITIES) or not _MODALITIES.issuperset(model.modalities):
        raise InvalidRequest(
            f"modalities are among {', '.join(sorted(_MODALITIES))}.", field="model.modalities"
        )
    if model.report_url and not model.report_url.startswith("https://"):
        raise InvalidRequest("report_url must begin with https://", field="model.report_url")
    if model.contact_email and "@" not in model.contact_email:
        raise InvalidRequest("contact_email is no e-mail address.", field="model.contact_email")
    if not 0 <= model.parameter_count <= limits.MAX_PARAMETER_COUNT:
        raise InvalidRequest("parameter_count is out of range.", field="model.parameter_count")
