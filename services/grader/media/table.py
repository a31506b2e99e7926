"""Every binding of a media metric: one explicit table by catalogue id."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from services.grader.media.binding import Binding
from services.grader.media.comprehension import COMPREHENSION_BINDINGS
from services.grader.media.generation import GENERATION_BINDINGS

BINDINGS: Final[Mapping[str, Binding]] = MappingProxyType(
    {**COMPREHENSION_BINDINGS, **GENERATION_BINDINGS}
)
