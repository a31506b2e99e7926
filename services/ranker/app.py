"""Wiring of a ranker: the only module that chooses implementations."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Mapping

from general_level.v1 import ranking_pb2_grpc
from services.kit import tracing
from services.kit.catalogues import open_catalogue
from services.kit.clock import Clock, SystemClock
from services.kit.connection import Connection
from services.kit.health import HealthServer
from services.kit.logging import configure_logging, get_logger
from services.kit.telemetry import MetricsServer
from services.ranker.checkpoint import CheckpointFile, basis_of
from services.ranker.ledger_view import LedgerView
from services.ranker.previews import Previewer
from services.ranker.publisher import BoardComputer
from services.ranker.settings import Settings
from services.ranker.telemetry import Telemetry
from services.ranker.verifying import Verifier
from services.ranker.watcher import Watcher

#: As the gateway's own limit.
_MESSAGE_BYTES_MAX = 32 * 1024 * 1024
_OPTIONS = (
    ("grpc.max_receive_message_length", _MESSAGE_BYTES_MAX),
    ("grpc.max_send_message_length", _MESSAGE_BYTES_MAX),
    ("grpc.keepalive_time_ms", 30_000),
    ("grpc.initial_reconnect_backoff_ms", 200),
    ("grpc.min_reconnect_backoff_ms", 200),
    ("grpc.max_reconnect_backoff_ms", 5_000),
)


class Ranker:
    """One ranker in this process; ``start``, then ``stop``. Tests start several."""

    def __init__(self, settings: Settings, clock: Clock | None = None) -> None:
        self.settings = settings
        self._clock = clock or SystemClock()
        self._catalogue = open_catalogue(settings.catalogue)
        # An unknown list of references stops the ranker here and not at its first publication.
        self._references = self._catalogue.references(settings.references).id
        self.telemetry = Telemetry(
            self._catalogue, settings.tls.certificate if settings.tls else None
        )
        self.watcher: Watcher | None = None

    async def start(self) -> int | None:
        """Begins to follow the ledger; returns the Prometheus port, None without one."""
        self._metrics = MetricsServer(
            self.telemetry.registry, self.settings.metrics_port, self.settings.metrics_host
        )
        self.health = HealthServer(self.settings.health_address)
        self._connection = Connection(
            self.settings.gateway,
            self.settings.tls,
            _OPTIONS,
            ranking_pb2_grpc.RankingServiceStub,
        )
        await self.health.start()
        self.verifier = Verifier(self.settings.trusted_keys, self.settings.verifiers)
        view, saved = self._view(self.verifier)
        self.watcher = Watcher(
            connection=self._connection,
            token=self.settings.token,
            view=view,
            checkpoints=saved,
            computer=BoardComputer(self._catalogue, self._references, self.settings.convention),
            clock=self._clock,
            telemetry=self.telemetry,
            previewer=Previewer(
                token=self.settings.token,
                catalogue=self._catalogue,
                reference_list_id=self._references,
                convention=self.settings.convention,
            ),
        )
        self._task = asyncio.create_task(self.watcher.run())
        self._announcing = asyncio.create_task(self._announce(self.watcher))
        get_logger().info(
            "ranker follows",
            gateway=self.settings.gateway,
            catalogue=self._catalogue.id,
            references=self._references,
            trusted_keys=len(self.settings.trusted_keys),
        )
        return self._metrics.port

    def _view(self, verifier: Verifier) -> tuple[LedgerView, CheckpointFile | None]:
        """The ledger's view, from the checkpoint if there is one that can be used."""
        path = self.settings.checkpoint
        if path is None:
            return LedgerView(self._catalogue, verifier), None
        file = CheckpointFile(path, self.settings.checkpoint_key)
        found = file.load(basis_of(self._catalogue, verifier.trusted_keys))
        if found is not None:
            get_logger().info("goes on from a checkpoint", ledger_position=found.position)
        return LedgerView(self._catalogue, verifier, found), file

    async def _announce(self, watcher: Watcher) -> None:
        await watcher.caught_up.wait()
        # From here on statements come one by one.
        await asyncio.to_thread(self.verifier.close)
        self.health.set_ready(True)

    async def wait(self) -> None:
        """Returns only if the ranker broke, by raising what broke it."""
        await self._task

    async def stop(self) -> None:
        """Finishes a publication that has begun, then disconnects."""
        self._announcing.cancel()
        self.health.set_ready(False)
        self._task.cancel()
        await asyncio.gather(self._task, self._announcing, return_exceptions=True)
        if self.watcher is not None:
            await self.watcher.save_checkpoint()
        await asyncio.to_thread(self.verifier.close)
        await self._connection.close()
        await self.health.stop()
        self._metrics.close()


async def serve(settings: Settings) -> None:
    """Ranks until SIGTERM or SIGINT, then drains."""
    ranker = Ranker(settings)
    await ranker.start()
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    stopping = asyncio.create_task(stop.wait())
    broken = asyncio.create_task(ranker.wait())
    done, _ = await asyncio.wait({stopping, broken}, return_when=asyncio.FIRST_COMPLETED)
    get_logger().info("ranker drains")
    for task in (stopping, broken):
        task.cancel()
    await ranker.stop()
    if broken in done:
        broken.result()


def main(environ: Mapping[str, str] | None = None) -> None:
    """Runs a ranker with the settings of the environment."""
    configure_logging("ranker")
    given = os.environ if environ is None else environ
    settings = Settings.from_env(given)
    with tracing.exporting("ranker", given):
        asyncio.run(serve(settings))
