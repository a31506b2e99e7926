"""What a browser's form sends: read with a bound, never more than a page of ours can hold."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final
from urllib.parse import parse_qs

from starlette.requests import Request

from general_level.errors import InvalidRequest

#: Bytes of one form. The longest description, each letter as ``%F0%9F%A6%9C``, has 24,000.
FORM_BYTES_MAX: Final = 64 * 1024
FORM_FIELDS_MAX: Final = 40
_FORM: Final = "application/x-www-form-urlencoded"


class Form:
    """The fields of one form by name; a field that was not sent is empty."""

    def __init__(self, fields: Mapping[str, Sequence[str]]) -> None:
        self._fields = fields

    def text(self, name: str, characters_max: int = 200) -> str:
        """One field without the spaces around it; InvalidRequest if it is too long."""
        return self.raw(name, characters_max).strip()

    def raw(self, name: str, characters_max: int = 200) -> str:
        """One field as it was sent; InvalidRequest if it is too long or came twice."""
        found = self._fields.get(name, [""])
        if len(found) != 1:
            raise InvalidRequest(f"{name} came {len(found)} times.", field=name)
        if len(found[0]) > characters_max:
            raise InvalidRequest(f"{name} may have {characters_max} characters.", field=name)
        return found[0]

    def number(self, name: str, most: int) -> int:
        """A whole number from 0 to ``most``; 0 if it was left empty; else InvalidRequest."""
        text = self.text(name, 40)
        if not text:
            return 0
        if not (text.isascii() and text.isdigit()) or int(text) > most:
            raise InvalidRequest(f"{name} is a whole number from 0 to {most}.", field=name)
        return int(text)

    def choices(self, name: str) -> list[str]:
        """A field that may be sent several times."""
        return list(self._fields.get(name, []))


async def read_form(request: Request) -> Form:
    """The form of a request; InvalidRequest for another kind of body and for one that is too large.

    ``multipart/form-data`` is refused: no page of ours sends a file in a form.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != _FORM:
        raise InvalidRequest(f"Send a form as {_FORM}.", field="content-type")
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > FORM_BYTES_MAX:
            raise InvalidRequest(f"A form may have {FORM_BYTES_MAX} bytes.", field="form")
    try:
        fields = parse_qs(
            body.decode("ascii"),
            keep_blank_values=True,
            errors="strict",
            max_num_fields=FORM_FIELDS_MAX,
        )
    except ValueError:
        raise InvalidRequest("The form cannot be read.", field="form") from None
    return Form(fields)
