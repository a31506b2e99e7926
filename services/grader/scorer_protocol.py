"""What the worker and its scorer say to each other over two pipes.

    worker → scorer   one configuration, then jobs and self-tests, each one frame
    scorer → worker   one ready frame, then one result frame for each

The worker's side is JSON of a few words beside the answers' arrays. The scorer's side is numbers,
codes and the signed envelope: no text that it composes can leave it, so no answer can.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from general_level.dsse import MAX_ENVELOPE_BYTES
from services.grader.decode import frames
from services.grader.decode.frames import Arrays, FrameInvalid, FrameLimits
from services.grader.decode.spool import Parts
from services.grader.networks import NetworkSettings
from services.grader.outcomes import MAX_FINDINGS, Fault
from services.grader.scoring import JobFacts, ScoringFault, SignedScore, Stage

#: A job's frame: the box's answer, plus ratings and facts.
JOB_LIMITS: Final = FrameLimits(payload_bytes=640 * 1024 * 1024)
#: One part of the content of media, as the box may send it.
PART_LIMITS: Final = FrameLimits()
#: What comes back: the envelope and some hundred numbers.
RESULT_LIMITS: Final = FrameLimits(payload_bytes=2 * MAX_ENVELOPE_BYTES)

#: What could not be used and why, as numbers; ``services.grader.keys`` has most of the words.
KEY_OBJECTS: Final = ("identity", "signing-key", "bundle", "key", "device")
KEY_REASONS: Final = (
    "unreadable",
    "mode",
    "too-large",
    "not-a-key",
    "damaged",
    "wrong-identity-or-damaged",
    "commitment",
    "unknown-task",
    "other-catalogue",
    "not-there",
)
UNKNOWN_WORD: Final = 255

#: What the worker says beside a box's arrays; a box that uses one of these names means no good.
RESERVED_NAMES: Final = frozenset({"job", "ratings", "golden", "parts"})


@dataclass(frozen=True, slots=True)
class ScorerConfig:
    """What a scorer needs to start. The secrets are paths: only the scorer reads the files."""

    catalogue_name: str
    catalogue_folder: Path | None
    bundle: Path
    identity: Path
    signing_key: Path
    memory_bytes: int
    image_digest: str
    device: str
    version: str
    networks: NetworkSettings = NetworkSettings()  # noqa: RUF009 - frozen


def encode_config(config: ScorerConfig) -> Arrays:
    """The configuration frame's arrays."""
    text = json.dumps(asdict(config), default=str)
    return {"configure": frames.from_bytes(text.encode())}


def decode_config(arrays: Arrays) -> ScorerConfig:
    """The configuration in a frame."""
    fields: dict[str, Any] = json.loads(arrays["configure"].tobytes())
    folder = fields.pop("catalogue_folder")
    for name in ("bundle", "identity", "signing_key"):
        fields[name] = Path(fields[name])
    networks = fields["networks"]
    for name in ("weights", "pins"):
        networks[name] = Path(networks[name]) if networks[name] else None
    fields["networks"] = NetworkSettings(**networks)
    return ScorerConfig(catalogue_folder=Path(folder) if folder else None, **fields)


def encode_job(facts: JobFacts, arrays: Arrays, parts: Path | None = None) -> Arrays:
    """A job's frame: its facts, its ratings, the answers, and where their parts lie.

    FrameInvalid where the answers hold a name of the worker's: the facts and the ratings are what
    the gateway said, whatever the box would have the scorer believe.
    """
    fields = {
        "submission_id": facts.submission_id,
        "task_id": facts.task_id,
        "catalogue_id": facts.catalogue_id,
        "archive_sha256": facts.archive_sha256,
        "members": dict(facts.members),
    }
    return {
        "job": frames.from_bytes(json.dumps(fields).encode()),
        "ratings": frames.from_bytes(facts.ratings),
        **_answers(arrays, parts),
    }


def encode_self_test(case: str, arrays: Arrays, parts: Path | None = None) -> Arrays:
    """A self-test's frame: the golden case's name beside its answers; FrameInvalid as above."""
    return {"golden": frames.from_bytes(case.encode()), **_answers(arrays, parts)}


def _answers(arrays: Arrays, parts: Path | None) -> Arrays:
    if not RESERVED_NAMES.isdisjoint(arrays):
        raise FrameInvalid("an array of a reserved name")
    return {"parts": frames.from_bytes(str(parts or "").encode()), **arrays}


def decode_parts(arrays: Arrays) -> Parts:
    """The content of media that a frame's answers refer to, none where there is none.

    FrameInvalid where the file is cut off, OSError where it is gone.
    """
    path = arrays["parts"].tobytes().decode()
    return Parts(Path(path) if path else None, PART_LIMITS)


def decode_job(arrays: Arrays) -> JobFacts:
    """The facts of a job's frame."""
    fields: dict[str, Any] = json.loads(arrays["job"].tobytes())
    return JobFacts(**fields, ratings=arrays["ratings"].tobytes())


def encode_score(score: SignedScore) -> Arrays:
    """The result frame of a scored job."""
    error = [] if score.standard_error is None else [score.standard_error]
    return {
        "fault": np.zeros(1, dtype=np.uint8),
        "value": np.array([score.value], dtype=np.float64),
        "standard_error": np.array(error, dtype=np.float64),
        "counts": np.array([score.item_count, score.missing_count], dtype=np.int64),
        "envelope": frames.from_bytes(score.envelope),
        "unknown_rows": np.array(score.unknown_rows, dtype=np.int64),
        "unfit_rows": np.array(score.unfit_rows, dtype=np.int64),
    }


def encode_fault(fault: ScoringFault) -> Arrays:
    """The result frame of a job that failed."""
    return {
        "fault": np.array([fault.fault], dtype=np.uint8),
        "stage": np.array([fault.stage], dtype=np.uint8),
    }


def decode_result(arrays: Arrays) -> SignedScore:
    """The score of a result frame.

    Raises ScoringFault where it holds one, FrameInvalid where it is none of both.
    """
    (fault,) = _exactly(frames.array(arrays, "fault", "u1"), 1)
    if fault:
        (stage,) = _exactly(frames.array(arrays, "stage", "u1"), 1)
        try:
            raise ScoringFault(Fault(fault), Stage(stage))
        except ValueError:
            raise FrameInvalid("an unknown fault") from None
    (value,) = _exactly(frames.array(arrays, "value", "<f8"), 1)
    errors = frames.array(arrays, "standard_error", "<f8").tolist()
    items, missing = _exactly(frames.array(arrays, "counts", "<i8"), 2)
    envelope = frames.array(arrays, "envelope", "u1").tobytes()
    unknown = frames.array(arrays, "unknown_rows", "<i8").tolist()
    unfit = frames.array(arrays, "unfit_rows", "<i8").tolist()
    too_many = max(len(unknown), len(unfit)) > MAX_FINDINGS
    if len(errors) > 1 or not 0 <= missing <= items or too_many:
        raise FrameInvalid("a score that contradicts itself")
    if not 0 < len(envelope) <= MAX_ENVELOPE_BYTES:
        raise FrameInvalid("an envelope of a length out of range")
    error = errors[0] if errors else None
    return SignedScore(value, error, items, missing, envelope, tuple(unknown), tuple(unfit))


def encode_memory(used: int, size: int, peak: int) -> Arrays:
    """What a scorer with a card adds to each result frame: bytes used, there are, most it had."""
    return {"card_memory": np.array([used, size, peak], dtype=np.int64)}


def decode_memory(arrays: Arrays) -> tuple[int, int, int] | None:
    """The same; None where it is not there, or makes no sense: it is only for telemetry."""
    if "card_memory" not in arrays:
        return None
    try:
        used, size, peak = _exactly(frames.array(arrays, "card_memory", "<i8"), 3)
    except FrameInvalid:
        return None
    return (used, size, peak) if min(used, size, peak) >= 0 else None


def _exactly(array: Any, count: int) -> list[Any]:
    if len(array) != count:
        raise FrameInvalid("a list of the wrong length")
    values: list[Any] = array.tolist()
    return values


def encode_ready(public_key: bytes) -> Arrays:
    """The ready frame of a scorer that can sign."""
    return {
        "fault": np.zeros(1, dtype=np.uint8),
        "public_key": frames.from_bytes(public_key),
    }


def encode_unready(what: str, why: str) -> Arrays:
    """The ready frame of a scorer whose keys cannot be used."""
    words = [
        table.index(word) if word in table else UNKNOWN_WORD
        for table, word in ((KEY_OBJECTS, what), (KEY_REASONS, why))
    ]
    return {
        "fault": np.array([Fault.KEY_UNAVAILABLE], dtype=np.uint8),
        "words": np.array(words, dtype=np.uint8),
    }


def word(table: tuple[str, ...], number: int) -> str:
    """The word of a number in one of the tables above."""
    return table[number] if number < len(table) else "unknown"
