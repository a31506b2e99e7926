"""What the four services share: identity, faults, and errors as statuses."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from typing import Any, Final, TypeVar

from general_level.errors import GeneralLevelError, Unavailable
from general_level.testing.faults import Faults
from general_level.testing.records import Lab
from general_level.testing.world import World
from general_level.wire import status_code, trailing_metadata

_BEARER: Final = "Bearer "
#: How often a waiting stream looks whether its caller is still there.
_LOOK_SECONDS: Final = 0.2

_Method = TypeVar("_Method", bound=Callable[..., Any])


def _abort(context: Any, error: GeneralLevelError) -> None:
    context.set_trailing_metadata(trailing_metadata(error))
    context.abort(status_code(error), str(error))


def answers(method: _Method) -> _Method:
    """A handler with one answer whose errors become statuses."""

    @functools.wraps(method)
    def guarded(self: Service, request: Any, context: Any) -> Any:
        try:
            self.faults.at_call()
            return method(self, request, context)
        except GeneralLevelError as error:
            _abort(context, error)

    return guarded  # type: ignore[return-value]


def streams(method: _Method) -> _Method:
    """A handler with a stream of answers whose errors become statuses."""

    @functools.wraps(method)
    def guarded(self: Service, request: Any, context: Any) -> Iterator[Any]:
        try:
            self.faults.at_call()
            yield from method(self, request, context)
        except GeneralLevelError as error:
            _abort(context, error)

    return guarded  # type: ignore[return-value]


class Service:
    """What the four services share."""

    def __init__(self, world: World, faults: Faults) -> None:
        self.world = world
        self.faults = faults

    def lab(self, context: Any) -> Lab:
        given = dict(context.invocation_metadata()).get("authorization", "")
        token = given.removeprefix(_BEARER) if given.startswith(_BEARER) else None
        return self.world.lab(token)

    def wait_for_change(self) -> None:
        """Waits a moment for a change; Unavailable when the gateway stops. Holds the lock."""
        self.world.changed.wait(_LOOK_SECONDS)
        if self.world.closed:
            raise Unavailable("(the gateway stops)")
