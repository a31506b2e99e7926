"""Every error that the platform raises on purpose, as one tree.

    GeneralLevelError
    ├── CatalogueError            the catalogue's files contradict themselves
    ├── InvalidRequest            the caller's request can never succeed as it is
    │   ├── UnknownBoard, UnknownTask
    │   ├── ArchiveRejected       the archive has findings
    │   └── DigestMismatch, OffsetMismatch
    ├── NotAuthenticated
    │   └── CertificateRequired   between services only
    ├── NotPermitted
    │   └── CertificateNotPermitted
    ├── NotFound
    ├── QuotaExceeded, SubmissionPending, AgreementRequired
    ├── IllegalTransition, LeaseLost
    ├── RejudgementRefused        an operator's change of scores
    ├── ReceiptInvalid
    └── Unavailable               ours or the network's fault: try again

The class docstring is the message; what varies is data on the error, and travels to gRPC as
``google.rpc.ErrorInfo`` (AIP-193): ``reason`` is the stable code, ``metadata`` the data.
"""

from __future__ import annotations

import inspect
from typing import ClassVar

#: The ErrorInfo domain of every error of this platform.
DOMAIN = "general-level"

_BY_REASON: dict[str, type[GeneralLevelError]] = {}


class GeneralLevelError(Exception):
    """Something went wrong in the grading platform."""

    reason: ClassVar[str] = "GENERAL_LEVEL_ERROR"

    def __init__(self, detail: str = "", **metadata: object) -> None:
        self.metadata: dict[str, str] = {key: str(value) for key, value in metadata.items()}
        message = inspect.cleandoc(type(self).__doc__ or type(self).__name__).split("\n\n")[0]
        super().__init__(f"{message} {detail}".strip() if detail else message)

    def __init_subclass__(cls, **kwargs: object) -> None:
        super().__init_subclass__(**kwargs)
        if cls.reason in _BY_REASON:
            raise TypeError(f"{cls.__name__} has no reason of its own")
        _BY_REASON[cls.reason] = cls


def from_reason(reason: str, message: str, metadata: dict[str, str]) -> GeneralLevelError:
    """The error that another process raised, rebuilt from its reason and metadata."""
    kind = _BY_REASON.get(reason, GeneralLevelError)
    # Not by its constructor, which may ask for more than what travelled.
    error = kind.__new__(kind)
    error.args = (message,)
    error.metadata = dict(metadata)
    return error


class CatalogueError(GeneralLevelError):
    """The catalogue is inconsistent."""

    reason = "CATALOGUE_INCONSISTENT"


class InvalidRequest(GeneralLevelError):
    """The request is not valid."""

    reason = "INVALID_REQUEST"


class UnknownBoard(InvalidRequest):
    """There is no board of this id."""

    reason = "UNKNOWN_BOARD"


class UnknownTask(InvalidRequest):
    """There is no task of this id."""

    reason = "UNKNOWN_TASK"


class ArchiveRejected(InvalidRequest):
    """The archive has findings; nothing was graded and no quota was used."""

    reason = "ARCHIVE_REJECTED"


class DigestMismatch(InvalidRequest):
    """The bytes received do not have the SHA-256 that was announced."""

    reason = "DIGEST_MISMATCH"


class OffsetMismatch(InvalidRequest):
    """The upload does not continue where the stored bytes end."""

    reason = "OFFSET_MISMATCH"


class NotAuthenticated(GeneralLevelError):
    """A valid token is needed."""

    reason = "NOT_AUTHENTICATED"


class NotPermitted(GeneralLevelError):
    """This identity may not do that."""

    reason = "NOT_PERMITTED"


class CertificateRequired(NotAuthenticated):
    """A valid certificate of the calling service is needed."""

    reason = "CERTIFICATE_REQUIRED"


class CertificateNotPermitted(NotPermitted):
    """The certificate is of another service than the token."""

    reason = "CERTIFICATE_NOT_PERMITTED"


class NotFound(GeneralLevelError):
    """There is nothing of this name here."""

    reason = "NOT_FOUND"


class AlreadyExists(GeneralLevelError):
    """This exists already, with other content."""

    reason = "ALREADY_EXISTS"


class QuotaExceeded(GeneralLevelError):
    """The lab has used its submissions for now."""

    reason = "QUOTA_EXCEEDED"


class SubmissionPending(GeneralLevelError):
    """Another submission of the lab is still pending."""

    reason = "SUBMISSION_PENDING"


class AgreementRequired(GeneralLevelError):
    """The current agreement must be accepted first."""

    reason = "AGREEMENT_REQUIRED"


class IllegalTransition(GeneralLevelError):
    """The submission's state does not allow that."""

    reason = "ILLEGAL_TRANSITION"


class RejudgementRefused(GeneralLevelError):
    """The rejudgement does not allow that."""

    reason = "REJUDGEMENT_REFUSED"


class LeaseLost(GeneralLevelError):
    """The lease on this job has ended or passed to another grader; stop the work."""

    reason = "LEASE_LOST"


class ReceiptInvalid(GeneralLevelError):
    """The receipt does not prove what it claims."""

    reason = "RECEIPT_INVALID"


class ScoreRefused(GeneralLevelError):
    """The score is unsigned, out of range or not a number."""

    reason = "SCORE_REFUSED"


class ResourceExhausted(GeneralLevelError):
    """A limit of the service was reached."""

    reason = "RESOURCE_EXHAUSTED"


class Unavailable(GeneralLevelError):
    """The service cannot answer now; try again."""

    reason = "UNAVAILABLE"
