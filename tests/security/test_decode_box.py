"""Hostile code inside a real decode box: what it reaches, and what the worker makes of it."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Collection, Iterator
from pathlib import Path

import pytest

from general_level.catalogue.model import AnswerKind
from services.grader.decode.box import (
    BoxLimits,
    DecodeBox,
    Decoded,
    IncomingMember,
    Isolation,
    SubprocessBox,
    WallsMissing,
)
from services.grader.decode.frames import FrameLimits
from services.grader.decode.hardening import standard_steps
from services.grader.decode.protocol import DecodeRequest
from services.grader.decode.spool import Parts
from services.grader.outcomes import Fault, GraderFault
from tests.support import hostile_decoders
from tests.support.hostile_decoders import PROBES, REFUSED

MIB = 1024 * 1024


async def member(content: bytes = b"x" * 1000) -> AsyncIterator[IncomingMember]:
    async def chunks() -> AsyncIterator[bytes]:
        yield content

    yield IncomingMember("prediction.json", len(content), chunks())


#: All walls of a box by name.
WALLS = [
    step.name for step in standard_steps(Path("/"), memory_bytes=1, cpu_seconds=1, open_files=1)
]


async def start(
    isolation: Isolation = Isolation.BEST_EFFORT,
    *,
    memory_bytes: int = 512 * MIB,
    cpu_seconds: int = 60,
    decode_seconds: float = 30.0,
    without: Collection[str] = (),
) -> SubprocessBox:
    limits = BoxLimits(
        memory_bytes=memory_bytes,
        cpu_seconds=cpu_seconds,
        decode_seconds=decode_seconds,
        answer=FrameLimits(payload_bytes=MIB),
        parts_bytes=4 * MIB,
    )
    return await SubprocessBox.start(
        limits, isolation, decoders_module=hostile_decoders.__name__, without=without
    )


async def act(box: DecodeBox, action: str, **options: str) -> Decoded:
    request = DecodeRequest(AnswerKind.TEXT, {"action": action, **options})
    outcome = await box.decode(request, member())
    assert isinstance(outcome, Decoded)
    return outcome


@pytest.fixture
def bystander() -> Iterator[subprocess.Popen[bytes]]:
    """Another process of ours."""
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    yield process
    process.communicate(b"\n")


def mounts_of_boxes() -> list[str]:
    """The lines of the mount table about the root and about folders of boxes."""
    table = Path("/proc/self/mountinfo").read_text(encoding="utf-8").splitlines()
    points = [(line.split()[4], line) for line in table]
    return [line for point, line in points if point == "/" or "general-level-box" in point]


@pytest.fixture
def surroundings(tmp_path: Path, bystander: subprocess.Popen[bytes]) -> Iterator[dict[str, str]]:
    """What the probes aim at: a listener, a key, a public file, a folder for all, a process."""
    key = tmp_path / "identity"
    key.write_bytes(b"secret")
    key.chmod(0o600)
    inherited = os.open(key, os.O_RDONLY)
    os.set_inheritable(inherited, True)
    listener = socket.create_server(("127.0.0.1", 0))
    scratch = Path(tempfile.gettempdir(), f"left-behind-{os.getpid()}")
    mounted = mounts_of_boxes()
    yield {
        "key_file": str(key),
        "public_file": "/etc/passwd",
        "scratch_file": str(scratch),
        "address": f"127.0.0.1:{listener.getsockname()[1]}",
        "other_pid": str(bystander.pid),
    }
    assert bystander.poll() is None
    # The same attempts succeed out here, so that they can fail.
    socket.create_connection(listener.getsockname()).close()
    assert key.read_bytes() == b"secret"
    # Boxes without walls run here too: their attempts must leave this machine as it was.
    assert mounts_of_boxes() == mounted
    listener.close()
    os.close(inherited)
    scratch.unlink(missing_ok=True)


@pytest.fixture(autouse=True)
def own_temporary_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a box leaves behind is looked for where no other test's box is."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))


def spooled() -> list[Path]:
    return list(Path(tempfile.gettempdir()).glob("general-level-parts-*"))


def left_behind() -> list[str]:
    return [str(path) for path in Path(tempfile.gettempdir()).glob("left-behind-*")]


async def probe(box: SubprocessBox, surroundings: dict[str, str]) -> dict[str, int]:
    try:
        outcome = await act(box, "probe", **surroundings)
        return dict(zip(PROBES, outcome.arrays["probes"].tolist(), strict=True))
    finally:
        await box.close()


async def test_hostile_code_reaches_nothing(surroundings: dict[str, str]) -> None:
    assert len(os.environ) > 3
    box = await start()
    found = await probe(box, surroundings)
    if box.missing_steps:
        pytest.skip(f"this machine refuses {', '.join(box.missing_steps)}")
    # Our own constants: the locale, and one thread for linear algebra twice.
    assert found.pop("environment") == 3
    assert found.pop("descriptors") == 0
    assert found == dict.fromkeys(found, REFUSED)
    assert surroundings["scratch_file"] not in left_behind()


#: What is up in each of the following tests beside the wall in question.
GROUND = {"one-thread", "no-new-privileges"}

#: Wall → what it alone refuses to a box that root started.
ALONE = {
    "namespaces": {"connect"},
    "empty-root": {"read-key", "read-public", "read-proc", "read-own-proc", "write-tmp", "exec"},
    "identity": {"read-key", "read-proc", "write-folder", "kill", "mount", "become-root", "chroot"},
    "capabilities": {"read-proc", "mount", "chroot", "unshare"},
    "resource-limits": {"write-folder", "write-tmp", "set-limit"},
    "landlock": {
        "connect", "read-key", "read-public", "read-proc", "read-own-proc", "list-root",
        "write-folder", "write-tmp", "kill", "exec", "mount",
    },
    "seccomp": {
        "connect", "socket", "read-key", "read-public", "read-proc", "read-own-proc", "list-root",
        "write-folder", "write-tmp", "kill", "fork", "exec", "trace", "read-memory", "mount",
        "keyctl", "bpf", "perf", "memfd", "set-limit", "become-root", "chroot", "unshare",
    },
}  # fmt: skip


@pytest.mark.skipif(os.geteuid() != 0, reason="without root the walls depend on one another")
@pytest.mark.parametrize("wall", ALONE)
async def test_what_each_wall_refuses_alone(wall: str, surroundings: dict[str, str]) -> None:
    box = await start(without=[name for name in WALLS if name not in GROUND | {wall}])
    found = await probe(box, surroundings)
    if wall in box.missing_steps:
        pytest.skip(f"this machine refuses {wall}")
    refused = {name for name in PROBES if found[name] == REFUSED} - {"descriptors"}
    assert refused >= ALONE[wall]
    # What it does not refuse is refused by another, so that the table above says who does it.
    assert refused <= ALONE["seccomp"]


@pytest.mark.skipif(os.geteuid() != 0, reason="without root the walls depend on one another")
async def test_without_walls_every_attempt_succeeds(surroundings: dict[str, str]) -> None:
    box = await start(without=[name for name in WALLS if name not in GROUND])
    found = await probe(box, surroundings)
    # The kernel or the container around us may forbid these by itself.
    outside = {"keyctl", "bpf", "perf", "mount", "unshare", "trace", "read-memory"}
    refused = {name for name, result in found.items() if result == REFUSED}
    assert refused - outside == {"descriptors"}


async def test_no_process_starts_even_without_seccomp(surroundings: dict[str, str]) -> None:
    box = await start(without=["seccomp"])
    found = await probe(box, surroundings)
    if set(box.missing_steps) - {"seccomp"}:
        pytest.skip(f"this machine refuses {', '.join(box.missing_steps)}")
    assert found["fork"] == found["exec"] == REFUSED  # by the limit of processes
    assert found["connect"] == found["read-key"] == found["kill"] == REFUSED


async def test_memory_is_refused_by_the_limits_and_by_nothing_else() -> None:
    box = await start()
    with pytest.raises(GraderFault) as caught:
        await act(box, "two-gigabytes")
    assert caught.value.fault is Fault.OUT_OF_MEMORY
    await box.close()
    box = await start(without=["resource-limits"])
    await act(box, "two-gigabytes")
    await box.close()


@pytest.mark.parametrize("wall", ["landlock", "seccomp", "namespaces"])
async def test_required_isolation_refuses_to_start_and_names_the_missing_wall(wall: str) -> None:
    with pytest.raises(WallsMissing) as caught:
        await start(Isolation.REQUIRED, without=[wall])
    assert wall in caught.value.names
    assert caught.value.fault is Fault.INTERNAL
    assert wall in caught.value.stage
    box = await start(Isolation.BEST_EFFORT, without=[wall])
    assert wall in box.missing_steps
    await act(box, "answer")
    await box.close()


@pytest.mark.parametrize(
    ("action", "fault"),
    [
        ("exit", Fault.DECODER_CRASHED),
        ("abort", Fault.DECODER_CRASHED),
        ("segfault", Fault.DECODER_CRASHED),
        ("raise", Fault.DECODER_CRASHED),
        ("bomb", Fault.OUT_OF_MEMORY),
        ("map-bomb", Fault.OUT_OF_MEMORY),
        ("flood", Fault.DECODER_CRASHED),
        ("lie", Fault.DECODER_CRASHED),
        ("forge-parts", Fault.DECODER_CRASHED),
        ("endless-parts", Fault.DECODER_CRASHED),
        ("oversize", Fault.DECODER_CRASHED),
        ("not-finite", Fault.DECODER_CRASHED),
    ],
)
async def test_a_box_that_misbehaves_is_a_fault_and_ends(action: str, fault: Fault) -> None:
    box = await start()
    try:
        with pytest.raises(GraderFault) as caught:
            await act(box, action)
        assert caught.value.fault is fault
        assert not box.alive
        assert not spooled()
    finally:
        await box.close()


async def test_parts_arrive_in_a_file_that_whoever_asked_removes() -> None:
    box = await start()
    try:
        outcome = await act(box, "parts")
        parts = Parts(outcome.parts, FrameLimits())
        assert [int(part["part"][-1]) for part in parts] == [0, 1, 2]
        assert len(spooled()) == 1
        outcome.close()
        assert not spooled()
        assert (await act(box, "answer")).parts is None
    finally:
        await box.close()


async def test_a_box_that_hangs_is_ended_at_its_deadline() -> None:
    box = await start(decode_seconds=0.5)
    try:
        with pytest.raises(GraderFault) as caught:
            await act(box, "hang")
        assert caught.value.fault is Fault.DEADLINE
        assert not box.alive
    finally:
        await box.close()


async def test_a_box_that_spins_is_ended_by_its_processor_limit() -> None:
    box = await start(cpu_seconds=1)
    try:
        with pytest.raises(GraderFault) as caught:
            await act(box, "spin")
        assert caught.value.fault is Fault.DEADLINE
    finally:
        await box.close()


async def test_what_a_decoder_prints_goes_nowhere(capfd: pytest.CaptureFixture[str]) -> None:
    box = await start()
    try:
        outcome = await act(box, "print")
        assert outcome.arrays["sizes"].tolist() == [1000]
    finally:
        await box.close()
    # Not all that is printed here is the box's: other tests leave logs behind.
    assert not any(hostile_decoders.PRINTED in printed for printed in capfd.readouterr())


async def test_where_isolation_is_required_a_box_has_every_wall_or_does_not_start() -> None:
    best_effort = await start()
    await best_effort.close()
    if best_effort.missing_steps:
        with pytest.raises(WallsMissing) as caught:
            await start(Isolation.REQUIRED)
        assert caught.value.names == best_effort.missing_steps
    else:
        box = await start(Isolation.REQUIRED)
        await act(box, "answer")
        await box.close()
