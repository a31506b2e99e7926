"""Wiring: the one place where a grader chooses its parts."""

from __future__ import annotations

import asyncio
import random
import signal
import tempfile
from pathlib import Path

from general_level import catalogue
from general_level.catalogue.model import Catalogue
from services.grader.decode.box import (
    DECODERS_MODULE,
    MEDIA_DECODERS_MODULE,
    DecodeBox,
    SubprocessBox,
)
from services.grader.gateway import Gateway
from services.grader.pipeline import Boxes, Pipeline, served_metrics
from services.grader.scorer_process import ScorerProcess
from services.grader.settings import GraderSettings
from services.grader.telemetry import Telemetry
from services.grader.weights.folder import available
from services.grader.weights.manifest import load_manifest
from services.grader.worker import Worker
from services.kit.health import HealthServer
from services.kit.logging import get_logger
from services.kit.telemetry import start_metrics_server


def build(settings: GraderSettings, telemetry: Telemetry, rng: random.Random) -> Worker:
    """A worker with real boxes, a real scorer and a real connection; needs a running loop."""
    bench = catalogue.load(settings.catalogue_folder, name=settings.catalogue_name)
    metric_ids = _metrics(bench, settings)

    async def start_box(content: bool) -> DecodeBox:
        box = await SubprocessBox.start(
            settings.box_limits,
            settings.isolation,
            decoders_module=MEDIA_DECODERS_MODULE if content else DECODERS_MODULE,
        )
        telemetry.box_started(len(box.missing_steps))
        if box.missing_steps:
            get_logger().warning("box lacks walls", missing=box.missing_steps)
        return box

    pipeline = Pipeline(
        bench,
        Boxes(start_box, settings.boxes),
        ScorerProcess(
            settings.scorer_config, telemetry.scorer_started, on_memory=telemetry.card_memory
        ),
        telemetry,
        settings.score_seconds,
    )
    gateway = Gateway(settings, metric_ids)
    return Worker(settings, gateway, pipeline, metric_ids, telemetry, rng)


def _metrics(bench: Catalogue, settings: GraderSettings) -> tuple[str, ...]:
    """What this grader can grade; what waits for weights is said once. WeightsInvalid."""
    modality = settings.modality.value
    held = available(load_manifest(), settings.networks.open_folder())
    metric_ids = served_metrics(bench, modality, held.waiting)
    for metric_id in set(served_metrics(bench, modality)).difference(metric_ids):
        get_logger().warning(
            "tasks wait for weights",
            metric=metric_id,
            weights=held.waits_for(metric_id),
            tasks=sum(task.metric_id == metric_id for task in bench.tasks.values()),
        )
    return metric_ids


async def serve(settings: GraderSettings) -> bool:
    """Runs a grader until SIGTERM or SIGINT; False where it cannot grade."""
    health = HealthServer(settings.health_address)
    telemetry = Telemetry(
        settings.modality.value,
        health.set_ready,
        certificate=settings.tls.certificate if settings.tls else None,
        spool=Path(tempfile.gettempdir()),
    )
    server = None
    if settings.metrics_port is not None:
        server, port = start_metrics_server(
            telemetry.registry, settings.metrics_port, settings.metrics_host
        )
        get_logger().info("telemetry", port=port)
    worker = build(settings, telemetry, random.SystemRandom())
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, worker.drain)
    try:
        await health.start()
        return await worker.run()
    finally:
        await health.stop()
        if server is not None:
            server.shutdown()
            server.server_close()
