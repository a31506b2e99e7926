"""One metric of ours beside one of a library: measured in turn, printed as a line of a table.

Both sides score the same data in one process and on one thread, as the scorer runs, and what is not
the metric (an index of annotations, the reading of files) is done before the time is taken. So that
a burst of other load slows both or neither, the sides take turns and the best of some runs counts.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import cv2
import torch
from threadpoolctl import threadpool_limits

#: A side that took longer than this together with the other is not run again.
LONG_SECONDS = 4.0
REPEATS = 4

Call = Callable[[], float]


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two calls that give a metric's value for the same ``data``, which is described in words."""

    metric: str
    against: str
    data: str
    ours: Call
    theirs: Call


#: The name of a part of a benchmark, and what makes its data and its comparisons.
Parts = Mapping[str, Callable[[], Iterator[Comparison]]]


def run(parts: Parts, description: str | None) -> None:
    """Prints the table of the parts that the command line names, of all where it names none."""
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("parts", nargs="*", metavar="PART", help=", ".join(parts))
    chosen = parser.parse_args().parts or list(parts)
    if unknown := set(chosen) - set(parts):
        parser.error(f"no such part: {', '.join(sorted(unknown))}")
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    with threadpool_limits(limits=1):
        for name in chosen:
            data = ""
            for comparison in parts[name]():
                if comparison.data != data:
                    data = comparison.data
                    print(f"{name}: {data}")
                print(_line(comparison), flush=True)


def _line(comparison: Comparison) -> str:
    ours_s = theirs_s = float("inf")
    for _ in range(REPEATS):
        ours, seconds = _timed(comparison.ours)
        ours_s = min(ours_s, seconds)
        theirs, their_seconds = _timed(comparison.theirs)
        theirs_s = min(theirs_s, their_seconds)
        if seconds + their_seconds > LONG_SECONDS:
            break
    return (
        f"  {comparison.metric:<18}{comparison.against:<26}theirs {theirs_s:8.3f} s"
        f"   ours {ours_s:7.3f} s   ratio {theirs_s / ours_s:6.1f}"
        f"   value {ours:9.4f}   difference {abs(ours - theirs):.1e}"
    )


def _timed(call: Call) -> tuple[float, float]:
    begun = time.perf_counter()
    value = call()
    return value, time.perf_counter() - begun
