"""The scorer: the process that holds the keys and signs.

It imports neither gRPC nor a parser of labs' files, opens no socket, and is the only process of a
grader that reads the key bundle, the identity and the signing key. The worker ends it when a job
overruns, and starts another.
"""

from __future__ import annotations

import os
import resource
import sys
from collections.abc import Callable
from functools import partial
from typing import BinaryIO

import numpy as np

from general_level import catalogue
from general_level.catalogue.mapping import is_legal
from general_level.statements import GraderInfo
from services.grader import golden, scorer_protocol
from services.grader.computing import compute, wants_content
from services.grader.decode import columns, frames
from services.grader.decode.frames import Arrays, FrameInvalid
from services.grader.decode.hardening import hide_from_other_processes
from services.grader.decode.spool import Parts
from services.grader.keys import Identity, KeyBundle, KeyUnavailable
from services.grader.networks import CPU, DeviceUnavailable, HeldNetworks
from services.grader.outcomes import EXIT_OUT_OF_MEMORY, Fault
from services.grader.scorer_protocol import ScorerConfig
from services.grader.scoring import Scorer, ScoringFault, Stage
from services.grader.statements import SigningKey, sign_score
from services.grader.weights.errors import WeightsInvalid
from services.kit.clock import SystemClock


def _start(config: ScorerConfig) -> tuple[Scorer, bytes]:
    """The scorer and its public key; KeyUnavailable and DeviceUnavailable by what it lacks."""
    bench = catalogue.load(config.catalogue_folder, name=config.catalogue_name)
    signing_key = SigningKey.from_file(config.signing_key)
    keys = KeyBundle.open(config.bundle, Identity.from_file(config.identity))
    if keys.catalogue_id != bench.id:
        raise KeyUnavailable(what="bundle", why="other-catalogue")
    grader = GraderInfo(config.image_digest, config.device, config.version)
    networks = HeldNetworks(config.networks)
    if config.networks.device != CPU:
        networks.open()  # a card that is not there is told at once, not by the first job
    scorer = Scorer(bench, keys, partial(sign_score, signing_key), grader, SystemClock(), networks)
    return scorer, signing_key.public_key


def _self_test(scorer: Scorer, arrays: Arrays, parts: Parts) -> Arrays:
    """Scores a golden case through the same code as a job; its key is built in, and no secret."""
    case = golden.CASES[arrays["golden"].tobytes().decode()]
    try:
        metric = scorer.metrics[case.metric_id]
        content = parts if wants_content(metric, case.kind) else None
        answers = columns.unpack(case.kind, arrays, case.options, content)
        result = compute(
            metric, case.kind, case.options, case, answers, case.ratings, scorer.networks
        ).result
    except WeightsInvalid:
        return _fault(Fault.WEIGHTS_UNAVAILABLE, Stage.COMPUTING)
    except Exception:
        return _fault(Fault.INTERNAL, Stage.COMPUTING)
    if not (case.matches(result.value) and is_legal(metric, result.value)):
        return _fault(Fault.ILLEGAL_SCORE, Stage.CHECKING_VALUE)
    return {"fault": np.zeros(1, dtype=np.uint8)}


def _fault(fault: Fault, stage: Stage) -> Arrays:
    return scorer_protocol.encode_fault(ScoringFault(fault, stage))


def respond(scorer: Scorer, arrays: Arrays) -> Arrays:
    """The result of one request, be it a job or a self-test."""
    try:
        parts = scorer_protocol.decode_parts(arrays)
    except FrameInvalid:
        return _fault(Fault.DECODER_CRASHED, Stage.UNPACKING)
    if "golden" in arrays:
        return _self_test(scorer, arrays, parts)
    try:
        facts = scorer_protocol.decode_job(arrays)
        return scorer_protocol.encode_score(scorer.score(facts, arrays, parts))
    except ScoringFault as fault:
        return scorer_protocol.encode_fault(fault)


def _card_memory(name: str) -> Arrays:
    """What the card holds, for telemetry; nothing without a card."""
    if name == CPU:
        return {}
    # Imported late, as by the networks: a scorer without a card need not load torch for this.
    from services.grader.device import memory_of  # noqa: PLC0415

    return scorer_protocol.encode_memory(*memory_of(name))


def _write(sink: BinaryIO, arrays: Arrays) -> None:
    for part in frames.encode(arrays):
        sink.write(part)
    sink.flush()


def main(answer: Callable[[Scorer, Arrays], Arrays] = respond) -> None:
    """Serves one worker on standard input until it closes."""
    sink = os.fdopen(os.dup(1), "wb")
    # Whatever a library prints must neither get among the frames nor anywhere else.
    os.dup2(2, 1)
    source = sys.stdin.buffer
    hide_from_other_processes()
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    try:
        config = scorer_protocol.decode_config(frames.read(source, frames.SMALL))
        if config.networks.device == CPU:
            # Not with a card: its driver maps far more addresses than there is memory. There the
            # container's limit holds alone.
            resource.setrlimit(resource.RLIMIT_AS, (config.memory_bytes, config.memory_bytes))
        try:
            scorer, public_key = _start(config)
        except KeyUnavailable as error:
            what, why = error.metadata.get("what", ""), error.metadata.get("why", "")
            _write(sink, scorer_protocol.encode_unready(what, why))
            return
        except DeviceUnavailable:
            _write(sink, scorer_protocol.encode_unready("device", "not-there"))
            return
        _write(sink, scorer_protocol.encode_ready(public_key))
        while True:
            result = answer(scorer, frames.read(source, scorer_protocol.JOB_LIMITS))
            _write(sink, {**result, **_card_memory(config.networks.device)})
    except EOFError:
        return
    except MemoryError:
        os._exit(EXIT_OUT_OF_MEMORY)  # a teardown would need memory
    except FrameInvalid:
        sys.exit("the worker sent no frame")


if __name__ == "__main__":
    main()
