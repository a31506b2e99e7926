"""The decode box with its real decoders, and the three numbers that a finding leaves it as."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from general_level.catalogue.model import AnswerKind
from general_level.submission.codes import Code
from services.grader.decode import columns, protocol
from services.grader.decode.box import (
    BoxLimits,
    BoxRefusal,
    Decoded,
    IncomingMember,
    Isolation,
    SubprocessBox,
)
from services.grader.decode.frames import FrameInvalid
from services.grader.decode.hardening import (
    HardeningStep,
    NoNewPrivileges,
    apply_all,
    standard_steps,
)
from services.grader.decode.protocol import BoxFinding, DecodeRequest


async def members(*contents: bytes, chunk: int = 7) -> AsyncIterator[IncomingMember]:
    async def chunks(content: bytes) -> AsyncIterator[bytes]:
        for start in range(0, len(content), chunk):
            yield content[start : start + chunk]

    for number, content in enumerate(contents):
        path = "prediction.json" if number == 0 else f"media/{number}.bin"
        yield IncomingMember(path, len(content), chunks(content))


@pytest.fixture
async def box() -> AsyncIterator[SubprocessBox]:
    box = await SubprocessBox.start(BoxLimits(), Isolation.BEST_EFFORT)
    yield box
    await box.close()


async def test_one_box_decodes_file_after_file(box: SubprocessBox) -> None:
    cases: list[tuple[AnswerKind, bytes, list[Any]]] = [
        (AnswerKind.TEXT, b'[{"id": "a", "prediction": "\xc3\xa9"}]', ["é"]),
        (AnswerKind.NUMBER, b'[{"id": "a", "prediction": 2.5}]', [2.5]),
        (AnswerKind.SERIES, b'[{"id": "a", "prediction": [1, 2.5]}]', [[1.0, 2.5]]),
        (AnswerKind.LABELS, b'[{"id": "a", "prediction": ["x", "y"]}]', [["x", "y"]]),
    ]
    for kind, content, values in cases:
        outcome = await box.decode(DecodeRequest(kind, {}), members(content, b"media" * 50_000))
        assert isinstance(outcome, Decoded)
        assert columns.unpack(kind, outcome.arrays).values == values
    assert box.alive


async def test_the_faults_of_a_file_are_findings_and_the_box_lives_on(box: SubprocessBox) -> None:
    request = DecodeRequest(AnswerKind.TEXT, {})
    for content, code in (
        (b'[{"id": "a", "prediction": 3}]', Code.WRONG_TYPE),
        (b'[{"id": "a", "predic', Code.NOT_JSON),
        (b"\xff\xfe[", Code.NOT_UTF8),
        (b"[" * 100_000, Code.JSON_TOO_DEEP),
        (b'[{"id": "a", "prediction": NaN}]', Code.NOT_FINITE),
    ):
        outcome = await box.decode(request, members(content, chunk=65536))
        assert isinstance(outcome, BoxRefusal)
        assert code in {finding.code for finding in outcome.findings}
    assert isinstance(
        await box.decode(request, members(b'[{"id": "a", "prediction": "b"}]')), Decoded
    )


async def test_warnings_come_with_the_answers(box: SubprocessBox) -> None:
    content = b'[{"id": "a", "prediction": "b", "confidence": 1}]'
    outcome = await box.decode(DecodeRequest(AnswerKind.TEXT, {}), members(content))
    assert isinstance(outcome, Decoded)
    assert [(f.code, f.row, f.warning) for f in outcome.findings] == [(Code.EXTRA_KEY, 0, True)]


async def test_a_job_without_a_prediction_file_is_refused(box: SubprocessBox) -> None:
    outcome = await box.decode(DecodeRequest(AnswerKind.TEXT, {}), members())
    assert isinstance(outcome, BoxRefusal)
    assert [finding.code for finding in outcome.findings] == [Code.NO_PREDICTION_FILE]


async def test_a_closed_box_leaves_nothing() -> None:
    box = await SubprocessBox.start(BoxLimits(), Isolation.BEST_EFFORT)
    pid = box.pid
    folder = Path(f"/proc/{pid}/cwd")
    assert folder.parent.exists()
    await box.close()
    assert not folder.parent.exists()
    assert not box.alive
    await box.close()


def test_findings_leave_as_numbers_and_come_back() -> None:
    findings = [
        BoxFinding(Code.EXTRA_KEY, 4, 0),
        BoxFinding(Code.WRONG_TYPE, None, 1),
    ]
    arrays = protocol.encode_answer(protocol.REFUSED, None, findings)
    assert {array.dtype.kind for array in arrays.values()} <= {"u", "i"}
    status, back = protocol.decode_answer(arrays, 2)
    assert status == protocol.REFUSED
    assert back == (findings[1], findings[0])  # errors first


def test_at_most_a_hundred_findings_leave_errors_first() -> None:
    findings = [BoxFinding(Code.EXTRA_KEY, row, 0) for row in range(150)]
    findings += [BoxFinding(Code.WRONG_TYPE, 200, 0)]
    _, back = protocol.decode_answer(protocol.encode_answer(protocol.REFUSED, None, findings), 1)
    assert len(back) == 100
    assert back[0].code is Code.WRONG_TYPE


@pytest.mark.parametrize(
    ("name", "array"),
    [
        ("status", np.array([9], dtype=np.uint8)),
        ("status", np.array([0, 0], dtype=np.uint8)),
        ("finding.codes", np.array([999], dtype=np.uint16)),
        ("finding.codes", np.array([161], dtype=np.uint16)),  # only a warning
        ("finding.rows", np.array([-2])),
        ("finding.rows", np.array([1, 2])),
        ("finding.members", np.array([1], dtype=np.int32)),
        ("finding.members", np.array([-1], dtype=np.int32)),
    ],
)
def test_an_answer_that_says_the_impossible_is_refused(name: str, array: Any) -> None:
    arrays = protocol.encode_answer(protocol.REFUSED, None, [BoxFinding(Code.WRONG_TYPE, 0, 0)])
    protocol.decode_answer(arrays, 1)
    with pytest.raises(FrameInvalid):
        protocol.decode_answer({**arrays, name: array}, 1)


class Impossible:
    name = "impossible"

    def __init__(self, essential: bool) -> None:
        self.essential = essential

    def apply(self) -> None:
        raise OSError("not here")


def test_an_impossible_step_is_named_unless_it_is_essential() -> None:
    optional: tuple[HardeningStep, ...] = (Impossible(essential=False),)
    assert apply_all(optional) == [0]
    with pytest.raises(OSError, match="not here"):
        apply_all((*optional, Impossible(essential=True)))


def test_every_step_has_a_name_and_privileges_go_before_the_limits() -> None:
    steps = standard_steps(Path("/"), memory_bytes=1, cpu_seconds=1, open_files=1)
    names = [step.name for step in steps]
    assert len(set(names)) == len(names)
    assert names.index("namespaces") < names.index("empty-root") < names.index("identity")
    assert names.index("identity") < names.index("capabilities")
    assert any(isinstance(step, NoNewPrivileges) and step.essential for step in steps)
