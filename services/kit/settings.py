"""Reading settings from the environment, once, at the edge.

Each service has a frozen dataclass with a ``from_env`` that uses these readers. A value that cannot
be read stops the service with the variable's name and what was expected; secrets never print.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from general_level.errors import InvalidRequest


class SettingInvalid(InvalidRequest):
    """A setting cannot be used."""

    reason = "SETTING_INVALID"


class Secret:
    """A string that hides itself from repr, str and logs; ``reveal`` gives it."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        return self._value

    def __repr__(self) -> str:
        return "Secret(…)"

    __str__ = __repr__


class Environment:
    """Typed readers over a mapping such as ``os.environ``, all with one prefix."""

    def __init__(self, environ: Mapping[str, str], prefix: str) -> None:
        self._environ = environ
        self._prefix = prefix

    def full_name(self, name: str) -> str:
        """The variable behind a name."""
        return self._prefix + name

    def optional_text(self, name: str) -> str | None:
        """The value; None if it is empty or not set."""
        return self._environ.get(self._prefix + name) or None

    def text(self, name: str, default: str | None = None) -> str:
        """The value, or the default; a missing value without default is refused."""
        value = self._environ.get(self._prefix + name) or default
        if value is None:
            raise SettingInvalid(
                f"Set {self._prefix + name}.", variable=self._prefix + name, problem="missing"
            )
        return value

    def number(self, name: str, default: float, *, low: float, high: float) -> float:
        """A finite number within [low, high]."""
        text = self._environ.get(self._prefix + name)
        if not text:
            return default
        try:
            value = float(text)
        except ValueError:
            value = float("nan")
        if not low <= value <= high:
            raise SettingInvalid(
                f"{self._prefix + name} must be a number from {low:g} to {high:g}.",
                variable=self._prefix + name,
                problem="out of range",
            )
        return value

    def integer(self, name: str, default: int, *, low: int, high: int) -> int:
        """A whole number within [low, high]."""
        value = self.number(name, default, low=low, high=high)
        if value != int(value):
            raise SettingInvalid(
                f"{self._prefix + name} must be a whole number.",
                variable=self._prefix + name,
                problem="not whole",
            )
        return int(value)

    def port(self, name: str) -> int | None:
        """A port that may be left out: 0 is any free one, None if it is not set."""
        if not self._environ.get(self._prefix + name):
            return None
        return self.integer(name, 0, low=0, high=65_535)

    def choice(self, name: str, default: str, allowed: tuple[str, ...]) -> str:
        """One of the allowed words."""
        value = self.text(name, default)
        if value not in allowed:
            raise SettingInvalid(
                f"{self._prefix + name} must be one of {', '.join(allowed)}.",
                variable=self._prefix + name,
                problem="unknown word",
            )
        return value

    def words(self, name: str) -> tuple[str, ...]:
        """Words with commas between; none if not set."""
        value = self._environ.get(self._prefix + name, "")
        return tuple(word.strip() for word in value.split(",") if word.strip())

    def path(self, name: str) -> Path | None:
        """A path, or None if not set."""
        value = self._environ.get(self._prefix + name)
        return Path(value) if value else None

    def secret(self, name: str) -> Secret | None:
        """A secret given directly, or in the file named by ``<NAME>_FILE``; None if neither is."""
        file = self.path(name + "_FILE")
        if file is not None:
            try:
                return Secret(file.read_text().strip())
            except OSError as error:
                raise SettingInvalid(
                    f"The file of {self._prefix + name}_FILE cannot be read.",
                    variable=self._prefix + name + "_FILE",
                    problem=type(error).__name__,
                ) from error
        value = self._environ.get(self._prefix + name)
        return Secret(value) if value else None
