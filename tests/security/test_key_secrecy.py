"""A canary in every answer: it is inside the sealed members and nowhere else.

The commands run as real processes, with good and with broken benchmarks, and everything that they
write or print is searched, inside ZIP members too.
"""

from __future__ import annotations

import base64
import io
import json
import subprocess
import sys
import traceback
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from general_level.receipts import load_commitments, verify_commitment
from services.grader.identities import Identity
from services.grader.keys import KeyBundle, KeyUnavailable

CANARY = "canary-5e1d90c2"
FORMS = (
    CANARY.encode(),
    CANARY.encode("utf-16-le"),
    CANARY.encode().hex().encode(),
    base64.b64encode(CANARY.encode())[:-4],  # whatever follows it
)

SPORTS = "image/comprehension/Sports Image Classification"
ENTITIES = "image/comprehension/Multimodal Named Entity Recognition"
EDGES = "image/generation/Edge-to-Image Generation"
CROWD = "image/comprehension/Crowd Counting"
CODE = "nlp/Code Generation"

#: Outputs that cannot be sealed, each with the canary inside.
BROKEN = {
    SPORTS: [{"label": CANARY}, [CANARY, None], {"references": CANARY}, f"{CANARY}\ud800"],
    ENTITIES: [[["a"], {CANARY: CANARY}], {CANARY: 1}],
    CROWD: [CANARY, [CANARY], f"1{CANARY}", {"references": [CANARY]}],
    EDGES: [f"{CANARY}.png", f"../{CANARY}.png", [f"out/{CANARY}.png", 2**70]],
}


def run(*arguments: object, code: int = 0) -> str:
    """Runs a grader command as a process; everything that it printed."""
    done = subprocess.run(
        [sys.executable, "-m", "services.grader", *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == code, done.stderr[-2_000:]
    return done.stdout + done.stderr


def contents(root: Path) -> Iterator[tuple[str, bytes]]:
    """Every file below ``root``, and every member of every ZIP among them, with its name."""
    for path in sorted(root.rglob("*")):
        if not path.is_file():
            continue
        content = path.read_bytes()
        yield str(path), str(path).encode() + content
        if zipfile.is_zipfile(io.BytesIO(content)):
            with zipfile.ZipFile(path) as archive:
                for name in archive.namelist():
                    yield f"{path}!{name}", name.encode() + archive.read(name)


def places_of_canary(root: Path) -> list[str]:
    return [name for name, content in contents(root) if any(form in content for form in FORMS)]


def write_task(benchmark: Path, folder: str, items: list[dict[str, object]]) -> None:
    path = benchmark / folder
    path.mkdir(parents=True, exist_ok=True)
    annotation = {"task": "", "type": "comprehension", "data": items}
    (path / "annotation.json").write_text(json.dumps(annotation))


@pytest.fixture
def benchmark_folder(tmp_path: Path) -> Path:
    """A sound benchmark with the canary in every answer of every form."""
    root = tmp_path / "benchmark"
    outputs: dict[str, list[object]] = {
        SPORTS: [CANARY, [CANARY, f"or {CANARY}"], {"references": [CANARY]}],
        ENTITIES: [f"{CANARY}<p>b", [CANARY], [[CANARY], ["c"]]],
        CODE: [f"print('{CANARY}')"],
        EDGES: ["out/1.png", {"references": ["out/2.png"]}],
    }
    for folder, values in outputs.items():
        items = [{"id": i, "input": f"question {i}", "output": v} for i, v in enumerate(values)]
        write_task(root, folder, items)
    (root / EDGES / "out").mkdir()
    for name in ("1.png", "2.png"):
        note = PngInfo()
        note.add_text("note", CANARY)
        Image.new("L", (8, 8)).save(root / EDGES / "out" / name, pnginfo=note)
    return root


@pytest.fixture
def identity(tmp_path: Path) -> Path:
    return tmp_path / "identity"


@pytest.fixture
def recipient(identity: Path) -> str:
    return run("keygen", "--out", identity).strip()


def seal_arguments(benchmark: Path, out: Path, recipient: str) -> list[object]:
    return [
        *("seal", "--benchmark", benchmark, "--out", out, "--recipient", recipient),
        *("--boards", "A-full,B-image"),
    ]


def test_sealing_shows_no_answer(
    tmp_path: Path, benchmark_folder: Path, identity: Path, recipient: str
) -> None:
    assert places_of_canary(benchmark_folder)  # the search finds what is there
    out = tmp_path / "work" / "sealed"
    # Most tasks of the whole catalogue have no data here, which is reported and no more.
    arguments = [*seal_arguments(benchmark_folder, out, recipient), "--allow-unmatched"]
    printed = run(*arguments)
    assert CANARY not in printed
    assert "9 of 9 items, 4 tasks, 2 boards" in printed
    assert places_of_canary(tmp_path / "work") == []

    opened = KeyBundle.open(out / "keys" / "image.keys", Identity.from_file(identity))
    keys = [opened.read(task_id) for task_id in opened.task_ids]
    assert sum(CANARY in str(key.references) for key in keys) == 2
    assert [key.task_id for key in keys if CANARY.encode() in b"".join(key.media.values())] == [
        "image-g-001"
    ]


def test_a_broken_benchmark_is_reported_without_its_answers(
    tmp_path: Path, benchmark_folder: Path, recipient: str
) -> None:
    for folder, values in BROKEN.items():
        items = [{"id": i, "input": "question", "output": v} for i, v in enumerate(values)]
        items.append({"input": "no id", "output": CANARY})
        items.append({"id": 0, "input": "again", "output": CANARY})
        items.append({"id": "x", "output": CANARY})
        write_task(benchmark_folder, folder, items)
    (benchmark_folder / CODE / "annotation.json").write_text(f'{{"data": [{{"output": "{CANARY}"')
    write_task(benchmark_folder, "nlp/No such task", [{"id": 1, "input": "q", "output": CANARY}])

    work = tmp_path / "work"
    printed = run(*seal_arguments(benchmark_folder, work / "sealed", recipient), code=1)
    for trouble in ("wrong-output-type", "unknown-folder", "unreadable-annotation", "unsafe-path"):
        assert trouble in printed
    assert CANARY not in printed
    assert [path.name for path in work.iterdir()] == ["sealed-report.json"]
    assert places_of_canary(work) == []

    report = json.loads((work / "sealed-report.json").read_bytes())
    assert report["items_seen"] == report["items_sealed"] + sum(
        problem["items"] for problem in report["problems"]
    )


def test_opening_needs_the_identity_and_shows_no_answer_on_the_way(
    tmp_path: Path, benchmark_folder: Path, identity: Path, recipient: str
) -> None:
    out = tmp_path / "sealed"
    run(*seal_arguments(benchmark_folder, out, recipient), "--allow-unmatched")
    keys = out / "keys" / "image.keys"
    stranger = tmp_path / "stranger"
    run("keygen", "--out", stranger)
    opening = tmp_path / "opening.json"
    command = [
        "open-commitment",
        "--keys",
        keys,
        "--task",
        "image-c-003",
        "--out",
        opening,
        "--yes",
    ]

    printed = run(*command, "--identity", stranger, code=1)
    assert "wrong-identity-or-damaged" in printed
    assert not opening.exists()

    identity.chmod(0o644)
    assert "why=mode" in run(*command, "--identity", identity, code=1)
    identity.chmod(0o600)

    assert CANARY not in run(*command, "--identity", identity)
    published = load_commitments((out / "public" / "commitments.json").read_bytes())
    opened = verify_commitment(opening.read_bytes(), published)
    assert opened.items[0].references == [CANARY]
    assert opening.stat().st_mode & 0o777 == 0o600

    media = ["open-commitment", "--keys", keys, "--task", "image-g-001", "--yes"]
    media += ["--identity", identity, "--out", tmp_path / "media.json"]
    assert "--media-out" in run(*media, code=2)
    run(*media, "--media-out", tmp_path / "media.zip")
    with zipfile.ZipFile(tmp_path / "media.zip") as archive:
        assert archive.namelist() == ["out/1.png", "out/2.png"]


def test_keygen_prints_public_halves_only(tmp_path: Path) -> None:
    identity, signing = tmp_path / "identity", tmp_path / "signing.pem"
    printed = run("keygen", "--out", identity)
    assert printed.strip() == Identity.from_file(identity).recipient
    printed += run("keygen", "--signing", "--out", signing)
    secrets = [identity.read_text().splitlines()[-1], signing.read_text().splitlines()[1]]
    assert not any(secret in printed for secret in secrets)
    assert secrets[1] not in (tmp_path / "signing.pem.pub").read_text()
    for path in (identity, signing):
        assert path.stat().st_mode & 0o777 == 0o600
        before = path.read_bytes()
        assert "is there already" in run("keygen", "--out", path, code=1)
        assert path.read_bytes() == before


def test_no_traceback_of_a_failed_opening_holds_an_answer(
    tmp_path: Path, benchmark_folder: Path, identity: Path, recipient: str
) -> None:
    out = tmp_path / "sealed"
    run(*seal_arguments(benchmark_folder, out, recipient), "--allow-unmatched")
    path = out / "keys" / "image.keys"
    whole = path.read_bytes()
    opener = Identity.from_file(identity)
    texts = []
    for position in range(0, len(whole), 53):
        path.write_bytes(whole[:position] + b"\xaa" + whole[position + 1 :])
        try:
            bundle = KeyBundle.open(path, opener)
            for task_id in bundle.task_ids:
                bundle.read(task_id)
        except KeyUnavailable as error:
            texts.append("".join(traceback.format_exception(error)))
    assert texts
    assert CANARY not in "".join(texts)
    assert opener.to_text() not in "".join(texts)
