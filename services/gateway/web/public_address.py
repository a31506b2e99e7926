"""The address under which readers know the site: the setting's, or else the one that they call."""

from __future__ import annotations

from typing import Final
from urllib.parse import urlsplit

from starlette.types import ASGIApp, Receive, Scope, Send

from services.kit.settings import SettingInvalid

_SCHEMES: Final = frozenset({"http", "https"})


def origin_of(url: str) -> str:
    """``https://board.example.org`` for a base address; SettingInvalid for one that has a path."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        parts, port = urlsplit(""), None
    host = parts.netloc.lower()
    plain = parts.path in {"", "/"} and not (parts.query or parts.fragment or "@" in host)
    if parts.scheme not in _SCHEMES or not parts.hostname or not plain or not host.isascii():
        raise SettingInvalid(
            "GATEWAY_WEB_URL must read like https://board.example.org, without a path.",
            variable="GATEWAY_WEB_URL",
            problem="no base address",
        )
    # A browser leaves the scheme's own port out of the origin.
    own = {"http": 80, "https": 443}[parts.scheme]
    return f"{parts.scheme}://{host.removesuffix(f':{own}') if port == own else host}"


class PublicAddress:
    """Gives every request the site's own address, so that ``request.base_url`` is always right.

    Without one the request's own stands: the name by which the reader called.
    """

    def __init__(self, app: ASGIApp, origin: str | None) -> None:
        self._app = app
        self._scheme, _, host = (origin or "").partition("://")
        self._host = host.encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self._host and scope["type"] == "http":
            others = [header for header in scope["headers"] if header[0] != b"host"]
            headers = [(b"host", self._host), *others]
            scope = {**scope, "scheme": self._scheme, "headers": headers}
        await self._app(scope, receive, send)
