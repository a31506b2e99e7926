"""Templates: every text of a lab is escaped, and numbers look alike on all pages."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from general_level.catalogue import Modality, Paradigm

FOLDER: Final = Path(__file__).parent
#: What stands where there is no value: a score that cannot be is not zero.
NOTHING: Final = "–"
#: What a modality is called on a page.
MODALITIES: Final = {
    Modality.IMAGE: "Image",
    Modality.VIDEO: "Video",
    Modality.AUDIO: "Audio",
    Modality.THREE_D: "3D",
    Modality.LANGUAGE: "Language",
}
#: Unicode's bidirectional controls (UAX 9, section 2) and what breaks a line.
_DIRECTION: Final = dict.fromkeys(
    [0x061C, 0x200E, 0x200F, *range(0x2028, 0x202F), *range(0x2066, 0x206A)]
)
_SHOWN: Final = (".html", ".css", ".js", ".svg")
SCOPES: Final = {
    "A": ("Scope A", "All modalities: the whole exam, or one task for each skill."),
    "B": ("Scope B", "One modality, alone or together with text."),
    "C": ("Scope C", "One paradigm of one modality: comprehension or generation."),
    "D": ("Scope D", "One skill."),
}


class Pages:
    """Renders templates; one environment for a gateway's life."""

    def __init__(self) -> None:
        self._environment = Environment(
            loader=FileSystemLoader(FOLDER / "templates"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._environment.filters.update(
            score=show_score,
            plain=without_direction,
            day=lambda moment: moment.astimezone(UTC).strftime("%Y-%m-%d"),
            moment=show_moment,
            second=lambda moment: moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S UTC"),
            iso=lambda moment: moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            modality=lambda name: MODALITIES[Modality(name)],
            paradigm=lambda name: "" if name == Paradigm.NONE else Paradigm(name).value,
            segment=lambda text: quote(text, safe=""),
        )
        self._environment.globals.update(nothing=NOTHING, scopes=SCOPES, static=static_address)

        files = sorted(path for path in FOLDER.rglob("*.*") if path.suffix in _SHOWN)
        #: Changes with the templates, so that no page of an older version is taken for current.
        self.version = sha256(b"".join(path.read_bytes() for path in files)).hexdigest()[:12]

    def render(self, template: str, **values: Any) -> str:
        """The page; jinja2's UndefinedError where the template names what is not given."""
        return self._environment.get_template(template).render(**values)


def show_score(value: float | None) -> str:
    """Two places, as the published tables have them."""
    return NOTHING if value is None else f"{value:.2f}"


def without_direction(text: str) -> str:
    """A lab's text without the marks that turn the order of its letters: ``exe.jpg`` stays so."""
    return text.translate(_DIRECTION)


def show_moment(moment: datetime) -> str:
    """``2026-01-05 09:00 UTC``."""
    return moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M UTC")


@cache
def static_address(name: str) -> str:
    """The address of a file of ``static/``: it changes with the content, so it may be kept."""
    digest = sha256((FOLDER / "static" / name).read_bytes()).hexdigest()[:12]
    return f"/static/{name}?v={digest}"
