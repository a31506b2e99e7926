"""A scorer process in which some tasks always fail, as a faulty metric might make them."""

from __future__ import annotations

import os
import signal
import time

import numpy as np

from services.grader import scorer, scorer_protocol
from services.grader.decode.frames import Arrays
from services.grader.scoring import Scorer

CRASHES = "image-c-001"
HANGS = "image-c-002"
EATS_MEMORY = "image-c-003"


def respond(real: Scorer, arrays: Arrays) -> Arrays:
    """Fails as the task's name says, and scores every other."""
    if "job" in arrays:
        task_id = scorer_protocol.decode_job(arrays).task_id
        if task_id == CRASHES:
            os.kill(os.getpid(), signal.SIGSEGV)
        elif task_id == HANGS:
            time.sleep(3600)
        elif task_id == EATS_MEMORY:
            kept = []
            while True:
                kept.append(np.empty(16 * 1024 * 1024))
    return scorer.respond(real, arrays)


if __name__ == "__main__":
    scorer.main(respond)
