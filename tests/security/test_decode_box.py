"""Hostile code inside a real decode box: what it reaches, and what the worker makes of it."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
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
)
from services.grader.decode.frames import FrameLimits
from services.grader.decode.protocol import DecodeRequest
from services.grader.outcomes import Fault, GraderFault
from tests.support import hostile_decoders
from tests.support.hostile_decoders import PROBES, REFUSED

MIB = 1024 * 1024


async def member(content: bytes = b"x" * 1000) -> AsyncIterator[IncomingMember]:
    async def chunks() -> AsyncIterator[bytes]:
        yield content

    yield IncomingMember("prediction.json", len(content), chunks())


async def start(
    isolation: Isolation = Isolation.BEST_EFFORT,
    *,
    memory_bytes: int = 512 * MIB,
    cpu_seconds: int = 60,
    decode_seconds: float = 30.0,
) -> SubprocessBox:
    limits = BoxLimits(
        memory_bytes=memory_bytes,
        cpu_seconds=cpu_seconds,
        decode_seconds=decode_seconds,
        answer=FrameLimits(payload_bytes=MIB),
    )
    return await SubprocessBox.start(limits, isolation, decoders_module=hostile_decoders.__name__)


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


async def test_hostile_code_reaches_nothing(
    tmp_path: Path, bystander: subprocess.Popen[bytes]
) -> None:
    key = tmp_path / "identity"
    key.write_bytes(b"secret")
    key.chmod(0o600)
    assert len(os.environ) > 3
    inherited = os.open(key, os.O_RDONLY)
    os.set_inheritable(inherited, True)
    listener = socket.create_server(("127.0.0.1", 0))
    box = await start()
    try:
        if box.missing_steps:
            pytest.skip(f"this machine refuses {', '.join(box.missing_steps)}")
        outcome = await act(
            box,
            "probe",
            key_file=str(key),
            address=f"127.0.0.1:{listener.getsockname()[1]}",
            other_pid=str(bystander.pid),
        )
        found = dict(zip(PROBES, outcome.arrays["probes"].tolist(), strict=True))
        # Our own constants: the locale, and one thread for linear algebra twice.
        assert found.pop("environment") == 3
        assert found.pop("descriptors") == 0
        assert found == dict.fromkeys(found, REFUSED)
        assert bystander.poll() is None
        # The same probes succeed out here, so that they can fail.
        socket.create_connection(listener.getsockname()).close()
        assert key.read_bytes() == b"secret"
    finally:
        await box.close()
        listener.close()
        os.close(inherited)


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
    assert capfd.readouterr() == ("", "")


async def test_where_isolation_is_required_a_box_has_every_wall_or_does_not_start() -> None:
    best_effort = await start()
    await best_effort.close()
    if best_effort.missing_steps:
        with pytest.raises(GraderFault) as caught:
            await start(Isolation.REQUIRED)
        assert caught.value.stage == "isolating-box"
    else:
        box = await start(Isolation.REQUIRED)
        await act(box, "answer")
        await box.close()
