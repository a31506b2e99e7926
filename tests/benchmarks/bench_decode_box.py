"""Pictures through the hardened decode box, against Pillow in the same process.

    python -m tests.benchmarks.bench_decode_box [--pictures 500]

The box takes the files in the pieces in which the worker receives them, and the time ends when the
scorer's side holds checked arrays. Plain Pillow opens the same files from memory. Files and arrays
are the same on both sides; what remains is the price of the walls: another process, its pipes, and
the file of parts. The box decodes on one core while the worker's side feeds it from another, so on
a machine that is busy otherwise the processor seconds tell more than the time.
"""

from __future__ import annotations

import argparse
import asyncio
import io
import json
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from general_level.catalogue.model import AnswerKind
from services.grader.decode import columns
from services.grader.decode.box import BoxLimits, Decoded, SubprocessBox
from services.grader.decode.protocol import DecodeRequest
from services.grader.decode.spool import Parts
from tests.benchmarks.photographs import photographs, png
from tests.support.media_box import members, start_box

SIDE = 512
REPEATS = 3

Pictures = list[NDArray[Any]]


def plain(files: Mapping[str, bytes]) -> Pictures:
    """Pillow alone."""
    pictures = []
    for data in files.values():
        with Image.open(io.BytesIO(data)) as image:
            pictures.append(np.asarray(image.convert("RGB")))
    return pictures


async def boxed(box: SubprocessBox, files: Mapping[str, bytes], predictions: bytes) -> Pictures:
    """The same through the box and the file of parts."""
    request = DecodeRequest(AnswerKind.IMAGE, {}, content=True)
    decoded = await box.decode(request, members({"prediction.json": predictions, **files}))
    assert isinstance(decoded, Decoded)
    try:
        parts = Parts(decoded.parts, BoxLimits().answer)
        return columns.unpack(AnswerKind.IMAGE, decoded.arrays, {}, parts).values
    finally:
        decoded.close()


def processor_seconds(pid: int) -> float:
    """What a process has used of the processors so far; proc(5), /proc/pid/stat, 14 and 15."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


async def measure(count: int) -> None:
    files = {f"{row:04}.png": png(one) for row, one in enumerate(photographs(count, SIDE))}
    rows = [{"id": name.removesuffix(".png"), "prediction": name} for name in files]
    predictions = json.dumps(rows).encode()
    megabytes = sum(map(len, files.values())) / 1e6
    print(f"{count} pictures of {SIDE} x {SIDE} as PNG, {megabytes:.0f} MB")
    begun = time.perf_counter()
    box = await start_box()
    print(f"  box started in {time.perf_counter() - begun:.2f} s")
    print(f"  walls that this machine refuses: {', '.join(box.missing_steps) or 'none'}")
    box_s = plain_s = box_cpu_s = worker_cpu_s = plain_cpu_s = float("inf")
    try:
        for _ in range(REPEATS):  # in turn, so that other load slows both
            begun, cpu, child = time.perf_counter(), time.process_time(), processor_seconds(box.pid)
            ours = await boxed(box, files, predictions)
            box_s = min(box_s, time.perf_counter() - begun)
            worker_cpu_s = min(worker_cpu_s, time.process_time() - cpu)
            box_cpu_s = min(box_cpu_s, processor_seconds(box.pid) - child)
            begun, cpu = time.perf_counter(), time.process_time()
            theirs = plain(files)
            plain_s = min(plain_s, time.perf_counter() - begun)
            plain_cpu_s = min(plain_cpu_s, time.process_time() - cpu)
    finally:
        await box.close()
    same = all(np.array_equal(one, other) for one, other in zip(ours, theirs, strict=True))
    for name, seconds, processor in (
        ("plain Pillow", plain_s, f"{plain_cpu_s:.2f}"),
        ("decode box, unpacked", box_s, f"{box_cpu_s:.2f} in the box, {worker_cpu_s:.2f} outside"),
    ):
        rate = f"{count / seconds:8.0f} pictures/s"
        print(f"  {name:<22}{seconds:7.2f} s{rate}   processor seconds: {processor}")
    print(f"  box over plain: {box_s / plain_s:.2f} times the time; arrays equal: {same}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pictures", type=int, default=500, help="number of pictures to decode")
    asyncio.run(measure(parser.parse_args().pictures))


if __name__ == "__main__":
    main()
