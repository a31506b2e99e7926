"""What the guide has an operator type does what it says, as far as no cluster is needed."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
import tarfile
from io import BytesIO
from pathlib import Path
from typing import Final

import pytest
from click.testing import CliRunner

from general_level.catalogue import Modality
from services.gateway.__main__ import main as gateway
from services.platform.home import module_name
from tests.deploy.operators import GUIDE, made_by_hand, sample_secrets
from tests.deploy.rendering import (
    K8S,
    OVERLAYS,
    ROOT,
    kustomization_of,
    name_of,
    objects_of,
    render,
)
from tests.deploy.workloads import environment, workloads

_UNPACK: Final = re.compile(r"^UNPACK='([^']+)'$", re.MULTILINE)
_IN_A_GATEWAY: Final = re.compile(
    r"kubectl exec deploy/gateway -- python -m services\.gateway (.+)"
)
_BUNDLES: Final = re.compile(r"for bundle in ([\w ]+); do")


def archive(folder: Path, *members: str) -> bytes:
    """What ``tar -C FOLDER -cf - MEMBER…`` writes."""
    buffer = BytesIO()
    with tarfile.open(fileobj=buffer, mode="w|") as made:
        for member in members:
            made.add(folder / member, member)
    return buffer.getvalue()


def test_what_is_loaded_is_where_the_pods_look_for_it(tmp_path: Path) -> None:
    sealed, claim = tmp_path / "sealed", tmp_path / "claim"
    (sealed / "public" / "boards").mkdir(parents=True)
    (sealed / "public" / "boards" / "A-full.zip").write_bytes(b"inputs")
    (sealed / "public" / "ids.json").write_bytes(b"{}")
    (sealed / "keys").mkdir()
    stems = [module_name(modality) for modality in Modality]
    for stem in stems:
        (sealed / "keys" / f"{stem}.keys").write_bytes(stem.encode())
        (sealed / "keys" / f"{stem}.keys").chmod(0o600)
    guide = GUIDE.read_text()
    (unpack,) = _UNPACK.findall(guide)
    (loop,) = _BUNDLES.findall(guide)
    assert sorted(loop.split()) == sorted(stems)
    claim.mkdir()
    sent = [(archive(sealed / "public", "."), "public")]
    sent += [(archive(sealed / "keys", f"{one}.keys"), f"keys/{one}") for one in loop.split()]
    for content, target in sent:
        subprocess.run(
            [sys.executable, "-c", unpack, claim / target], input=content, check=True, timeout=60
        )
    assert (claim / "public" / "boards" / "A-full.zip").read_bytes() == b"inputs"
    objects = objects_of("single-node")
    for workload in workloads(objects):
        given = environment(workload, objects)
        if workload.service == "grader":
            mount = workload.mount_of(given["GRADER_KEYS"])
            place = claim / mount["subPath"] / Path(given["GRADER_KEYS"]).name
            assert place.read_bytes().decode() == place.stem
            assert place.stat().st_mode & 0o777 == 0o600
            assert [path.name for path in place.parent.iterdir()] == [place.name]
        if workload.service == "gateway":
            mount = workload.mount_of(given["GATEWAY_PUBLIC_FOLDER"])
            assert (claim / mount["subPath"] / "ids.json").is_file()


def test_commands_in_a_gateway_do_what_the_guide_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GATEWAY_DATABASE_URL", f"sqlite:///{tmp_path / 'gateway.db'}")
    lines = _IN_A_GATEWAY.findall(GUIDE.read_text())
    made = []
    # The lab is made before its token, as in the guide.
    for line in lines:
        words = shlex.split(line.rstrip("|\\ "))
        done = CliRunner().invoke(gateway, [word.replace("$modality", "3d") for word in words])
        assert done.exit_code == 0, (line, done.output)
        made.append(done.stdout.strip().splitlines()[-1].partition("_")[0])
    assert made == ["glt", "glt", "glt", "lab", "glt"]


def test_the_guides_secrets_are_all_that_is_missing() -> None:
    """What production refers to and nobody in the cluster makes: no more and no less."""
    asked = set()
    objects = [found for overlay in OVERLAYS for found in objects_of(overlay)]
    objects += render(K8S / "samples" / "operations")
    for workload in workloads(objects):
        for volume in workload.volumes.values():
            if "secret" in volume:
                asked.add(("Secret", volume["secret"]["secretName"]))
            if "configMap" in volume:
                asked.add(("ConfigMap", volume["configMap"]["name"]))
        for entry in workload.container.get("env", ()):
            if "secretKeyRef" in entry.get("valueFrom", {}):
                asked.add(("Secret", entry["valueFrom"]["secretKeyRef"]["name"]))
    certified = {
        ("Secret", found["spec"]["secretName"])
        for found in objects
        if found["kind"] == "Certificate"
    }
    sampled = {(found["kind"], name_of(found)) for found in sample_secrets()}
    by_hand = set(made_by_hand())
    # In a set with cert-manager the public certificate is not made by hand.
    assert by_hand & certified == {("Secret", "gateway-tls")}
    assert asked == (certified - {("Secret", "internal-authority")}) | sampled | by_hand


def test_paths_of_the_guide_are_there() -> None:
    guide = GUIDE.read_text()
    named = set(re.findall(r"deploy/k8s/[\w./-]+\w", guide))
    within = re.findall(r"(?<!/)\b((?:samples|components)/[\w./-]+\w)", guide)
    named |= {f"deploy/k8s/{path}" for path in within}
    assert len(named) > 8
    for path in named:
        assert (ROOT / path).exists(), path
    for component in (K8S / "components").iterdir():
        assert f"`{component.name}`" in (K8S / "README.md").read_text()


def test_the_readme_says_what_overlays_are_put_together_from() -> None:
    readme = (K8S / "README.md").read_text()
    for overlay in ("dev", "single-node"):
        parts = [
            path.rpartition("/")[2]
            for path in kustomization_of(K8S / "overlays" / overlay)["components"]
        ]
        assert f"| base, {', '.join(parts)} |" in readme
