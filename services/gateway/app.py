"""Wiring of a gateway: the only module that chooses implementations."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from starlette.types import ASGIApp

from general_level.catalogue import Catalogue
from general_level.trusted_keys import read_trusted_keys
from general_level.v1 import (
    catalogue_pb2_grpc,
    grading_pb2_grpc,
    leaderboard_pb2_grpc,
    operations_pb2_grpc,
    quota_pb2_grpc,
    ranking_pb2_grpc,
    submission_pb2_grpc,
)
from services.gateway import certificates
from services.gateway.checking import Checker
from services.gateway.identity import Authenticator
from services.gateway.lab_desk import LabDesk
from services.gateway.lab_uploads import LabUploads
from services.gateway.maintenance import Maintenance
from services.gateway.participation import Participation
from services.gateway.public_folder import IDS_FILE, PublishedCommitments
from services.gateway.rpc.catalogue import CatalogueServicer
from services.gateway.rpc.grading import GradingServicer
from services.gateway.rpc.leaderboard import LeaderboardServicer
from services.gateway.rpc.operations import OperationsServicer
from services.gateway.rpc.quota import QuotaServicer
from services.gateway.rpc.ranking import RankingServicer
from services.gateway.rpc.submission import SubmissionServicer
from services.gateway.settings import Settings
from services.gateway.signals import Signals
from services.gateway.storage.database import Database
from services.gateway.storage.migrate import upgrade
from services.gateway.storage.replicas import replicas_of
from services.gateway.telemetry import Telemetry
from services.gateway.upload_stream import PartStore
from services.gateway.web.ahead import MadeAhead
from services.gateway.web.answers import Answers
from services.gateway.web.edge import WebLimits
from services.gateway.web.movements import Movements
from services.gateway.web.newest import Newest
from services.gateway.web.portal import Portal, PortalParts
from services.gateway.web.public_address import origin_of
from services.gateway.web.records import Records
from services.gateway.web.server import WebServer
from services.gateway.web.site import guarded, make_site
from services.gateway.web.telemetry import WAITING
from services.kit import tracing
from services.kit.catalogues import open_catalogue
from services.kit.clock import Clock, SystemClock
from services.kit.health import HealthServer
from services.kit.logging import configure_logging, get_logger
from services.kit.objects import Objects
from services.kit.server import PUBLIC_REQUEST_BYTES_MAX, Server
from services.kit.settings import SettingInvalid
from services.kit.telemetry import MetricsServer

PUBLIC = tuple(
    f"general_level.v1.{name}"
    for name in ("SubmissionService", "QuotaService", "CatalogueService", "LeaderboardService")
)
INTERNAL = tuple(
    f"general_level.v1.{name}" for name in ("GradingService", "RankingService", "OperationsService")
)


@dataclass(frozen=True, slots=True)
class Ports:
    """Where a started gateway listens."""

    public: int
    internal: int
    metrics: int | None
    health: int | None = None
    web: int | None = None


class Gateway:
    """One gateway in this process; ``start``, then ``stop``. Tests start several."""

    def __init__(self, settings: Settings, clock: Clock | None = None) -> None:
        self.settings = settings
        self.clock = clock or SystemClock()
        self.catalogue = _catalogue(settings)
        self.database = Database(settings.database_url, settings.database)
        self.signals = Signals()
        self.replicas = replicas_of(self.database, self.signals, settings.database)
        self.telemetry = Telemetry(
            self.catalogue,
            folders=_local_folders(settings),
            certificates={
                "public": settings.tls.certificate if settings.tls else None,
                "internal": settings.internal_tls.certificate if settings.internal_tls else None,
            },
        )
        self._web_origin = origin_of(settings.web_url) if settings.web_url else None
        self._trusted = _trusted_keys(settings.trusted_keys)
        self._objects = Objects(settings.objects_url, settings.s3)
        self._parts = PartStore(
            database=self.database,
            objects=self._objects,
            signals=self.signals,
            clock=self.clock,
            stored_bytes=self.telemetry.upload_bytes,
        )
        self._desk = LabDesk(
            database=self.database,
            signals=self.signals,
            clock=self.clock,
            catalogue=self.catalogue,
            telemetry=self.telemetry,
            trusted_keys=self._trusted,
        )
        self._uploads = LabUploads(
            database=self.database,
            parts=self._parts,
            signals=self.signals,
            clock=self.clock,
            desk=self._desk,
        )
        self._participation = Participation(database=self.database, clock=self.clock)
        self._tasks: list[asyncio.Task[None]] = []
        folder = settings.public_folder
        self._commitments = PublishedCommitments(folder)
        self._checker = Checker(
            database=self.database,
            objects=self._objects,
            signals=self.signals,
            clock=self.clock,
            catalogue=self.catalogue,
            catalogue_spec=settings.catalogue,
            ids_path=folder / IDS_FILE if folder else None,
            slots=settings.checkers,
            replicas=self.replicas,
            telemetry=self.telemetry,
        )
        self.maintenance = Maintenance(
            database=self.database,
            objects=self._objects,
            signals=self.signals,
            clock=self.clock,
            telemetry=self.telemetry,
            snapshots_kept=settings.snapshots_kept,
            archives_kept=settings.archives_kept,
        )

    async def start(self) -> Ports:
        """Brings the schema up to date, binds both ports and begins to serve."""
        self._health = HealthServer(self.settings.health_address, (*PUBLIC, *INTERNAL))
        # Live from here on, however long the schema takes.
        await self._health.start()
        try:
            return await self._start()
        except BaseException:
            await self._health.stop()
            raise

    async def _start(self) -> Ports:
        await asyncio.to_thread(upgrade, self.database)
        # A list that cannot be read stops the gateway here and not at its first score.
        await asyncio.to_thread(self._commitments.entries)
        self._public = Server(PUBLIC, PUBLIC_REQUEST_BYTES_MAX)
        self._internal = Server(INTERNAL)
        self._add_public()
        self._add_internal()
        self._public.bind(self.settings.public_address, self.settings.tls)
        self._internal.bind(self.settings.internal_address, self.settings.internal_tls)
        self._metrics = MetricsServer(
            self.telemetry.registry, self.settings.metrics_port, self.settings.metrics_host
        )
        self._newest = Newest(self.database, self.signals)
        self._records = Records(self.database, self.signals)
        self._web = WebServer(
            self._site(),
            self.settings.web_address,
            self.settings.drain.total_seconds(),
            self.settings.web_trusted_proxies,
            self.telemetry.web,
        )
        await self.replicas.start()
        await self.maintenance.round()
        work = [self._checker.run(), self.maintenance.run()]
        if self._web.port is not None:
            await self._newest.refresh()
            await self._records.refresh()
            work += [self._newest.run(), self._records.run(), self._made_ahead.run()]
        for each in work:
            self._tasks.append(asyncio.create_task(each))
        await self._public.start()
        await self._internal.start()
        self._web.start()
        self._health.set_ready(True)
        ports = Ports(
            self._public.port,
            self._internal.port,
            self._metrics.port,
            self._health.port,
            self._web.port,
        )
        get_logger().info(
            "gateway serves",
            public_port=ports.public,
            internal_port=ports.internal,
            web_port=ports.web,
            catalogue=self.catalogue.id,
        )
        return ports

    async def stop(self) -> None:
        """Takes no new calls, lets running ones end, then stops the background work."""
        self._health.set_ready(False)
        grace = self.settings.drain.total_seconds()
        await self._newest.end()
        self._portal.end()
        await asyncio.gather(self._public.stop(grace), self._internal.stop(grace), self._web.stop())
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._parts.settle()
        await self.replicas.stop()
        self._checker.close()
        self._metrics.close()
        await asyncio.to_thread(self.database.close)
        await self._health.stop()

    def _site(self) -> ASGIApp:
        told = self.telemetry.web
        limits = WebLimits(told)
        answers = Answers(admit=limits.admit, turned_away=lambda: limits.refused(WAITING))
        parts = PortalParts(
            database=self.database,
            clock=self.clock,
            desk=self._desk,
            uploads=self._uploads,
            participation=self._participation,
            attempts=limits.sign_ins,
        )
        self._portal = Portal(parts, self.catalogue, self._newest)
        site = make_site(
            self.catalogue,
            self._newest,
            Movements(self.database),
            self._records,
            self._portal,
            answers,
        )
        self._made_ahead = MadeAhead(site, self._newest, answers.read_last)
        trusted = self.settings.web_trusted_proxies
        return guarded(site, limits, told, trusted, self._web_origin)

    def _add_public(self) -> None:
        authenticator = Authenticator(self.database, self.clock)
        submission_pb2_grpc.add_SubmissionServiceServicer_to_server(
            SubmissionServicer(desk=self._desk, uploads=self._uploads, authenticator=authenticator),
            self._public.grpc,
        )
        quota_pb2_grpc.add_QuotaServiceServicer_to_server(
            QuotaServicer(participation=self._participation, authenticator=authenticator),
            self._public.grpc,
        )
        catalogue_pb2_grpc.add_CatalogueServiceServicer_to_server(
            CatalogueServicer(
                catalogue=self.catalogue,
                public_folder=self.settings.public_folder,
                commitments=self._commitments,
                authenticator=authenticator,
            ),
            self._public.grpc,
        )
        leaderboard_pb2_grpc.add_LeaderboardServiceServicer_to_server(
            LeaderboardServicer(
                database=self.database, signals=self.signals, catalogue=self.catalogue
            ),
            self._public.grpc,
        )

    def _add_internal(self) -> None:
        check = certificates.require if self.settings.internal_tls is not None else None
        authenticator = Authenticator(self.database, self.clock, check)
        grading_pb2_grpc.add_GradingServiceServicer_to_server(
            GradingServicer(
                database=self.database,
                objects=self._objects,
                signals=self.signals,
                clock=self.clock,
                catalogue=self.catalogue,
                authenticator=authenticator,
                trusted_keys=self._trusted,
                commitments=self._commitments,
                lease_duration=self.settings.lease,
                job_duration=self.settings.job_duration,
                telemetry=self.telemetry,
            ),
            self._internal.grpc,
        )
        ranking_pb2_grpc.add_RankingServiceServicer_to_server(
            RankingServicer(
                database=self.database,
                signals=self.signals,
                clock=self.clock,
                catalogue=self.catalogue,
                authenticator=authenticator,
            ),
            self._internal.grpc,
        )
        operations_pb2_grpc.add_OperationsServiceServicer_to_server(
            OperationsServicer(
                database=self.database,
                signals=self.signals,
                clock=self.clock,
                catalogue=self.catalogue,
                authenticator=authenticator,
                trusted_keys=self._trusted,
                commitments=self._commitments,
            ),
            self._internal.grpc,
        )


def _catalogue(settings: Settings) -> Catalogue:
    """The catalogue as this installation grades it."""
    bench = open_catalogue(settings.catalogue)
    unknown = [name for name in settings.ungraded_metrics if name not in bench.metrics]
    if unknown:
        raise SettingInvalid(
            f"The catalogue has no metric {unknown[0]}.",
            variable="GATEWAY_UNGRADED_METRICS",
            problem="unknown word",
        )
    return bench.with_planned(settings.ungraded_metrics)


def _local_folders(settings: Settings) -> dict[str, Path]:
    """Where this gateway writes on its own machine; nothing for PostgreSQL and S3."""
    places = {
        "database": (settings.database_url, "sqlite:///"),
        "objects": (settings.objects_url, "file://"),
    }
    folders = {
        place: Path(url.removeprefix(scheme))
        for place, (url, scheme) in places.items()
        if url.startswith(scheme)
    }
    if "database" in folders:
        folders["database"] = folders["database"].parent
    return folders


def _trusted_keys(path: Path | None) -> tuple[bytes, ...]:
    return tuple(read_trusted_keys(path)) if path else ()


async def serve(settings: Settings) -> None:
    """Serves until SIGTERM or SIGINT, then drains."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    gateway = Gateway(settings)
    await gateway.start()
    await stop.wait()
    get_logger().info("gateway drains")
    await gateway.stop()


def main(environ: Mapping[str, str] | None = None) -> None:
    """Runs a gateway with the settings of the environment."""
    configure_logging("gateway")
    given = os.environ if environ is None else environ
    settings = Settings.from_env(given)
    with tracing.exporting("gateway", given):
        asyncio.run(serve(settings))
