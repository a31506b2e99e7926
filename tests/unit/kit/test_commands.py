"""A service that cannot start says why in one line: code 2 for a setting, 1 for what it names."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

NEEDED = {
    "gateway": {
        "GATEWAY_DATABASE_URL": "sqlite:////nowhere/gateway.db",
        "GATEWAY_OBJECTS_URL": "memory:///",
    },
    "ranker": {"RANKER_TOKEN": "secret", "RANKER_TRUSTED_KEYS": "/nowhere/keys.txt"},
}


def serve(service: str, **environ: str) -> subprocess.CompletedProcess[str]:
    clean = {name: value for name, value in os.environ.items() if "_" in name or name == "PATH"}
    return subprocess.run(
        [sys.executable, "-m", f"services.{service}", "serve"],
        env={
            name: value
            for name, value in {**clean, **environ}.items()
            if value and not (name.startswith(("GATEWAY_", "RANKER_")) and name not in environ)
        },
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize(
    ("service", "changes", "said"),
    [
        ("gateway", {"GATEWAY_DATABASE_URL": ""}, "Set GATEWAY_DATABASE_URL."),
        ("gateway", {"GATEWAY_METRICS_PORT": "http"}, "GATEWAY_METRICS_PORT must be a number"),
        ("ranker", {"RANKER_TOKEN": ""}, "Set RANKER_TOKEN."),
    ],
)
def test_a_setting_that_cannot_be_used(service: str, changes: dict[str, str], said: str) -> None:
    done = serve(service, **NEEDED[service] | changes)
    assert done.returncode == 2
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_a_file_that_a_setting_names(tmp_path: Path) -> None:
    done = serve("ranker", **NEEDED["ranker"] | {"RANKER_TRUSTED_KEYS": str(tmp_path / "no.txt")})
    assert done.returncode == 1
    assert "TRUSTED_KEYS_INVALID: " in done.stderr
    assert "Traceback" not in done.stderr
