"""Settings come from RANKER_* and say which variable cannot be used."""

from __future__ import annotations

from pathlib import Path

import pytest

from services.kit.settings import SettingInvalid
from services.kit.tls import ClientTls
from services.ranker.formulas.conventions import Convention
from services.ranker.settings import Settings
from tests.support.queue_world import GraderKey


@pytest.fixture
def environ(tmp_path):
    keys = [GraderKey().public, GraderKey().public]
    file = tmp_path / "keys.txt"
    file.write_text("".join(f"{key.hex()}\n" for key in keys))
    return {"RANKER_TOKEN": "secret", "RANKER_TRUSTED_KEYS": str(file)}, tuple(keys)


def test_defaults(environ):
    variables, keys = environ
    settings = Settings.from_env(variables)
    assert settings.trusted_keys == keys
    assert (settings.gateway, settings.catalogue) == ("127.0.0.1:50052", "general-bench")
    assert (settings.references, settings.convention) == (None, Convention.GENERAL_LEVEL)
    assert "secret" not in repr(settings)
    assert settings.token.reveal() == "secret"


def test_a_certificate_comes_with_its_key_and_the_authority(environ):
    variables, _keys = environ
    assert Settings.from_env(variables).tls is None
    assert Settings.from_env(variables).health_address is None
    settings = Settings.from_env(
        variables
        | {
            "RANKER_TLS_CA": "/ca",
            "RANKER_TLS_CERTIFICATE": "/crt",
            "RANKER_TLS_PRIVATE_KEY": "/key",
            "RANKER_TLS_SERVER_NAME": "gateway-internal",
            "RANKER_HEALTH_ADDRESS": "127.0.0.1:0",
        }
    )
    assert settings.tls == ClientTls(Path("/ca"), Path("/crt"), Path("/key"), "gateway-internal")
    assert settings.health_address == "127.0.0.1:0"


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("RANKER_TLS_CERTIFICATE", "/only/one.pem"),
        ("RANKER_TLS_SERVER_NAME", "without-a-ca"),
        ("RANKER_TOKEN", ""),
        ("RANKER_TRUSTED_KEYS", ""),
        ("RANKER_CONVENTION", "mine"),
        ("RANKER_METRICS_PORT", "70000"),
    ],
)
def test_what_cannot_be_used_is_named(environ, variable, value):
    variables, _keys = environ
    with pytest.raises(SettingInvalid) as refused:
        Settings.from_env(variables | {variable: value})
    assert refused.value.metadata["variable"] == variable
