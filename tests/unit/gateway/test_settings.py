"""A gateway's settings: what must be set, what is assumed, what is refused."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from services.gateway.settings import Settings
from services.kit.settings import SettingInvalid
from services.kit.tls import TlsFiles

NEEDED = {
    "GATEWAY_DATABASE_URL": "sqlite:////var/lib/gateway/gateway.db",
    "GATEWAY_OBJECTS_URL": "file:///var/lib/gateway/objects",
}


def read(**values: str) -> Settings:
    return Settings.from_env({**NEEDED, **{f"GATEWAY_{k}": v for k, v in values.items()}})


def test_the_defaults_listen_on_this_machine_only():
    settings = read()
    assert settings.database_url == NEEDED["GATEWAY_DATABASE_URL"]
    assert settings.objects_url == NEEDED["GATEWAY_OBJECTS_URL"]
    assert settings.catalogue == "general-bench"
    for address in (settings.public_address, settings.internal_address):
        assert address.startswith("127.0.0.1:")
    assert settings.metrics_host == "127.0.0.1"
    assert settings.tls is None
    assert settings.trusted_keys is None
    assert settings.lease == timedelta(seconds=30)
    # No archive goes unless somebody says so.
    assert settings.archives_kept is None


@pytest.mark.parametrize("name", sorted(NEEDED))
def test_what_has_no_default_must_be_set(name):
    with pytest.raises(SettingInvalid) as caught:
        Settings.from_env({key: value for key, value in NEEDED.items() if key != name})
    assert caught.value.metadata["variable"] == name


def test_all_that_can_be_set_is_read():
    settings = read(
        CATALOGUE="sample",
        PUBLIC_ADDRESS="0.0.0.0:1",
        INTERNAL_ADDRESS="10.0.0.1:2",
        METRICS_PORT="3",
        METRICS_HOST="0.0.0.0",
        TRUSTED_KEYS="/keys",
        PUBLIC_FOLDER="/public",
        TLS_CERTIFICATE="/c.pem",
        TLS_PRIVATE_KEY="/k.pem",
        LEASE_SECONDS="2.5",
        JOB_SECONDS="60",
        DRAIN_SECONDS="0",
        ARCHIVE_DAYS="365",
    )
    assert settings.archives_kept == timedelta(days=365)
    assert settings.catalogue == "sample"
    assert (settings.public_address, settings.internal_address) == ("0.0.0.0:1", "10.0.0.1:2")
    assert (settings.metrics_host, settings.metrics_port) == ("0.0.0.0", 3)
    assert (settings.trusted_keys, settings.public_folder) == (Path("/keys"), Path("/public"))
    assert settings.tls is not None
    assert (settings.tls.certificate, settings.tls.private_key) == (Path("/c.pem"), Path("/k.pem"))
    assert settings.lease == timedelta(seconds=2.5)
    assert settings.job_duration == timedelta(minutes=1)
    assert settings.drain == timedelta(0)


@pytest.mark.parametrize("half", ["TLS_CERTIFICATE", "TLS_PRIVATE_KEY"])
def test_a_certificate_without_key_or_a_key_without_certificate_is_refused(half):
    with pytest.raises(SettingInvalid, match="both"):
        read(**{half: "/file.pem"})


INTERNAL = ("INTERNAL_TLS_CERTIFICATE", "INTERNAL_TLS_PRIVATE_KEY", "INTERNAL_TLS_CLIENT_CA")


def test_the_internal_port_has_three_files_or_none():
    assert read().internal_tls is None
    tls = read(**{name: f"/{name}" for name in INTERNAL}).internal_tls
    assert tls == TlsFiles(*(Path(f"/{name}") for name in INTERNAL))
    for left_out in INTERNAL:
        with pytest.raises(SettingInvalid, match="all of") as caught:
            read(**{name: "/file.pem" for name in INTERNAL if name != left_out})
        assert caught.value.metadata["variable"] == "GATEWAY_INTERNAL_TLS_CERTIFICATE"


def test_health_has_a_port_of_its_own_if_it_is_given_one():
    assert read().health_address is None
    assert read(HEALTH_ADDRESS="0.0.0.0:50053").health_address == "0.0.0.0:50053"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("LEASE_SECONDS", "0"),
        ("LEASE_SECONDS", "601"),
        ("JOB_SECONDS", "9"),
        ("DRAIN_SECONDS", "-1"),
        ("METRICS_PORT", "65536"),
        ("METRICS_PORT", "9464.5"),
        ("METRICS_PORT", "http"),
    ],
)
def test_a_value_outside_its_range_stops_the_gateway_by_name(name, value):
    with pytest.raises(SettingInvalid) as caught:
        read(**{name: value})
    assert caught.value.metadata["variable"] == f"GATEWAY_{name}"


def test_metrics_that_no_grader_serves_are_named():
    assert read().ungraded_metrics == ()
    assert read(UNGRADED_METRICS=" fid, clip-score,").ungraded_metrics == ("fid", "clip-score")


def test_stores_of_several_gateways_are_read_with_their_limits(tmp_path):
    (tmp_path / "url").write_text("postgresql://gateway:canary-11cc@db/gateway\n")
    (tmp_path / "key").write_text("canary-22dd\n")
    settings = Settings.from_env(
        {
            "GATEWAY_DATABASE_URL_FILE": str(tmp_path / "url"),
            "GATEWAY_DATABASE_CONNECTIONS": "3",
            "GATEWAY_DATABASE_LOCK_SECONDS": "4",
            "GATEWAY_OBJECTS_URL": "s3://bucket/prefix",
            "GATEWAY_OBJECTS_ENDPOINT": "https://store:9000",
            "GATEWAY_OBJECTS_ACCESS_KEY_ID": "id",
            "GATEWAY_OBJECTS_SECRET_ACCESS_KEY_FILE": str(tmp_path / "key"),
            "GATEWAY_OBJECTS_RETRY_SECONDS": "7.5",
        }
    )
    assert settings.database_url == "postgresql://gateway:canary-11cc@db/gateway"
    assert (settings.database.connections, settings.database.lock_seconds) == (3, 4)
    assert settings.s3.endpoint == "https://store:9000"
    assert settings.s3.region is None
    assert settings.s3.retry_seconds == 7.5
    assert settings.s3.secret_access_key is not None
    assert settings.s3.secret_access_key.reveal() == "canary-22dd"
    assert "canary" not in repr(settings)


def test_half_a_key_of_s3_is_refused():
    with pytest.raises(SettingInvalid) as caught:
        read(OBJECTS_ACCESS_KEY_ID="id")
    assert caught.value.metadata["variable"] == "GATEWAY_OBJECTS_ACCESS_KEY_ID"
