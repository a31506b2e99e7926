"""Every error of the platform has a reason, words and a status, and survives the wire."""

from __future__ import annotations

import importlib
import inspect
from pathlib import Path

import grpc
import pytest

from general_level import errors
from general_level.errors import GeneralLevelError, from_reason
from general_level.wire import STATUS_CODES, from_status, status_code, to_status
from services.kit.grpc_errors import Internal

ROOT = Path(__file__).parents[3]


def _import_definitions() -> None:
    """Imports each module of the platform that defines an error; an error needs a reason."""
    for package in ("general_level", "services"):
        for path in sorted((ROOT / package).rglob("*.py")):
            if '\n    reason = "' in path.read_text(encoding="utf-8"):
                importlib.import_module(".".join(path.relative_to(ROOT).with_suffix("").parts))


def _subclasses(kind: type[GeneralLevelError]) -> list[type[GeneralLevelError]]:
    return [kind] + [deeper for sub in kind.__subclasses__() for deeper in _subclasses(sub)]


_import_definitions()
ALL = [kind for kind in _subclasses(GeneralLevelError) if not kind.__module__.startswith("test")]
#: Those that may cross the wire; an error with a constructor of its own stays in its process.
TRAVELLING = [kind for kind in ALL if kind.__init__ is GeneralLevelError.__init__]


def test_reasons_are_unique_and_in_the_form_of_aip_193():
    reasons = [kind.reason for kind in ALL]
    assert len(reasons) == len(set(reasons))
    for kind in ALL:
        assert kind.reason.isascii()
        assert kind.reason.replace("_", "").isalpha()
        assert kind.reason == kind.reason.upper()
        assert len(kind.reason) <= 63


@pytest.mark.parametrize("kind", ALL, ids=lambda kind: kind.__name__)
def test_an_error_says_what_happened_by_its_own_docstring(kind):
    assert "reason" in vars(kind)
    own = vars(kind)["__doc__"]
    assert own
    message = inspect.cleandoc(own).split("\n\n")[0]
    assert message.endswith(".")
    if kind in TRAVELLING:
        assert str(kind()) == message
        assert str(kind("More.")) == f"{message} More."


@pytest.mark.parametrize("kind", TRAVELLING, ids=lambda kind: kind.__name__)
def test_an_error_comes_back_from_the_wire_as_itself(kind):
    status = to_status(kind("More.", next_slot_time="2026-01-05T09:00:00Z", count=3))
    assert status.code == status_code(kind()).value[0]
    assert status.code != grpc.StatusCode.OK.value[0]
    back = from_status(status)
    assert type(back) is kind
    assert str(back) == str(kind("More."))
    assert back.metadata == {"next_slot_time": "2026-01-05T09:00:00Z", "count": "3"}


def test_every_error_of_the_tree_has_its_status_in_the_table():
    in_tree = [kind for kind in ALL if kind.__module__ == errors.__name__]
    inherited = {errors.ArchiveRejected, errors.DigestMismatch}
    assert {kind for kind in in_tree if kind not in STATUS_CODES} <= inherited
    assert status_code(Internal()) is grpc.StatusCode.INTERNAL


def test_an_error_of_a_newer_platform_is_still_an_error_of_ours():
    rebuilt = from_reason("FROM_THE_FUTURE", "It is new.", {"a": "b"})
    assert type(rebuilt) is GeneralLevelError
    assert str(rebuilt) == "It is new."
    assert rebuilt.metadata == {"a": "b"}


def test_two_errors_cannot_share_a_reason():
    with pytest.raises(TypeError, match="no reason of its own"):
        type("Copy", (errors.NotFound,), {"__doc__": "A copy.", "reason": "NOT_FOUND"})
