"""A full synthetic A submission of text answers on the embedded platform, upload to standings.

Every task of the catalogue that graders score, 130,000 items in all; the bar is 60 s on 2 cores.
"""

from __future__ import annotations

import math
import tempfile
import time
from pathlib import Path

from general_level.catalogue import load
from general_level.client import ModelMetadata
from tests.support.platform import running_platform
from tests.support.synthetic import scored_tasks, write_archive

ITEMS_TOTAL = 130_000
BOARD = "A-full"


def main() -> None:
    catalogue = load()
    tasks = scored_tasks(catalogue, BOARD)
    items = math.ceil(ITEMS_TOTAL / len(tasks))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        begun = time.perf_counter()
        with running_platform(folder, tasks, items) as platform, platform.new_lab() as client:
            print(f"{'sealing and start':34} {time.perf_counter() - begun:8.1f} s")
            archive = write_archive(folder, "Model", BOARD, tasks, items, correct=0.5)
            size_mib = archive.stat().st_size / 2**20
            print(f"{len(tasks)} tasks, {len(tasks) * items:,} items, archive {size_mib:.1f} MiB")
            begun = time.perf_counter()
            submission = client.submit(archive, metadata=ModelMetadata("Model", "Bench"))
            print(f"{'uploaded after':34} {time.perf_counter() - begun:8.2f} s")
            last = ""
            for update in client.watch(submission.submission_id):
                if update.state != last:
                    last = update.state
                    print(f"{f'{last.lower()} after':34} {time.perf_counter() - begun:8.2f} s")
            standings = client.standings(BOARD)
            elapsed = time.perf_counter() - begun
            print(f"{'standings read after':34} {elapsed:8.2f} s   bar 60 s")
            print(f"{'jobs per second':34} {len(tasks) / elapsed:8.1f}")
            row = standings.standings[0]
            print(f"level {row.level}, {row.supported_tasks} supported, {row.winning_tasks} wins")


if __name__ == "__main__":
    main()
