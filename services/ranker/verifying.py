"""Opening signed statements, on as many processors as there are.

An envelope is verified by itself and means the same wherever that is done. What it claims is held
against its ledger entry by whoever asked (`ledger_view`).
"""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Sequence
from concurrent.futures import BrokenExecutor, ProcessPoolExecutor
from typing import Final, NamedTuple

from general_level.errors import ReceiptInvalid
from general_level.receipts import verify_envelope
from services.kit.logging import get_logger

#: Fewer than this are verified here: to hand them over takes longer.
_TOGETHER_MIN: Final = 64


class Claims(NamedTuple):
    """What a statement that a trusted key signed says of one score."""

    submission_id: str
    task_id: str
    value: float
    standard_error: float | None
    item_count: int
    missing_count: int
    metric_id: str
    metric_version: int
    archive_sha256: str
    catalogue_id: str


#: The claims of a verified statement, or in one word what is wrong with its envelope.
Opened = Claims | str


def open_statement(envelope: bytes, trusted_keys: Sequence[bytes]) -> Opened:
    """Verifies one envelope by the trusted keys, raw Ed25519 public keys."""
    try:
        said = verify_envelope(envelope, trusted_keys)
    except ReceiptInvalid as invalid:
        return invalid.metadata.get("what", "envelope")
    return Claims(
        said.submission_id,
        said.task_id,
        said.value,
        said.standard_error,
        said.item_count,
        said.missing_count,
        said.metric_id,
        said.metric_version,
        said.archive_sha256,
        said.catalogue_id,
    )


def _open_all(envelopes: Sequence[bytes], trusted_keys: Sequence[bytes]) -> list[Opened]:
    return [open_statement(envelope, trusted_keys) for envelope in envelopes]


def processors() -> int:
    """Those that this process may run on."""
    return len(os.sched_getaffinity(0))


class Verifier:
    """Opens statements in ``processes`` processes: this one if 1, else so many more.

    They start with the first large batch and end with ``close``; whatever becomes of them, each
    statement is verified.
    """

    def __init__(self, trusted_keys: Sequence[bytes], processes: int = 1) -> None:
        self.trusted_keys = tuple(trusted_keys)
        #: Statements opened so far, in whichever process.
        self.count = 0
        self._processes = processes
        self._pool: ProcessPoolExecutor | None = None

    def open(self, envelopes: Sequence[bytes]) -> list[Opened]:
        """The statements in their order."""
        self.count += len(envelopes)
        if self._processes > 1 and len(envelopes) >= _TOGETHER_MIN:
            try:
                return self._open_together(envelopes)
            except (BrokenExecutor, OSError) as error:
                get_logger().warning("verifies in one process", problem=type(error).__name__)
                self.close()
        return _open_all(envelopes, self.trusted_keys)

    def _open_together(self, envelopes: Sequence[bytes]) -> list[Opened]:
        if self._pool is None:
            # Not by fork: this process has threads, of gRPC and its own.
            context = multiprocessing.get_context("spawn")
            self._pool = ProcessPoolExecutor(self._processes, mp_context=context)
        size = -(-len(envelopes) // self._processes)
        parts = [envelopes[start : start + size] for start in range(0, len(envelopes), size)]
        opened: list[Opened] = []
        for part in self._pool.map(_open_all, parts, [self.trusted_keys] * len(parts)):
            opened += part
        return opened

    def close(self) -> None:
        """Ends the other processes; from then on this one verifies alone."""
        self._processes = 1
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)
            self._pool = None
