"""Media files that are made to hurt, in a real box: each a finding, and the others are decoded."""

from __future__ import annotations

import io
import json
import random
import struct
import zipfile
from collections import Counter
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import soundfile  # type: ignore[import-untyped]

from general_level.catalogue.model import AnswerKind
from general_level.submission.codes import CONTENT_CODES, RULES, Code, Severity
from services.grader.decode.box import Decoded, SubprocessBox
from services.grader.decode.formats import warm_up
from services.grader.decode.formats.warm_up import picture, sound, video
from services.grader.decode.formats.writers import glb, npy, npz, png
from services.grader.decode.protocol import DecodeRequest
from tests.support.media_box import decode, members, naming, start_box

MIB = 1024 * 1024
UNREADABLE, TOO_LARGE = Code.MEDIA_UNREADABLE, Code.MEDIA_TOO_LARGE
WRONG_SHAPE, NOT_FINITE = Code.MEDIA_WRONG_SHAPE, Code.MEDIA_NOT_FINITE
OBJECTS, NO_CONTENT = Code.MEDIA_OBJECTS, Code.MEDIA_NO_CONTENT

#: A usable file of each kind.
GOOD = {kind: (ending, data) for kind, ending, data in reversed(warm_up.SAMPLES[:32])}

TEN_HOURS_S = 36_000
NAN, INF = float("nan"), float("inf")


def silent_flacs() -> tuple[bytes, bytes]:
    """Ten hours of silence in little space, and the same with a header that does not say so."""
    file = io.BytesIO()
    with soundfile.SoundFile(
        file, "w", 1000, 1, format="FLAC", subtype="PCM_16", compression_level=0.0
    ) as flac:
        block = np.zeros(1000 * 600, dtype=np.int16)
        for _ in range(TEN_HOURS_S // 600):
            flac.write(block)
    data = bytearray(file.getvalue())
    assert data[:4] == b"fLaC"
    told = bytes(data)
    data[21] &= 0xF0  # the length is the 36 bits from the middle of this byte on
    data[22:26] = bytes(4)
    return told, bytes(data)


def gif(frames: int, side: int = 1) -> bytes:
    """A GIF of many black frames, 24 bytes each."""
    head = b"GIF89a" + struct.pack("<HHBBB", side, side, 0x80, 0, 0) + bytes(6)
    place = struct.pack("<HHHHB", 0, 0, side, side, 0)
    frame = b"\x21\xf9\x04\0\1\0\0\0," + place + b"\x02\x02\x44\x01\x00"
    return head + frame * frames + b";"


def ply_of(count: int, body: bytes = b"") -> bytes:
    header = f"ply\nformat binary_little_endian 1.0\nelement vertex {count}\nproperty float x\n"
    return (header + "property float y\nproperty float z\nend_header\n").encode() + body


def npy_header(descr: str, shape: str) -> bytes:
    text = f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}, }}\n".encode()
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text


def zipped(**members: bytes) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name.replace("_npy", ".npy"), content)
    return file.getvalue()


def lying_npz(told: int) -> bytes:
    """An NPZ whose directory tells another size than the 8 MiB that come out."""
    data = zipped(a_npy=npy(np.zeros(MIB)))
    size = struct.pack("<I", 8 * MIB + 128)
    assert data.count(size) == 2
    return data.replace(size, struct.pack("<I", told))


def webp_canvas(width: int, height: int) -> bytes:
    sides = (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    body = b"WEBPVP8X" + struct.pack("<I", 10) + bytes(4) + sides + bytes(1000)
    return b"RIFF" + struct.pack("<I", len(body)) + body


def wav_of(*samples: float) -> bytes:
    file = io.BytesIO()
    soundfile.write(file, np.array(samples), 16_000, subtype="FLOAT", format="WAV")
    return file.getvalue()


def flo_of(width: int, height: int, *numbers: float) -> bytes:
    return struct.pack("<fii", 202021.25, width, height) + struct.pack(
        f"<{len(numbers)}f", *numbers
    )


def cases() -> Iterator[tuple[str, AnswerKind, str, bytes, Code]]:
    """Name, kind, ending, file, and the code that must come."""
    kind = AnswerKind
    for given, (ending, data) in GOOD.items():
        text = ending in (".txt", ".xyz")
        yield f"empty {given}", given, ending, b"", NO_CONTENT if text else UNREADABLE
        if not text:
            yield f"text as {given}", given, ending, b"<html>no</html>" * 10, UNREADABLE
            yield f"ZIP as {given}", given, ending, zipped(a=b"x" * 1000), UNREADABLE
        half = data[: len(data) // 2]
        if given not in (kind.NORMALS, kind.POINT_LABELS, kind.AUDIO, kind.IMAGE, kind.PANOPTIC):
            yield f"half {given}", given, ending, half, UNREADABLE
    big = png(60_000, 60_000, 8, 2, bytes(1000))
    yield "PNG bomb", kind.IMAGE, ".png", big, TOO_LARGE
    yield "panoptic bomb", kind.PANOPTIC, ".png", big, TOO_LARGE
    yield "depth bomb", kind.DEPTH, ".png", png(60_000, 60_000, 16, 0, b""), TOO_LARGE
    yield "flow bomb", kind.FLOW, ".png", png(60_000, 60_000, 16, 2, b""), TOO_LARGE
    yield "PNG without pixels", kind.IMAGE, ".png", png(0, 0, 8, 2, b""), NO_CONTENT
    yield "short rows", kind.IMAGE, ".png", png(100, 100, 8, 2, bytes(1000)), UNREADABLE
    yield "short flow", kind.FLOW, ".png", png(100, 100, 16, 2, bytes(1000)), UNREADABLE
    yield "WebP bomb", kind.IMAGE, ".webp", webp_canvas(16_384, 16_384), TOO_LARGE
    yield "GIF as PNG", kind.IMAGE, ".png", gif(1), UNREADABLE
    yield "PNG as JPEG, cut", kind.IMAGE, ".jpg", picture("RGB", "PNG", 64)[:50], UNREADABLE
    yield "colour as depth", kind.DEPTH, ".png", picture("RGB", "PNG"), WRONG_SHAPE
    yield "grey as flow", kind.FLOW, ".png", picture("I;16", "PNG"), WRONG_SHAPE
    yield "GIF of 30,000 frames", kind.VIDEO, ".gif", gif(30_000), TOO_LARGE
    yield "GIF of 3,000 frames", kind.VIDEO, ".gif", gif(3_000, 1000), TOO_LARGE
    yield "MKV as MP4", kind.VIDEO, ".mp4", video("matroska", "ffv1"), UNREADABLE
    playlist = b"#EXTM3U\n#EXTINF:1,\nfile:///etc/passwd\n"
    yield "playlist as MP4", kind.VIDEO, ".mp4", playlist, UNREADABLE
    yield "concat as AVI", kind.VIDEO, ".avi", b"ffconcat version 1.0\nfile /etc/passwd", UNREADABLE
    yield "sound as video", kind.VIDEO, ".mp4", warm_up.m4a(), UNREADABLE
    told, hidden = silent_flacs()
    yield "ten hours", kind.AUDIO, ".flac", told, TOO_LARGE
    yield "ten hidden hours", kind.AUDIO, ".flac", hidden, TOO_LARGE
    yield "NaN in sound", kind.AUDIO, ".wav", wav_of(0.0, NAN), NOT_FINITE
    yield "infinity in sound", kind.AUDIO, ".wav", wav_of(0.0, -INF), NOT_FINITE
    yield "loudest sound", kind.AUDIO, ".wav", wav_of(0.0, 1e30), NOT_FINITE
    yield "no sample", kind.AUDIO, ".wav", sound("WAV", samples=0), NO_CONTENT
    yield "AIFF as WAV", kind.AUDIO, ".wav", sound("AIFF"), UNREADABLE
    yield "half FLAC", kind.AUDIO, ".flac", sound("FLAC")[:60], UNREADABLE
    yield "billion points", kind.POINT_CLOUD, ".ply", ply_of(10**9), TOO_LARGE
    yield "endless digits", kind.POINT_CLOUD, ".ply", ply_of(10**100), UNREADABLE
    yield "points that are not there", kind.POINT_CLOUD, ".ply", ply_of(9_000_000), UNREADABLE
    yield "no point", kind.POINT_CLOUD, ".ply", ply_of(0), NO_CONTENT
    nan_point = struct.pack("<3f", 0, NAN, 0)
    yield "NaN in points", kind.POINT_CLOUD, ".ply", ply_of(1, nan_point), NOT_FINITE
    yield "NaN in text", kind.POINT_CLOUD, ".xyz", b"0 0 0\n0 nan 0\n", NOT_FINITE
    yield "two coordinates", kind.POINT_CLOUD, ".xyz", b"0 0\n0 1\n", WRONG_SHAPE
    yield "ragged text", kind.POINT_CLOUD, ".xyz", b"0 0 0\n0 1\n", UNREADABLE
    pcd = b"FIELDS x y z\nSIZE 4 4 4\nTYPE F F F\nPOINTS 9999999999\nDATA binary\n"
    yield "PCD bomb", kind.POINT_CLOUD, ".pcd", b"# PCD\n" + pcd, TOO_LARGE
    yield "OFF bomb", kind.MESH, ".off", b"OFF\n999999999 1 0\n0 0 0\n", TOO_LARGE
    stl = bytes(80) + struct.pack("<I", 2**32 - 1)
    yield "STL bomb", kind.MESH, ".stl", stl, UNREADABLE
    yield "face without vertex", kind.MESH, ".obj", b"v 0 0 0\nf 1 2 3\n", UNREADABLE
    yield "mesh without face", kind.MESH, ".ply", ply_of(1, bytes(12)), NO_CONTENT
    accessors: list[Any] = [{"componentType": 5126, "count": 10**9, "type": "VEC3"}] * 2
    yield "GLB bomb", kind.MESH, ".glb", glb(accessors=accessors), TOO_LARGE
    copies = [{"children": [n + 1, n + 1], "mesh": 0} for n in range(40)] + [{"mesh": 0}]
    yield "GLB of copies", kind.MESH, ".glb", glb(nodes=copies), UNREADABLE
    loop = [{"children": [1], "mesh": 0}, {"children": [0], "mesh": 0}]
    yield "GLB in a circle", kind.MESH, ".glb", glb(nodes=loop), UNREADABLE
    outside = [{"byteLength": 48, "uri": "/etc/passwd"}]
    yield "GLB of outside", kind.MESH, ".glb", glb(buffers=outside), UNREADABLE
    yield "pickle", kind.MOTION, ".npy", npy(np.array([object], dtype=object)), OBJECTS
    yield "records", kind.MOTION, ".npy", npy(np.zeros(3, dtype=[("a", "f4")])), OBJECTS
    yield "texts", kind.MOTION, ".npy", npy(np.array([["a"]])), OBJECTS
    yield "code", kind.MOTION, ".npy", npy_header("__import__('os')", "(1,)"), UNREADABLE
    yield "NPY bomb", kind.MOTION, ".npy", npy_header("'<f8'", "(9999999999, 22)"), TOO_LARGE
    yield "NPY of no side", kind.MOTION, ".npy", npy_header("'<f8'", "(0, 9999999999)"), TOO_LARGE
    yield "NPY too short", kind.MOTION, ".npy", npy_header("'<f8'", "(5, 5)") + b"1", UNREADABLE
    yield "NPY and a ZIP", kind.MOTION, ".npy", npy(np.zeros((2, 2))) + zipped(a=b"x"), UNREADABLE
    yield "ZIP in NPY", kind.MOTION, ".npy", zipped(a_npy=npy(np.zeros((2, 2)))), UNREADABLE
    yield "ZIP in NPZ", kind.MOTION, ".npz", zipped(a_npy=zipped(a=b"x")), UNREADABLE
    yield "NPZ bomb", kind.MOTION, ".npz", lying_npz(10**9), TOO_LARGE
    yield "lying NPZ", kind.MOTION, ".npz", lying_npz(100), UNREADABLE
    yield "empty NPZ", kind.MOTION, ".npz", zipped(), NO_CONTENT
    yield "NPZ of others", kind.MOTION, ".npz", npz(a=np.zeros(1), b=np.zeros(1)), WRONG_SHAPE
    yield "one dimension", kind.MOTION, ".npy", npy(np.zeros(5)), WRONG_SHAPE
    yield "complex", kind.MOTION, ".npy", npy(np.zeros((2, 2), complex)), OBJECTS
    yield "infinite motion", kind.MOTION, ".npy", npy(np.array([[INF]])), NOT_FINITE
    yield "no frame", kind.MOTION, ".npy", npy(np.zeros((0, 22, 3))), NO_CONTENT
    yield "three components", kind.FLOW, ".npy", npy(np.zeros((4, 4, 3))), WRONG_SHAPE
    yield "NaN in flow", kind.FLOW, ".flo", flo_of(1, 1, NAN, 0), NOT_FINITE
    yield "FLO bomb", kind.FLOW, ".flo", flo_of(60_000, 60_000), TOO_LARGE
    yield "FLO of no side", kind.FLOW, ".flo", flo_of(-1, 5), NO_CONTENT
    yield "infinite depth", kind.DEPTH, ".npy", npy(np.array([[INF]])), NOT_FINITE
    yield "depth of one row", kind.DEPTH, ".npy", npy(np.zeros(5)), WRONG_SHAPE
    yield "fractions as classes", kind.POINT_LABELS, ".txt", b"0\n1.5\n", WRONG_SHAPE
    yield "huge class", kind.POINT_LABELS, ".txt", b"0\n99999999999\n", NOT_FINITE
    yield "four numbers", kind.NORMALS, ".xyz", b"0 0 0 1\n", WRONG_SHAPE


Case = tuple[str, AnswerKind, str, bytes, Code]


@pytest.fixture(scope="module")
def hostile() -> list[Case]:
    return list(cases())


async def test_every_hostile_file_is_a_finding_and_its_neighbour_is_decoded(
    hostile: list[Case],
) -> None:
    box = await start_box(memory_bytes=1536 * MIB, decode_seconds=60.0)
    wrong: list[tuple[str, object]] = []
    try:
        for kind, (good_ending, good) in GOOD.items():
            mine = [case for case in hostile if case[1] is kind]
            files = {f"{n}{case[2]}": case[3] for n, case in enumerate(mine)}
            files[f"good{good_ending}"] = good
            outcome = await decode(box, kind, [naming(kind, path) for path in files], files)
            assert str(len(mine)) in outcome.values, kind
            for number, (name, _, _, _, code) in enumerate(mine):
                found = outcome.codes.pop(number, None)
                if found != {code}:
                    wrong.append((name, found))
            assert not outcome.codes
        assert not wrong
        assert box.alive
    finally:
        await box.close()


def test_every_code_about_contents_has_a_case_and_refuses_nothing_else(
    hostile: list[Case],
) -> None:
    # The last is found where the key is, not in the box.
    elsewhere = {Code.ANSWERS_TOO_LARGE, Code.ANSWER_DOES_NOT_FIT}
    assert {case[4] for case in hostile} == CONTENT_CODES - elsewhere
    for code in CONTENT_CODES:
        assert RULES[code].severity is Severity.WARNING
        # Only the number of a code leaves a box, so its words need no data.
        assert "{" not in RULES[code].message + RULES[code].remedy


async def test_answers_beyond_the_size_of_all_are_findings() -> None:
    box = await start_box(parts_bytes=3000)
    try:
        files = {f"{n}.png": picture("RGB", "PNG") for n in range(5)}  # 768 bytes decoded
        outcome = await decode(box, AnswerKind.IMAGE, list(files), files)
        assert list(outcome.values) == ["0", "1", "2"]
        assert outcome.codes == {row: {Code.ANSWERS_TOO_LARGE} for row in (3, 4)}
    finally:
        await box.close()


async def test_a_wide_mask_is_a_finding_of_its_item() -> None:
    box = await start_box()
    wide = {"size": [16_000, 16_000], "counts": [256_000_000]}
    small = {"size": [2, 2], "counts": [1, 3]}
    rows: list[Any] = [[{"mask": wide}], [{"mask": small}]]
    try:
        text = json.dumps([{"id": str(n), "prediction": row} for n, row in enumerate(rows)])
        outcome = await box.decode(
            DecodeRequest(AnswerKind.MASKS, {}), members({"prediction.json": text.encode()})
        )
        assert isinstance(outcome, Decoded)
        assert [(f.code, f.row) for f in outcome.findings] == [(TOO_LARGE, 0)]
        assert outcome.arrays["rows"].tolist() == [1]
    finally:
        await box.close()


MUTATIONS_PER_FILE = 60
_WORDS = (
    b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff", bytes(4), b"\xff\xff\xff\x7f", b"9999", b"1e99",
    b"nan ",
)  # fmt: skip


def mutated(rng: random.Random, data: bytes) -> bytes:
    """``data`` with a few bits, words or stretches changed, repeated or gone."""
    changed = bytearray(data)
    for _ in range(rng.choice((1, 1, 2, 5))):
        if not changed:
            break
        at = rng.randrange(len(changed))
        end = min(len(changed), at + rng.randrange(1, 32))
        match rng.randrange(6):
            case 0:
                changed[at] ^= 1 << rng.randrange(8)
            case 1:
                changed[at] = rng.choice((0, 1, 127, 128, 255))
            case 2:
                del changed[at:]
            case 3:
                changed[at : at + 4] = rng.choice(_WORDS)
            case 4:
                changed[at:at] = changed[at:end] * rng.randrange(1, 4)
            case _:
                del changed[at:end]
    return bytes(changed)


@pytest.mark.parametrize("seed", [1, 2])
async def test_mutated_files_never_end_the_box(seed: int, box: SubprocessBox) -> None:
    counts: Counter[str] = Counter()
    for number, (kind, ending, data) in enumerate(warm_up.SAMPLES):
        rng = random.Random(seed * 1000 + number)
        files = {f"{n}{ending}": mutated(rng, data) for n in range(MUTATIONS_PER_FILE)}
        outcome = await decode(box, kind, [naming(kind, path) for path in files], files)
        # Each file is one or the other.
        assert len(outcome.values) + len(outcome.codes) == MUTATIONS_PER_FILE
        counts["decoded"] += len(outcome.values)
        for codes in outcome.codes.values():
            assert codes <= CONTENT_CODES
            counts["found"] += 1
    assert box.alive
    assert counts["decoded"] > 100
    assert counts["found"] > 1000


@pytest.fixture
async def box() -> Any:
    box = await start_box(memory_bytes=1024 * MIB, decode_seconds=60.0)
    yield box
    await box.close()
