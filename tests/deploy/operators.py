"""Secrets and settings that are not in the manifests: who makes them, and with which keys.

Three make them: the kustomization of ``samples/secrets`` over an operator's key files,
cert-manager, and the commands of the guide.
"""

from __future__ import annotations

import functools
import re
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from click.testing import CliRunner

from general_level.catalogue import Modality
from services.grader.__main__ import main as grader
from tests.deploy.rendering import K8S, ROOT, Object, name_of, of_kind, render

GUIDE: Final = ROOT / "docs" / "operators" / "kubernetes.md"
MODALITIES: Final = ("image", "video", "audio", "3d", "language")
#: What cert-manager writes into the Secret of a certificate.
CERTIFICATE_KEYS: Final = frozenset({"tls.crt", "tls.key", "ca.crt"})
_MADE_BY_HAND: Final = re.compile(
    r"create (secret generic|secret tls|configmap) ([\w$-]+)((?:\s+\\?\s*--[\w-]+=\S+)+)"
)
_KEY: Final = re.compile(r"--from-(?:literal|file)=([\w.-]+)=")
assert {modality.value for modality in Modality} == set(MODALITIES)


def make_keys(folder: Path) -> None:
    """What the guide has an operator do: identities, signing keys, the file of trusted keys."""
    trusted = []
    for modality in MODALITIES:
        _keygen(folder / f"{modality}.identity")
        trusted.append(_keygen(folder / f"{modality}.signing.pem", "--signing"))
    (folder / "trusted-keys.txt").write_text("\n".join(trusted) + "\n")


def _keygen(out: Path, *options: str) -> str:
    """Makes one key; the public half, as the command prints it."""
    done = CliRunner().invoke(grader, ["keygen", *options, "--out", str(out)])
    assert done.exit_code == 0, done.output
    return done.stdout.splitlines()[0]


@functools.cache
def sample_secrets() -> tuple[Object, ...]:
    """``samples/secrets`` over freshly made keys."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        make_keys(folder)
        shutil.copy(K8S / "samples" / "secrets" / "kustomization.yaml", folder)
        return render(folder)


@functools.cache
def made_by_hand() -> dict[tuple[str, str], frozenset[str]]:
    """(kind, name) and keys of what the guide's commands create, its loops unrolled."""
    found: dict[tuple[str, str], frozenset[str]] = {}
    for what, name, options in _MADE_BY_HAND.findall(GUIDE.read_text()):
        kind = "ConfigMap" if what == "configmap" else "Secret"
        keys = frozenset(_KEY.findall(options))
        if what == "secret tls":
            keys = frozenset({"tls.crt", "tls.key"})
        for modality in MODALITIES if "$modality" in name else ("",):
            found[kind, name.replace("$modality", modality)] = keys
    return found


def keys_of(objects: Sequence[Object]) -> dict[tuple[str, str], frozenset[str]]:
    """(kind, name) → keys of all Secrets and ConfigMaps that there are once a set is applied."""
    found = dict(made_by_hand())
    for certificate in of_kind(objects, "Certificate"):
        found["Secret", certificate["spec"]["secretName"]] = CERTIFICATE_KEYS
    for made in of_kind([*objects, *sample_secrets()], "ConfigMap", "Secret"):
        found[made["kind"], name_of(made)] = frozenset(made.get("data", {}))
    return found
