"""What an operator tells a fleet, and what its graders are told of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from general_level.catalogue.model import Modality
from services.grader.fleet_containers import container_arguments
from services.grader.fleet_settings import FleetSettings
from services.kit.settings import SettingInvalid


def test_nothing_has_to_be_told() -> None:
    settings = FleetSettings.from_env({})
    assert set(settings.plans) == set(Modality)
    assert sum(limits.floor for limits in settings.policy.limits.values()) == 5
    plan = settings.plans[Modality.THREE_D]
    assert plan.image.startswith("general-level/grader-3d:")
    assert ("/srv/general-level/sealed/keys/three_d.keys", "/srv/keys/three_d.keys") in [
        (mount.source, mount.target) for mount in plan.mounts
    ]
    # Two boxes, the scorer, the worker and what lies in /tmp.
    assert plan.memory_bytes == plan.needed_bytes == 15 * 1024**3
    # A grader's own drain, its last call, and some more.
    assert settings.drain_seconds == 90
    assert settings.seccomp is None


def test_one_modality_may_differ_from_the_others() -> None:
    settings = FleetSettings.from_env(
        {
            "FLEET_CEILING": "4",
            "FLEET_CEILING_3D": "1",
            "FLEET_IMAGES_VIDEO": "registry.example/grader-{modality}-cuda@sha256:00",
            "FLEET_DEVICES_VIDEO": "0,1",
            "FLEET_RUNTIME_LANGUAGE": "runsc",
        }
    )
    assert settings.policy.limits[Modality.THREE_D].ceiling == 1
    assert settings.policy.limits[Modality.AUDIO].ceiling == 4
    video = settings.plans[Modality.VIDEO]
    assert video.image == "registry.example/grader-video-cuda@sha256:00"
    assert video.devices == ("0", "1")
    assert video.environment["GRADER_DEVICE"] == "cuda"
    assert "GRADER_DEVICE" not in settings.plans[Modality.IMAGE].environment
    assert settings.plans[Modality.LANGUAGE].runtime == "runsc"
    assert video.runtime is None


def test_graders_are_told_what_they_read_and_where_their_files_are() -> None:
    settings = FleetSettings.from_env(
        {
            "FLEET_GRADER_BOXES": "3",
            "FLEET_GRADER_TLS_SERVER_NAME": "gateway-internal",
            "FLEET_TLS": "/srv/tls/{modality}",
            "FLEET_WEIGHTS": "/srv/w",
            "FLEET_WEIGHTS_PINS": "/srv/w.sha256",
            "FLEET_GATEWAY": "gateway:1",
        }
    )
    told = settings.plans[Modality.IMAGE].environment
    assert told["GRADER_BOXES"] == "3"
    assert told["GRADER_GATEWAY"] == "gateway:1"
    assert told["GRADER_TOKEN_FILE"] == "/etc/general-level/token/token"
    mounted = {mount.target: mount.source for mount in settings.plans[Modality.IMAGE].mounts}
    for name in ("KEYS", "IDENTITY", "SIGNING_KEY", "TOKEN_FILE", "WEIGHTS", "WEIGHTS_PINS"):
        assert told[f"GRADER_{name}"] in mounted, name
    assert mounted["/srv/tls"] == "/srv/tls/image"
    assert told["GRADER_TLS_PRIVATE_KEY"] == "/srv/tls/tls.key"


def test_secrets_and_keys_may_lie_in_volumes() -> None:
    settings = FleetSettings.from_env(
        {"FLEET_SECRETS": "platform_grader-{modality}", "FLEET_KEYS_FOLDER": "platform_keys-{stem}"}
    )
    plan = settings.plans[Modality.THREE_D]
    assert [(mount.source, mount.target) for mount in plan.mounts] == [
        ("platform_keys-three_d", "/srv/keys"),
        ("platform_grader-3d", "/etc/general-level"),
    ]
    assert plan.environment["GRADER_KEYS"] == "/srv/keys/three_d.keys"
    assert plan.environment["GRADER_SIGNING_KEY"] == "/etc/general-level/signing-key/signing.pem"
    made_of = container_arguments(settings, plan, "sha256:1", "sha256:1")
    assert {mount["Type"] for mount in made_of["host_config"]["mounts"]} == {"volume"}
    assert all(mount["ReadOnly"] for mount in made_of["host_config"]["mounts"])


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("FLEET_GRADER_TOKEN", "hush-hush"),  # a secret comes from a file
        ("FLEET_GRADER_KEYS", "/keys"),
        ("FLEET_GRADER_BOXS", "3"),  # no grader reads it
        ("FLEET_GRADER_DRAIN_SECONDS", "80"),  # longer than the containers' grace
        ("FLEET_DRAIN_SECONDS", "74"),
        ("FLEET_FLOOR", "3"),  # above the ceiling
        ("FLEET_TOTAL", "4"),  # below the floors of five modalities
        ("FLEET_MODALITIES", "image,smell"),
        ("FLEET_GATEWAY_TELEMETRY", "ftp://gateway/metrics"),
        ("FLEET_KEYS", "keys/{stem}.keys"),
        ("FLEET_IMAGES", "grader-{kind}"),
        ("FLEET_NAME", "a/b"),
        ("FLEET_SECCOMP", "/nowhere/profile.json"),
        ("FLEET_AT_END", "explode"),
        ("FLEET_CPUS", "0"),
    ],
)
def test_what_cannot_be_used_is_named_and_no_value_is_told(variable: str, value: str) -> None:
    given = {variable: value}
    if variable == "FLEET_GRADER_DRAIN_SECONDS":
        given["FLEET_DRAIN_SECONDS"], variable = "90", "FLEET_DRAIN_SECONDS"
    with pytest.raises(SettingInvalid) as caught:
        FleetSettings.from_env(given)
    assert caught.value.metadata["variable"] == variable
    assert "hush-hush" not in str(caught.value)


def test_a_profile_and_cards_are_the_engines_to_enforce(tmp_path: Path) -> None:
    profile = tmp_path / "profile.json"
    profile.write_text('{"defaultAction": "SCMP_ACT_ERRNO"}')
    settings = FleetSettings.from_env({"FLEET_SECCOMP": str(profile)})
    made_of = container_arguments(
        settings, settings.plans[Modality.IMAGE], "sha256:1", "r@sha256:2"
    )
    assert made_of["host_config"]["security_opt"] == [
        "no-new-privileges",
        'seccomp={"defaultAction": "SCMP_ACT_ERRNO"}',
    ]
    assert made_of["image"] == "sha256:1"
    assert made_of["environment"]["GRADER_IMAGE_DIGEST"] == "r@sha256:2"
