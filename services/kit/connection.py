"""A connection of one service to another, which follows its certificate when that is renewed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, Final

import grpc

from services.kit.tls import ClientTls, PemFiles, Pems

#: What calls of before a renewal get to end: no job takes longer.
OLD_CALLS_SECONDS: Final = 86_400.0


class Connection:
    """Gives a stub for each call. Lives in one event loop; CertificateInvalid at the start."""

    def __init__(
        self,
        target: str,
        tls: ClientTls | None,
        options: Sequence[tuple[str, int]],
        stub: Callable[[grpc.aio.Channel], Any],
    ) -> None:
        self._target = target
        self._options: tuple[tuple[str, Any], ...] = tuple(options)
        self._make_stub = stub
        self._pems: PemFiles | None = None
        if tls is not None:
            self._pems = PemFiles(tls.certificate, tls.private_key, tls.ca)
            if tls.server_name is not None:
                self._options += (("grpc.ssl_target_name_override", tls.server_name),)
        self._retired: dict[asyncio.Task[None], grpc.aio.Channel] = {}
        self._open(self._pems.current if self._pems is not None else None)

    def _open(self, pems: Pems | None) -> None:
        if pems is None:
            self._channel = grpc.aio.insecure_channel(self._target, options=self._options)
        else:
            credentials = grpc.ssl_channel_credentials(pems.ca, pems.private_key, pems.certificate)
            self._channel = grpc.aio.secure_channel(
                self._target, credentials, options=self._options
            )
        self._stub = self._make_stub(self._channel)

    def stub(self) -> Any:
        """The stub for the next call: another one as soon as the files have changed.

        Calls that have begun go on over the connection that they began on.
        """
        newer = self._pems.newer() if self._pems is not None else None
        if newer is not None:
            old = self._channel
            self._open(newer)
            task = asyncio.create_task(_close_later(old))
            self._retired[task] = old
            task.add_done_callback(self._retired.pop)
        return self._stub

    async def close(self) -> None:
        """Ends every call and disconnects."""
        retired = dict(self._retired)
        for task in retired:
            task.cancel()
        await asyncio.gather(*retired, return_exceptions=True)
        for channel in (*retired.values(), self._channel):
            await channel.close()


async def _close_later(channel: grpc.aio.Channel) -> None:
    # Not its own grace: a channel that waits so cannot be closed any sooner.
    await asyncio.sleep(OLD_CALLS_SECONDS)
    await channel.close()
