"""Settings from the environment."""

from __future__ import annotations

from pathlib import Path

import pytest

from general_level.catalogue.model import Modality
from services.grader.decode.box import Isolation
from services.grader.settings import GraderSettings
from services.kit.settings import SettingInvalid

MINIMAL = {
    "GRADER_MODALITY": "3d",
    "GRADER_TOKEN": "hush-hush",
    "GRADER_KEYS": "/keys/three_d.keys",
    "GRADER_IDENTITY": "/keys/identity",
    "GRADER_SIGNING_KEY": "/keys/signing.pem",
}


def test_the_minimum_is_enough_and_safe() -> None:
    settings = GraderSettings.from_env(MINIMAL)
    assert settings.modality is Modality.THREE_D
    assert settings.bundle == Path("/keys/three_d.keys")
    assert settings.isolation is Isolation.REQUIRED
    assert settings.catalogue_name == "general-bench"
    assert settings.tls is None
    assert settings.metrics_port is None
    assert settings.health_address is None
    assert settings.scorer_config.identity == settings.identity


def test_no_secret_is_in_the_repr() -> None:
    assert "hush-hush" not in repr(GraderSettings.from_env(MINIMAL))


def test_the_token_may_lie_in_a_file(tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("from-file\n")
    environ = {**MINIMAL, "GRADER_TOKEN": "", "GRADER_TOKEN_FILE": str(token)}
    assert GraderSettings.from_env(environ).token.reveal() == "from-file"


def test_the_command_line_chooses_the_modality() -> None:
    assert GraderSettings.from_env(MINIMAL, Modality.AUDIO).modality is Modality.AUDIO


def test_paths_are_absolute_because_the_scorer_starts_elsewhere() -> None:
    settings = GraderSettings.from_env({**MINIMAL, "GRADER_KEYS": "keys/three_d.keys"})
    assert settings.bundle == Path.cwd() / "keys/three_d.keys"


@pytest.mark.parametrize(
    "variable",
    ["GRADER_TOKEN", "GRADER_KEYS", "GRADER_IDENTITY", "GRADER_SIGNING_KEY", "GRADER_MODALITY"],
)
def test_what_is_needed_and_missing_is_named(variable: str) -> None:
    environ = {key: value for key, value in MINIMAL.items() if key != variable}
    with pytest.raises(SettingInvalid) as caught:
        GraderSettings.from_env(environ)
    assert caught.value.metadata["variable"] == variable


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("GRADER_MODALITY", "smell"),
        ("GRADER_ISOLATION", "none"),
        ("GRADER_JOBS", "0"),
        ("GRADER_JOBS", "1.5"),
        ("GRADER_POLL_SECONDS", "nan"),
        ("GRADER_BOX_MEMORY_MIB", "1"),
        ("GRADER_METRICS_PORT", "70000"),
        ("GRADER_TLS_CERTIFICATE", "/only/one.pem"),
    ],
)
def test_a_value_out_of_range_is_named(variable: str, value: str) -> None:
    with pytest.raises(SettingInvalid) as caught:
        GraderSettings.from_env({**MINIMAL, variable: value})
    assert caught.value.metadata["variable"] == variable


def test_a_client_certificate_comes_with_its_key_and_ca() -> None:
    tls = {
        "GRADER_TLS_CA": "/tls/ca.pem",
        "GRADER_TLS_CERTIFICATE": "/tls/crt.pem",
        "GRADER_TLS_PRIVATE_KEY": "/tls/key.pem",
    }
    settings = GraderSettings.from_env({**MINIMAL, **tls})
    assert settings.tls is not None
    assert settings.tls.ca == Path("/tls/ca.pem")
    assert settings.tls.server_name is None
    named = GraderSettings.from_env({**MINIMAL, **tls, "GRADER_TLS_SERVER_NAME": "gateway"})
    assert named.tls is not None
    assert named.tls.server_name == "gateway"
    with pytest.raises(SettingInvalid):
        GraderSettings.from_env({**MINIMAL, **tls, "GRADER_TLS_CA": ""})
