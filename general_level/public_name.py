"""What the public is told of a model while its lab withholds the name.

The public name is made from the lab's id and the model's name, so that a later submission of the
same model has it again and replaces the earlier one on the boards, and so that one lab's models
are not known by a common part. It says nothing about either: an id of a lab holds 80 random bits
and is never published, so nobody can try names until one fits, and 32 bits of a digest remain.
"""

from __future__ import annotations

import hashlib
import re
from typing import Final

from general_level.v1 import submission_pb2 as pb

_DIGITS: Final = 8
_FORM: Final = re.compile(rf"anonymous\s*[0-9a-f]{{{_DIGITS}}}")


def public_name(lab_id: str, model_name: str) -> str:
    """``Anonymous 1f0c9a3b``: the same for the same lab and model."""
    text = "\0".join(("general-level/public-name/v1", lab_id, model_name))
    return f"Anonymous {hashlib.sha256(text.encode()).hexdigest()[:_DIGITS]}"


def looks_public(model_name: str) -> bool:
    """Whether a reader would take a name for one of these: no lab may choose it."""
    return _FORM.fullmatch(model_name.strip().casefold()) is not None


def shown_model(lab_id: str, model: pb.ModelMetadata) -> pb.ModelMetadata:
    """A copy of a lab's metadata as everybody may see it.

    It never has the e-mail address. Of a model whose name is withheld it has the public name, and
    no organisation, no description and no report either.
    """
    shown = pb.ModelMetadata()
    shown.CopyFrom(model)
    shown.ClearField("contact_email")
    if model.anonymous:
        shown.model_name = public_name(lab_id, model.model_name)
        for field in ("organisation", "description", "report_url", "anonymous"):
            shown.ClearField(field)
    return shown
