"""What is common to the databases: errors as ours, and when a transaction is tried again.

The driver's text names the statement and its values: it stays out of every answer.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from sqlalchemy.exc import DataError, DBAPIError, IntegrityError
from sqlalchemy.exc import TimeoutError as NoConnectionFree

from general_level.errors import InvalidRequest, Unavailable

#: SQLSTATE of a transaction that lost against another and left nothing behind, also where it was
#: the commit that said so: serialization_failure, deadlock_detected.
LOST_AGAINST_ANOTHER: Final = frozenset({"40001", "40P01"})


class StorageFailed(Unavailable):
    """The database did not do what was asked."""

    reason = "STORAGE_FAILED"


class OutcomeUnknown(StorageFailed):
    """The connection broke during the commit: it may have happened or not. Never tried again
    here; whoever asked repeats its call, and every call of the platform may be repeated."""

    reason = "STORAGE_OUTCOME_UNKNOWN"


class ValueRefused(InvalidRequest):
    """A value is none that the database can hold, such as a text with a NUL in it."""

    reason = "VALUE_REFUSED"


def lost_against_another(error: BaseException) -> bool:
    """Whether the same transaction, run again, is likely to succeed."""
    return getattr(getattr(error, "orig", None), "sqlstate", None) in LOST_AGAINST_ANOTHER


def connection_broke(error: BaseException) -> bool:
    """Whether the error is of the connection and not of what was asked over it."""
    return isinstance(error, DBAPIError) and error.connection_invalidated


@contextmanager
def storage_errors() -> Iterator[None]:
    """Errors of the driver as ours, except IntegrityError: its catcher knows what it means."""
    try:
        yield
    except IntegrityError:
        raise
    except DataError as error:
        raise ValueRefused(kind=type(error.orig).__name__) from error
    except DBAPIError as error:
        raise StorageFailed(kind=type(error.orig).__name__) from error
    except NoConnectionFree as error:
        raise StorageFailed(kind="NoConnectionFree") from error
