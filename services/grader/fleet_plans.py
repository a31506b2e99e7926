"""What the graders of each modality are made of: image, settings, files, limits.

What differs between modalities may be told for one: ``FLEET_CPUS`` is for all that
``FLEET_CPUS_VIDEO`` is not for. ``FLEET_GRADER_BOXES`` is ``GRADER_BOXES`` of each grader. Secrets
are files of the engine's machine; the environment says where they are and never what.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Final

from general_level.catalogue.model import Modality
from services.grader.key_files import KEY_FILE_NAMES
from services.grader.settings import GraderSettings, version
from services.kit.settings import Environment, SettingInvalid

#: Where a grader's telemetry is, inside its network.
METRICS_PORT: Final = 9466
_MIB: Final = 1024 * 1024
#: The worker and the interpreter of a grader, beside its boxes and its scorer.
_OWN_MIB: Final = 1024

#: What graders in containers are told where the operator says nothing else.
_GRADER_DEFAULTS: Final[Mapping[str, str]] = {
    "BOXES": "2",
    "BOX_PARTS_MIB": "960",
    "DRAIN_SECONDS": "60",
    "PIPELINE_DEPTH": "2",
}
#: What the fleet itself tells them.
_OURS: Final = frozenset(
    {
        *("CATALOGUE_FOLDER", "DEVICE", "GATEWAY", "HEALTH_ADDRESS", "ID", "IDENTITY"),
        *("IMAGE_DIGEST", "KEYS", "METRICS_HOST", "METRICS_PORT", "MODALITY", "SIGNING_KEY"),
        *("TLS_CA", "TLS_CERTIFICATE", "TLS_PRIVATE_KEY", "TOKEN", "TOKEN_FILE"),
        *("WEIGHTS", "WEIGHTS_PINS"),
    }
)

#: Inside a container, as `deploy/k8s` has it.
_ETC: Final = "/etc/general-level"
_VOLUME: Final = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]*")


@dataclass(frozen=True, slots=True)
class Mount:
    """A file or folder of the engine's machine or a volume's name, and where a grader reads it."""

    source: str
    target: str


@dataclass(frozen=True, slots=True)
class GraderPlan:
    """The containers of one modality. ``image`` is a name or a digest; ``runtime`` the engine's own
    if None; ``devices`` are ids of cards, of which each grader gets one; bytes and cores are limits
    of one container. ``environment`` holds no secret. ``needed_bytes`` is what its parts may take.
    """

    modality: Modality
    image: str
    command: tuple[str, ...]
    environment: Mapping[str, str]
    mounts: tuple[Mount, ...]
    runtime: str | None
    devices: tuple[str, ...]
    memory_bytes: int
    needed_bytes: int
    tmp_bytes: int
    cpus: float
    pids: int


def invalid(env: Environment, name: str, problem: str) -> SettingInvalid:
    """The error that names a variable and says what is wrong with it."""
    full = env.full_name(name)
    return SettingInvalid(f"{full} {problem}", variable=full, problem=problem.rstrip("."))


def own_name(env: Environment, name: str, modality: Modality) -> str:
    """The variable that tells of this modality: its own, or that of all."""
    own = f"{name}_{modality.value.upper()}"
    return own if env.optional_text(own) is not None else name


def grader_plan(env: Environment, modality: Modality, told: Mapping[str, str]) -> GraderPlan:
    """The containers of one modality; ``told`` is what all graders are told. SettingInvalid."""

    def own(name: str) -> str:
        return own_name(env, name, modality)

    devices = env.words(own("DEVICES"))
    mounts, places = _mounts(env, modality)
    environment = {
        **told,
        **places,
        "GRADER_MODALITY": modality.value,
        "GRADER_GATEWAY": env.text("GATEWAY", "gateway:50052"),
        "GRADER_METRICS_HOST": "0.0.0.0",  # noqa: S104 - of its own network, which is internal
        "GRADER_METRICS_PORT": str(METRICS_PORT),
        **({"GRADER_DEVICE": "cuda"} if devices else {}),
    }
    grader = _as_grader(environment)
    tmp = env.integer(own("TMP_MIB"), 2048, low=16, high=2**20)
    needed = (
        grader.boxes * grader.box_limits.memory_bytes + grader.scorer_memory_bytes
    ) // _MIB + _OWN_MIB
    memory = env.integer(own("MEMORY_MIB"), needed + tmp, low=64, high=2**24)
    image = env.text(own("IMAGES"), f"general-level/grader-{{modality}}:{version()}")
    return GraderPlan(
        modality=modality,
        image=_filled(env, own("IMAGES"), image, modality),
        command=tuple(shlex.split(env.text("COMMAND", "python -m services.grader serve"))),
        environment=environment,
        mounts=mounts,
        runtime=env.optional_text(own("RUNTIME")),
        devices=devices,
        memory_bytes=memory * _MIB,
        # A tmpfs counts as memory of its container.
        needed_bytes=(needed + tmp) * _MIB,
        tmp_bytes=tmp * _MIB,
        cpus=env.number(own("CPUS"), 4.0, low=0.01, high=1024.0),
        pids=env.integer(own("PIDS"), 512, low=16, high=1_000_000),
    )


def _mounts(env: Environment, modality: Modality) -> tuple[tuple[Mount, ...], dict[str, str]]:
    """What a grader reads of the machine, and the settings that tell it where."""
    mounts: list[Mount] = []
    places: dict[str, str] = {}

    def mount(
        name: str, default: str | None, target: str, told: Mapping[str, str], volume: bool = False
    ) -> None:
        own = own_name(env, name, modality)
        source = env.optional_text(own) or default
        if source is None:
            return
        filled = _filled(env, own, source, modality)
        if not PurePosixPath(filled).is_absolute() and not (volume and _VOLUME.fullmatch(filled)):
            also = " or the name of a volume" if volume else ""
            raise invalid(env, own, f"must be an absolute path of the engine's machine{also}.")
        mounts.append(Mount(filled, target))
        places.update({f"GRADER_{key}": place for key, place in told.items()})

    bundle = f"/srv/keys/{KEY_FILE_NAMES[modality]}"
    mount("KEYS_FOLDER", None, "/srv/keys", {"KEYS": bundle}, volume=True)
    if not mounts:
        mount("KEYS", "/srv/general-level/sealed/keys/{stem}.keys", bundle, {"KEYS": bundle})
    secrets = {
        "IDENTITY": ("{modality}.identity", f"{_ETC}/identity/identity"),
        "SIGNING_KEY": ("{modality}.signing.pem", f"{_ETC}/signing-key/signing.pem"),
        "TOKEN_FILE": ("{modality}.token", f"{_ETC}/token/token"),
    }
    if env.optional_text(own_name(env, "SECRETS", modality)) is not None:
        inside = {name: target for name, (_, target) in secrets.items()}
        mount("SECRETS", None, _ETC, inside, volume=True)
    else:
        for name, (default, target) in secrets.items():
            mount(name, f"/srv/general-level/secrets/{default}", target, {name: target})
    tls = {"TLS_CA": "ca.crt", "TLS_CERTIFICATE": "tls.crt", "TLS_PRIVATE_KEY": "tls.key"}
    mount(
        "TLS", None, "/srv/tls", {key: f"/srv/tls/{file}" for key, file in tls.items()}, volume=True
    )
    mount("WEIGHTS", None, "/srv/weights", {"WEIGHTS": "/srv/weights"}, volume=True)
    pins = "/srv/weights-pins/weights.sha256"
    mount("WEIGHTS_PINS", None, pins, {"WEIGHTS_PINS": pins})
    mount("CATALOGUE_FOLDER", None, "/srv/catalogue", {"CATALOGUE_FOLDER": "/srv/catalogue"})
    return tuple(mounts), places


def _filled(env: Environment, name: str, template: str, modality: Modality) -> str:
    """A template with {modality} (as ``3d``) or {stem} (as ``three_d``) filled in."""
    stem = KEY_FILE_NAMES[modality].removesuffix(".keys")
    filled = template.replace("{modality}", modality.value).replace("{stem}", stem)
    if "{" in filled or "}" in filled:
        raise invalid(env, name, "may have {modality} and {stem} in braces and nothing else.")
    return filled


def grader_environment(env: Environment, environ: Mapping[str, str]) -> dict[str, str]:
    """What ``FLEET_GRADER_…`` tells all graders, by the names that they read."""
    told = {f"GRADER_{key}": value for key, value in _GRADER_DEFAULTS.items()}
    start = env.full_name("GRADER_")
    for variable, value in environ.items():
        if not variable.startswith(start) or not value:
            continue
        name = variable.removeprefix(start)
        if name in _OURS:
            raise invalid(
                env, f"GRADER_{name}", "is for the fleet to say; a secret comes from a file."
            )
        told[f"GRADER_{name}"] = value
    unread = set(told) - _read_by_graders(told)
    if unread:
        name = min(unread).removeprefix("GRADER_")
        raise invalid(env, f"GRADER_{name}", "is a setting that no grader reads.")
    return told


class _Recorded(dict[str, str]):
    """Settings that remember which of them were asked for."""

    def __init__(self, content: Mapping[str, str]) -> None:
        super().__init__(content)
        self.asked: set[str] = set()

    def get(self, key: str, default: object = None) -> object:  # type: ignore[override]
        self.asked.add(key)
        return super().get(key, default)


#: Stands for what is in files and for what differs between modalities.
_STAND_INS: Final = {
    "GRADER_MODALITY": Modality.IMAGE.value,
    "GRADER_TOKEN": "in a file",
    "GRADER_KEYS": "/keys",
    "GRADER_IDENTITY": "/identity",
    "GRADER_SIGNING_KEY": "/signing-key",
    # With an authority, so that the server's name may be told.
    "GRADER_TLS_CA": "/ca",
}


def _read_by_graders(told: Mapping[str, str]) -> set[str]:
    recorded = _Recorded({**told, **_STAND_INS})
    GraderSettings.from_env(recorded)
    return recorded.asked


def _as_grader(environment: Mapping[str, str]) -> GraderSettings:
    """The settings as a grader will read them, but for its token."""
    seen = {key: value for key, value in environment.items() if key != "GRADER_TOKEN_FILE"}
    return GraderSettings.from_env({**seen, "GRADER_TOKEN": _STAND_INS["GRADER_TOKEN"]})


def grader_drain_seconds(told: Mapping[str, str]) -> float:
    """What a grader gives its running jobs when it is asked to end."""
    return GraderSettings.from_env({**told, **_STAND_INS}).drain_seconds
