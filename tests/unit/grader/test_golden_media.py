"""The golden cases of media: known scores through decoders, box, key and metric."""

from __future__ import annotations

import math
import subprocess
import sys
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest
import scipy.signal
from numpy.typing import NDArray
from safetensors.torch import save_file

from general_level import catalogue
from general_level.catalogue.mapping import is_legal
from general_level.catalogue.model import Grading
from general_level.statements import GraderInfo
from services.grader import golden, scorer_protocol
from services.grader.computing import Computed, compute, wants_content
from services.grader.decode import columns, media_decoders
from services.grader.decode.box import BoxLimits, Decoded
from services.grader.decode.columns import Answers
from services.grader.decode.formats.sounds import read_sound
from services.grader.decode.frames import Arrays
from services.grader.decode.protocol import DecodeRequest
from services.grader.decode.spool import Parts
from services.grader.golden import GoldenCase, texts
from services.grader.keys import KeyUnavailable
from services.grader.media.key_reader import KeyReader
from services.grader.media.table import BINDINGS
from services.grader.models.extractors import WEIGHTLESS
from services.grader.models.motion_encoder import MotionNetwork
from services.grader.models.tensors import TENSORS_FILE
from services.grader.networks import HeldNetworks, NetworkSettings
from services.grader.outcomes import Fault
from services.grader.scorer import respond
from services.grader.scoring import Scorer, Stage
from services.kit.clock import ManualClock
from tests.support.decoding import Member, through
from tests.support.media_box import members, start_box
from tests.unit.grader.models.tiny import pins_of, write_all

BENCH = catalogue.load()
CASES = {case.metric_id: case for case in golden.CASES.values() if case.metric_id in BINDINGS}
KNOWN = [case for case in CASES.values() if case.expected is not None]
OPEN = [case for case in CASES.values() if case.expected is None]
#: Those that ask no network of an operator's folder.
PURE = [
    case for case in CASES.values() if set(BINDINGS[case.metric_id].extractors) <= {*WEIGHTLESS}
]


def named(case: GoldenCase) -> str:
    return case.metric_id


@pytest.fixture(scope="module")
def networks(tmp_path_factory: pytest.TempPathFactory) -> HeldNetworks:
    """Tiny networks of random numbers; that of motions takes them as wide as they are."""
    root = tmp_path_factory.mktemp("networks")
    write_all(root / "weights")
    motions = MotionNetwork(movement=16, hidden=24, out=12).state_dict()
    save_file(motions, root / "weights" / "t2m-evaluator" / TENSORS_FILE)
    lines = (f"{digest}  {name}\n" for name, digest in pins_of(root / "weights").items())
    (root / "pins").write_text("".join(lines), "utf-8")
    return HeldNetworks(NetworkSettings(root / "weights", root / "pins"))


def decoded(case: GoldenCase) -> tuple[Arrays, list[Arrays]]:
    """The case's files through the decoders in this process, as they arrive at the scorer."""
    parts: list[Arrays] = []
    request = request_of(case)
    files = (Member(path, data) for path, data in case.members.items())
    decode = media_decoders.DECODERS[case.kind]
    arrays, findings = decode(request, files, lambda part: parts.append(through(part)))
    assert arrays is not None
    assert not findings
    return through(arrays), parts


def request_of(case: GoldenCase) -> DecodeRequest:
    content = wants_content(BENCH.metrics[case.metric_id], case.kind)
    return DecodeRequest(case.kind, case.options, content)


def unpacked(case: GoldenCase, arrays: Arrays, parts: list[Arrays] | Parts) -> Answers:
    content = parts if request_of(case).content else None
    return columns.unpack(case.kind, arrays, case.options, content)


def computed(case: GoldenCase, answers: Answers, networks: HeldNetworks) -> Computed:
    metric = BENCH.metrics[case.metric_id]
    return compute(metric, case.kind, case.options, case, answers, networks=networks)


def test_every_media_metric_has_a_case_and_every_graded_metric_too() -> None:
    assert CASES.keys() == BINDINGS.keys()
    graded = {m.id for m in BENCH.metrics.values() if m.grading is not Grading.PLANNED}
    assert golden.CASES.keys() == graded
    assert len(golden.CASES) == len(CASES) + len(texts.CASES)


@pytest.mark.parametrize("case", CASES.values(), ids=named)
def test_a_cases_key_is_one_that_sealing_accepts(case: GoldenCase) -> None:
    binding = BINDINGS[case.metric_id]
    assert case.kind in binding.kinds
    reader = KeyReader(case.kind, case.options, case.media)
    assert all(
        binding.read(reader, value) is not None for one in case.key.values() for value in one
    )
    assert case.answers.keys() <= case.key.keys()


@pytest.mark.parametrize("case", PURE, ids=named)
def test_a_case_without_a_network_has_its_known_score(case: GoldenCase) -> None:
    found = computed(case, unpacked(case, *decoded(case)), HeldNetworks(NetworkSettings()))
    assert case.expected is not None
    assert case.matches(found.result.value)
    assert found.unfit_rows == found.unknown_rows == ()
    assert found.result.missing == len(case.key) - len(case.answers)


@pytest.mark.parametrize("case", PURE, ids=named)
def test_no_answer_has_another_score(case: GoldenCase) -> None:
    found = computed(case, Answers([], [], []), HeldNetworks(NetworkSettings()))
    assert found.result.missing == len(case.key)
    assert not case.matches(found.result.value)


async def test_every_case_has_its_known_score_by_way_of_a_real_box(networks: HeldNetworks) -> None:
    wrong: dict[str, object] = {}
    box = await start_box()
    try:
        for case in CASES.values():
            outcome = await box.decode(request_of(case), members(case.members))
            assert isinstance(outcome, Decoded)
            assert not outcome.findings
            try:
                answers = unpacked(case, outcome.arrays, Parts(outcome.parts, BoxLimits().answer))
                found = computed(case, answers, networks)
            finally:
                outcome.close()
            value, missing = found.result.value, len(case.key) - len(case.answers)
            good = case.matches(value) and is_legal(BENCH.metrics[case.metric_id], value)
            if not good or found.unfit_rows or found.result.missing != missing:
                wrong[case.metric_id] = found
    finally:
        await box.close()
    assert wrong == {}


@pytest.mark.parametrize("case", KNOWN, ids=named)
def test_a_score_that_is_a_little_off_does_not_match(case: GoldenCase) -> None:
    assert case.expected is not None
    assert case.matches(case.expected)
    little = max(abs(case.expected), 1.0) / 100
    for value in (case.expected + little, case.expected - little, math.nan, math.inf):
        assert not case.matches(value)


@pytest.mark.parametrize("case", OPEN, ids=named)
def test_where_nothing_is_known_a_value_is_a_number(case: GoldenCase) -> None:
    assert case.matches(12.5)
    assert not case.matches(math.nan)
    assert not case.matches(math.inf)


@dataclass(frozen=True)
class NoKeys:
    """A bundle that is never asked: a self-test brings its own key."""

    def read(self, task_id: str) -> Any:
        raise KeyUnavailable(what="key", why="unknown-task")


def self_tested(
    case: GoldenCase, answered: GoldenCase, **bounds: float
) -> tuple[Fault, Stage] | None:
    """How the scorer ends a case with another one's answers and these bounds of its metric."""
    metric = replace(BENCH.metrics[case.metric_id], **bounds)  # type: ignore[arg-type]
    bench = replace(BENCH, metrics={**BENCH.metrics, metric.id: metric})
    clock = ManualClock(datetime(2026, 3, 1, tzinfo=UTC))
    scorer = Scorer(bench, NoKeys(), lambda _: b"", GraderInfo("", "cpu", "1"), clock)
    arrays, _ = decoded(answered)
    result = respond(scorer, scorer_protocol.encode_self_test(case.metric_id, arrays))
    if not result["fault"].item():
        return None
    return Fault(result["fault"].item()), Stage(result["stage"].item())


def test_the_scorer_passes_a_known_score_that_is_legal_only() -> None:
    case, other = CASES["ap50"], CASES["grounding-accuracy"]
    assert case.expected is not None
    illegal = (Fault.ILLEGAL_SCORE, Stage.CHECKING_VALUE)
    assert self_tested(case, case) is None
    assert self_tested(case, other) == illegal
    assert self_tested(case, case, maximum=case.expected - 1) == illegal
    assert self_tested(case, case, minimum=case.expected + 1) == illegal


def test_the_worker_needs_no_library_of_media_for_them() -> None:
    libraries = ("PIL", "av", "torch", "cv2", "scipy", "soundfile", "trimesh", "transformers")
    ours = ("media", "metrics", "models", "decode.decoders", "decode.media_decoders")
    names = [*libraries, *(f"services.grader.{name}" for name in ours)]
    program = (
        f"import sys, services.grader.golden; print(*[m for m in {names} if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)
    assert done.stdout.split() == []


def test_the_files_are_small() -> None:
    """They are made and held by every worker and every scorer."""
    sizes = {
        case.metric_id: sum(map(len, [*case.files.values(), *case.media.values()]))
        for case in CASES.values()
    }
    assert max(sizes.values()) < 512 * 1024
    assert sum(sizes.values()) < 2 * 1024 * 1024


# Mel cepstra by the sums that models.mel_cepstra states, each written out.


def cepstra(data: bytes) -> NDArray[np.float64]:
    """The mel cepstra [frames, 13] of a sound at 48 kHz."""
    sound = read_sound(data, ".wav")["samples"][:, 0].astype(np.float64)
    low_pass = scipy.signal.firwin(61, 1 / 3, window=("kaiser", 5.0))
    sound = np.convolve(sound, low_pass)[30 : 30 + len(sound)][::3]
    time = np.arange(400)
    window = 0.5 - 0.5 * np.cos(2 * np.pi * time / 400)
    turns = np.exp(-2j * np.pi * np.outer(np.arange(257), time) / 512)
    bands = np.arange(40)
    rows = []
    for start in range(0, len(sound) - 399, 80):
        power = np.abs(turns @ (sound[start : start + 400] * window)) ** 2 / (window**2).sum()
        logs = np.log([band_energy(power, band) + 1e-10 for band in range(40)])
        rows.append([np.mean(logs * np.cos(np.pi * k * (bands + 0.5) / 40)) for k in range(1, 14)])
    return np.array(rows)


def band_energy(power: NDArray[np.float64], band: int) -> float:
    """The mean of a power spectrum [257] in one of 40 bands from 0 to 8000 Hz."""

    def mel(hertz: float) -> float:
        return 1127 * math.log(1 + hertz / 700)

    low, middle, high = (mel(8000) * edge / 41 for edge in (band, band + 1, band + 2))
    weights = np.zeros(257)
    for line in range(1, 257):
        at = mel(line * 8000 / 256)
        weights[line] = max(0.0, min((at - low) / (middle - low), (high - at) / (high - middle)))
    return float(weights @ power / weights.sum())


def test_the_known_distortion_of_speech_is_what_the_written_sums_give() -> None:
    case = CASES["mcd"]
    wanted, given = cepstra(case.media["1.wav"]), cepstra(case.files["a.wav"])
    assert (len(wanted), len(given)) == (1, 2)
    flat = np.zeros((1, 13))

    def distortion(first: NDArray[np.float64], second: NDArray[np.float64]) -> float:
        apart = np.sqrt(2 * ((first - second) ** 2).sum(axis=1))
        return float(10 / math.log(10) * apart.mean())

    answered = distortion(given, np.concatenate([wanted, flat]))
    missing = max(answered, distortion(flat, wanted))
    assert (answered + missing) / 2 == pytest.approx(case.expected, rel=1e-12)
