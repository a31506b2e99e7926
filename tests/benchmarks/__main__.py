"""``make bench``: every benchmark in one run, as figures and ratios.

    python -m tests.benchmarks [NAME ...]

Without names all run. One alone, ``python -m tests.benchmarks.NAME``, has options of its own.
"""

from __future__ import annotations

import argparse
import importlib
import sys
import time

BENCHMARKS = (
    "bench_checker",
    "bench_text_metrics",
    "bench_comprehension_metrics",
    "bench_generation_metrics",
    "bench_decode_box",
    "bench_ranker",
    "bench_queue",
    "bench_ranker_restart",
    "bench_pages",
    "bench_platform",
)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(BENCHMARKS))
    names = parser.parse_args().names or list(BENCHMARKS)
    if unknown := set(names) - set(BENCHMARKS):
        parser.error(f"no such benchmark: {', '.join(sorted(unknown))}")
    del sys.argv[1:]  # each has its own options, at their defaults here
    for name in names:
        print(f"\n== {name} ==", flush=True)
        begun = time.perf_counter()
        importlib.import_module(f"tests.benchmarks.{name}").main()
        print(f"({time.perf_counter() - begun:.1f} s)", flush=True)


if __name__ == "__main__":
    main()
