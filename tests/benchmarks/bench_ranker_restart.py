"""A ranker that starts again: every statement verified, by one and by all processors, or hashed.

    python -m tests.benchmarks.bench_ranker_restart [--statements 100000]

The ledger of so many signed scores is read in the batches that the gateway sends. 1,000 different
statements are made, and used again under other positions: to verify one takes as long each time.
The sides that verify take turns, so that other load slows both, and the best batch of each is
compared. What the network and the gateway take is not in it.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator, Sequence

from general_level.v1 import ranking_pb2 as pb
from services.ranker.checkpoint import Checkpoint
from services.ranker.ledger_view import LedgerView
from services.ranker.verifying import Verifier, processors
from tests.support.queue_world import CATALOGUE
from tests.unit.ranker_service.test_ledger_view import KEY, Ledger

#: As many as one message of the gateway holds.
BATCH = 1000


def batches(entries: Sequence[pb.LedgerEntry], statements: int) -> Iterator[list[pb.LedgerEntry]]:
    """The entries again and again, under the positions of one ledger; parsed as from a message."""
    position = 0
    while position + BATCH <= statements:
        batch = []
        for entry in entries:
            position += 1
            again = pb.LedgerEntry.FromString(entry.SerializeToString())
            again.position = position
            batch.append(again)
        yield batch


class Reader:
    """A ranker's view that takes the ledger in, and the seconds of each of its batches."""

    def __init__(
        self, envelope: bytes, processes: int = 1, checkpoint: Checkpoint | None = None
    ) -> None:
        self._verifier = Verifier([KEY.public], processes)
        # The processes start, and import what they need, before the time does.
        self._verifier.open([envelope] * BATCH)
        self.view = LedgerView(CATALOGUE, self._verifier, checkpoint)
        self.seconds: list[float] = []

    def take(self, batch: list[pb.LedgerEntry]) -> None:
        begun = time.perf_counter()
        refusals = self.view.apply(batch)
        self.seconds.append(time.perf_counter() - begun)
        assert not refusals

    def close(self) -> None:
        self._verifier.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--statements", type=int, default=100_000)
    statements: int = parser.parse_args().statements
    ledger = Ledger()
    entries = [ledger.score(submission=f"sub-{n}") for n in range(BATCH)]
    envelope = entries[0].score.envelope

    alone, together = Reader(envelope), Reader(envelope, processors())
    for batch in batches(entries, statements):
        alone.take(batch)
        together.take(batch)
    together.close()
    restarted = Reader(envelope, checkpoint=alone.view.checkpoint())
    for batch in batches(entries, statements):
        restarted.take(batch)
    assert restarted.view.checkpoint() == alone.view.checkpoint() == together.view.checkpoint()

    print(f"statements {statements}, processors {processors()}; the best of all batches of {BATCH}")
    for name, reader in (
        ("verified by one process", alone),
        (f"verified by {processors()} processes", together),
        ("hashed, from a checkpoint", restarted),
    ):
        best = min(reader.seconds)
        print(
            f"{name:28} {best / BATCH * 1e6:8.1f} us each {min(alone.seconds) / best:7.1f} x"
            f"   all {sum(reader.seconds):7.2f} s"
        )


if __name__ == "__main__":
    main()
