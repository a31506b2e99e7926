"""``make bench``: every benchmark in one run, as figures and ratios."""

from __future__ import annotations

import importlib
import time

BENCHMARKS = ("bench_checker", "bench_text_metrics", "bench_ranker", "bench_platform")


def main() -> None:
    for name in BENCHMARKS:
        print(f"\n== {name} ==", flush=True)
        begun = time.perf_counter()
        importlib.import_module(f"tests.benchmarks.{name}").main()
        print(f"({time.perf_counter() - begun:.1f} s)", flush=True)


if __name__ == "__main__":
    main()
