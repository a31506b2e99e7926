"""What a lab says about its model, as the pages show it: never the e-mail address."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, NamedTuple
from urllib.parse import urlsplit

from general_level.v1 import submission_pb2 as pb

_UNITS: Final = ((10**12, "T"), (10**9, "B"), (10**6, "M"))


class Report(NamedTuple):
    """A link to a technical report, and the host that it leads to."""

    url: str
    host: str


@dataclass(frozen=True, slots=True)
class ModelFacts:
    """The metadata of one submission. ``modalities`` are those that the lab declares.

    ``parameter_count`` and ``open_weights`` are None where the lab did not say.
    """

    model_name: str = ""
    parameter_count: int | None = None
    open_weights: bool | None = None
    modalities: tuple[str, ...] = ()
    description: str = ""
    report: Report | None = None

    @property
    def size(self) -> str:
        """The number of parameters for people, such as ``7 B``; empty where it is not said."""
        return show_count(self.parameter_count) if self.parameter_count is not None else ""

    def under(self, model_name: str) -> ModelFacts:
        """What is shown beside this name: under another than its own no text and no link."""
        if model_name == self.model_name:
            return self
        return ModelFacts(
            model_name, self.parameter_count, self.open_weights, self.modalities, "", None
        )


#: Of a submission of which nothing is known.
NOTHING_SAID: Final = ModelFacts()


def facts_of(model: pb.ModelMetadata) -> ModelFacts:
    """What of a lab's metadata everybody may see."""
    return ModelFacts(
        model_name=model.model_name,
        parameter_count=model.parameter_count or None,
        open_weights=model.open_weights if model.HasField("open_weights") else None,
        modalities=tuple(model.modalities),
        description=model.description,
        report=report_of(model.report_url),
    )


def report_of(url: str) -> Report | None:
    """A link that a page may offer; None unless it is https to a host that can be named.

    The host is shown in ASCII (punycode), so that no letter passes for another. What a browser
    might read in another way than we do is no link.
    """
    if not url.isprintable() or " " in url or "\\" in url:
        return None
    try:
        parts = urlsplit(url)
        host = (parts.hostname or "").encode("idna").decode()
        # Reading it checks it.
        _ = parts.port
    except (ValueError, UnicodeError):
        return None
    plain = parts.scheme == "https" and "@" not in parts.netloc
    return Report(url, host) if plain and host else None


def show_count(count: int) -> str:
    """``7 B``, ``1.3 B``, ``350 M``; all digits below a million."""
    for size, unit in _UNITS:
        # From where it would be rounded up to one of these.
        if count >= size * 0.9995:
            number = count / size
            return f"{number:.3g} {unit}" if number < 100 else f"{number:,.0f} {unit}"
    return f"{count:,}"
