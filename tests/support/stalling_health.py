"""A process with a health port whose event loop stands still on demand.

It prints the port; each SIGUSR1 stops the loop, says "stalled", and lets it go on at a line of
standard input. It ends when standard input does.
"""

from __future__ import annotations

import asyncio
import signal
import sys

from services.kit.health import HealthServer
from services.kit.logging import configure_logging


async def main() -> None:
    configure_logging("test", stream=sys.stderr)
    server = HealthServer("127.0.0.1:0")
    await server.start()
    ended = asyncio.Event()

    def stall() -> None:
        print("stalled", flush=True)
        if not sys.stdin.readline():
            ended.set()

    asyncio.get_running_loop().add_signal_handler(signal.SIGUSR1, stall)
    print(server.port, flush=True)
    await ended.wait()
    await server.stop()


if __name__ == "__main__":
    asyncio.run(main())
