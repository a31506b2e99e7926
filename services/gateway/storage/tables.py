"""Every table of the gateway, in SQLAlchemy Core, for SQLite and PostgreSQL alike.

Times are whole microseconds since 1970 UTC in the database and aware ``datetime`` in Python, so
that both databases compare them alike. Free structures (findings, metadata) are JSON bytes.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from sqlalchemy import (
    BigInteger,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    TypeDecorator,
    UniqueConstraint,
)
from sqlalchemy.engine import Dialect

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)


class Instant(TypeDecorator[datetime]):
    """An aware UTC datetime, stored as microseconds since 1970."""

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: datetime | None, _dialect: Dialect) -> int | None:
        if value is None:
            return None
        return (value - _EPOCH) // timedelta(microseconds=1)

    def process_result_value(self, value: int | None, _dialect: Dialect) -> datetime | None:
        return None if value is None else _EPOCH + timedelta(microseconds=value)


#: SQLite numbers rows by itself only for a column of type INTEGER.
_Serial = BigInteger().with_variant(Integer(), "sqlite")

labs = Table(
    "labs",
    metadata,
    Column("lab_id", String(40), primary_key=True),
    Column("name", String(200), nullable=False, unique=True),
    Column("create_time", Instant, nullable=False),
)

tokens = Table(
    "tokens",
    metadata,
    Column("token_id", String(40), primary_key=True),
    # "lab", "grader", "ranker" or "operator"
    Column("kind", String(20), nullable=False),
    Column("lab_id", String(40), ForeignKey("labs.lab_id"), nullable=True),
    # The modality that a grader's token may lease.
    Column("modality", String(20), nullable=True),
    Column("secret_sha256", String(64), nullable=False),
    Column("label", String(200), nullable=False),
    Column("create_time", Instant, nullable=False),
    Column("revoke_time", Instant, nullable=True),
)

agreement_acceptances = Table(
    "agreement_acceptances",
    metadata,
    Column("lab_id", String(40), ForeignKey("labs.lab_id"), primary_key=True),
    Column("version", String(40), primary_key=True),
    Column("accept_time", Instant, nullable=False),
)

submissions = Table(
    "submissions",
    metadata,
    Column("submission_id", String(40), primary_key=True),
    Column("lab_id", String(40), ForeignKey("labs.lab_id"), nullable=False),
    Column("request_id", String(64), nullable=False),
    # SHA-256 of the create request's content: a repeated request_id must carry the same.
    Column("request_sha256", String(64), nullable=False),
    Column("board_id", String(100), nullable=False),
    Column("catalogue_id", String(100), nullable=False),
    # Serialised general_level.v1.ModelMetadata.
    Column("model", LargeBinary, nullable=False),
    Column("archive_name", String(300), nullable=False),
    Column("archive_bytes", BigInteger, nullable=False),
    Column("archive_sha256", String(64), nullable=False),
    Column("state", String(20), nullable=False),
    Column("state_deadline", Instant, nullable=True),
    Column("create_time", Instant, nullable=False),
    Column("update_time", Instant, nullable=False),
    # Counts changes, so that a watcher knows whether it has seen the newest.
    Column("revision", BigInteger, nullable=False),
    Column("tasks_total", Integer, nullable=False),
    Column("tasks_done", Integer, nullable=False),
    Column("findings", LargeBinary, nullable=True),
    Column("finding_count", BigInteger, nullable=False),
    Column("failure_reason", String(60), nullable=False),
    # Where the completion stands in the ledger; set on entering RANKING.
    Column("ledger_position", BigInteger, nullable=True),
    # When it was decided that the archive goes; None while it is kept.
    Column("archive_discard_time", Instant, nullable=True),
    UniqueConstraint("lab_id", "request_id"),
    Index("ix_submissions_state_deadline", "state", "state_deadline"),
    Index("ix_submissions_lab_create", "lab_id", "create_time"),
)

timeline = Table(
    "timeline",
    metadata,
    Column("entry_id", _Serial, primary_key=True, autoincrement=True),
    Column("submission_id", String(40), ForeignKey("submissions.submission_id"), nullable=False),
    Column("state", String(20), nullable=False),
    Column("enter_time", Instant, nullable=False),
    Column("note", String(60), nullable=False),
    Index("ix_timeline_submission", "submission_id"),
)

#: Append-only: reserve, then at most one of commit and refund, for each submission.
quota_ledger = Table(
    "quota_ledger",
    metadata,
    Column("entry_id", _Serial, primary_key=True, autoincrement=True),
    Column("lab_id", String(40), ForeignKey("labs.lab_id"), nullable=False),
    Column("submission_id", String(40), ForeignKey("submissions.submission_id"), nullable=False),
    Column("action", String(10), nullable=False),
    Column("time", Instant, nullable=False),
    UniqueConstraint("submission_id", "action"),
    Index("ix_quota_ledger_lab_time", "lab_id", "time"),
)

upload_parts = Table(
    "upload_parts",
    metadata,
    Column("submission_id", String(40), ForeignKey("submissions.submission_id"), primary_key=True),
    Column("offset", BigInteger, primary_key=True),
    Column("size", BigInteger, nullable=False),
    Column("object_key", String(200), nullable=False),
)

#: What became of each task of a submission; a row for every task of the board once checked.
task_results = Table(
    "task_results",
    metadata,
    Column("submission_id", String(40), ForeignKey("submissions.submission_id"), primary_key=True),
    Column("task_id", String(60), primary_key=True),
    Column("metric_id", String(60), nullable=False),
    Column("outcome", String(20), nullable=False),
    # Members of the archive that belong to the task, as JSON; empty when unsupported.
    Column("members", LargeBinary, nullable=True),
    Column("prediction_bytes", BigInteger, nullable=False),
    Column("value", Float, nullable=True),
    Column("standard_error", Float, nullable=True),
    Column("item_count", BigInteger, nullable=False),
    Column("missing_count", BigInteger, nullable=False),
    Column("findings", LargeBinary, nullable=True),
    Column("attempt_count", Integer, nullable=False),
    # Ratings that an operator imported, as JSON.
    Column("ratings", LargeBinary, nullable=True),
)

jobs = Table(
    "jobs",
    metadata,
    Column("job_id", String(40), primary_key=True),
    Column("sequence", BigInteger, nullable=False),
    Column("submission_id", String(40), ForeignKey("submissions.submission_id"), nullable=False),
    Column("lab_id", String(40), ForeignKey("labs.lab_id"), nullable=False),
    Column("task_id", String(60), nullable=False),
    Column("modality", String(20), nullable=False),
    Column("metric_id", String(60), nullable=False),
    # "ready", "leased", "done", "dead" or "cancelled"; of a rejudgement "rejudge" and "rejudging"
    # in place of the first two
    Column("state", String(12), nullable=False),
    Column("attempt", Integer, nullable=False),
    # Not leased before this instant (backoff).
    Column("available_time", Instant, nullable=False),
    Column("lease_token", String(60), nullable=True),
    Column("lease_expire_time", Instant, nullable=True),
    # The end of the whole attempt: a lease is not extended past it.
    Column("attempt_deadline", Instant, nullable=True),
    Column("grader_id", String(100), nullable=True),
    Column("fault", String(40), nullable=True),
    Column("create_time", Instant, nullable=False),
    Column("first_lease_time", Instant, nullable=True),
    Column("finish_time", Instant, nullable=True),
    # Set for a job whose result waits aside.
    Column("rejudgement_id", String(40), nullable=True),
    UniqueConstraint("submission_id", "task_id", "sequence"),
    Index("ix_jobs_ready", "modality", "state", "lab_id", "available_time", "sequence"),
    Index("ix_jobs_pace", "modality", "state", "finish_time"),
    Index("ix_jobs_lease", "state", "lease_expire_time"),
    Index("ix_jobs_submission", "submission_id", "state"),
    Index("ix_jobs_rejudgement", "rejudgement_id"),
)

#: Fair share between labs: the lab with the smallest virtual time is served next.
lab_shares = Table(
    "lab_shares",
    metadata,
    Column("lab_id", String(40), ForeignKey("labs.lab_id"), primary_key=True),
    Column("modality", String(20), primary_key=True),
    Column("virtual_time", BigInteger, nullable=False),
)

#: Modalities of which no job is leased.
paused_modalities = Table(
    "paused_modalities",
    metadata,
    Column("modality", String(20), primary_key=True),
    Column("pause_time", Instant, nullable=False),
    Column("reason", String(200), nullable=False),
    # The label of the operator's token.
    Column("operator", String(200), nullable=False),
)

#: Tasks that are graded again for every submission; the results wait in `rejudged_scores`.
rejudgements = Table(
    "rejudgements",
    metadata,
    Column("rejudgement_id", String(40), primary_key=True),
    Column("task_id", String(60), nullable=False),
    # "grading", "computing", "ready", "applied" or "cancelled"
    Column("state", String(12), nullable=False),
    Column("reason", String(200), nullable=False),
    Column("operator", String(200), nullable=False),
    # What a statement must say to count; empty for anything.
    Column("key_version", String(100), nullable=False),
    Column("grader_image_digest", String(200), nullable=False),
    Column("start_time", Instant, nullable=False),
    Column("end_time", Instant, nullable=True),
    # Serialised general_level.v1.RejudgementPreview, and its digest.
    Column("preview", LargeBinary, nullable=True),
    Column("preview_sha256", String(64), nullable=True),
    Index("ix_rejudgements_state", "state"),
)

rejudged_scores = Table(
    "rejudged_scores",
    metadata,
    Column(
        "rejudgement_id", String(40), ForeignKey("rejudgements.rejudgement_id"), primary_key=True
    ),
    Column("submission_id", String(40), ForeignKey("submissions.submission_id"), primary_key=True),
    # "pending", "scored", "refused", "failed", "no-archive" or "ended"
    Column("outcome", String(20), nullable=False),
    Column("fault", String(40), nullable=False),
    # The ledger's newest score when it was started: what the new one would supersede.
    Column("base_edition", Integer, nullable=False),
    Column("old_value", Float, nullable=False),
    # Serialised general_level.v1.ScoreEntry, and its findings as JSON.
    Column("entry", LargeBinary, nullable=True),
    Column("findings", LargeBinary, nullable=True),
)

#: Append-only: what operators did, and what the platform did by their settings.
audit_log = Table(
    "audit_log",
    metadata,
    Column("entry_id", _Serial, primary_key=True, autoincrement=True),
    Column("record_time", Instant, nullable=False),
    # The label of the operator's token; "gateway" for the platform itself.
    Column("operator", String(200), nullable=False),
    Column("token_id", String(40), nullable=False),
    Column("certificate", String(300), nullable=False),
    Column("action", String(60), nullable=False),
    Column("request_id", String(64), nullable=False),
    # SHA-256 of action and request: a repeated request_id must carry the same.
    Column("request_sha256", String(64), nullable=False),
    # The request as JSON.
    Column("parameters", LargeBinary, nullable=False),
    # "DONE", or the reason of the error that refused it.
    Column("outcome", String(60), nullable=False),
    # The serialised response; None for a refusal.
    Column("response", LargeBinary, nullable=True),
    # The response as JSON, for whoever reads the log.
    Column("result", LargeBinary, nullable=True),
    Index("ix_audit_log_request", "request_id"),
)

#: Labs that are signed in to the portal. The secret itself is in the browser's cookie alone.
web_sessions = Table(
    "web_sessions",
    metadata,
    Column("session_sha256", String(64), primary_key=True),
    # The token it was opened with: revoked, it ends the session as well.
    Column("token_id", String(40), ForeignKey("tokens.token_id"), nullable=False),
    Column("create_time", Instant, nullable=False),
    Column("expire_time", Instant, nullable=False),
    Index("ix_web_sessions_expire", "expire_time"),
    Index("ix_web_sessions_token", "token_id"),
)

#: Results that were published elsewhere before, as an operator imported them; never without a mark.
historical_results = Table(
    "historical_results",
    metadata,
    Column("history_id", String(60), primary_key=True),
    # JSON, format ``general-level/history/v1``, and its digest.
    Column("document", LargeBinary, nullable=False),
    Column("sha256", String(64), nullable=False),
    Column("import_time", Instant, nullable=False),
)

#: Append-only. ``position`` has no gaps: it is given under the writer's lock.
score_ledger = Table(
    "score_ledger",
    metadata,
    Column("position", BigInteger, primary_key=True, autoincrement=False),
    Column("append_time", Instant, nullable=False),
    # "score", "completion", "withdrawal" or "naming"
    Column("kind", String(12), nullable=False),
    Column("submission_id", String(40), nullable=False),
    # Empty unless kind is "score".
    Column("task_id", String(60), nullable=False),
    # A rejudged or rated task has a later edition; the first is 1.
    Column("edition", Integer, nullable=False),
    # Serialised general_level.v1.LedgerEntry.
    Column("entry", LargeBinary, nullable=False),
    UniqueConstraint("submission_id", "kind", "task_id", "edition"),
)

publications = Table(
    "publications",
    metadata,
    Column("publication_id", _Serial, primary_key=True, autoincrement=True),
    Column("ledger_position", BigInteger, nullable=False),
    Column("compute_time", Instant, nullable=False),
    Column("publish_time", Instant, nullable=False),
)

#: Snapshots of boards; only those that changed are in a publication.
standings = Table(
    "standings",
    metadata,
    Column("board_id", String(100), primary_key=True),
    Column(
        "publication_id", BigInteger, ForeignKey("publications.publication_id"), primary_key=True
    ),
    Column("snapshot", LargeBinary, nullable=False),
    Column("sha256", String(64), nullable=False),
)
