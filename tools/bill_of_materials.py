"""What an image holds, as a CycloneDX bill of materials.

The image is asked itself: its interpreter knows the packages, and the records in
``var/lib/dpkg/status.d`` the libraries that came from Debian.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Final

import msgspec
from cyclonedx.contrib.license.factories import LicenseFactory
from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.output.json import JsonV1Dot6
from packageurl import PackageURL

#: Runs in the image, with nothing but the standard library. Debian's records are mail headers.
_QUESTION: Final = """
import email.parser, importlib.metadata, json, pathlib, platform
python = []
for found in importlib.metadata.distributions():
    said = found.metadata
    licence = said.get("License-Expression") or said.get("License") or ""
    python.append([said["Name"], found.version, licence if len(licence) < 80 else ""])
debian = []
for path in sorted(pathlib.Path("/var/lib/dpkg/status.d").iterdir()):
    record = email.parser.HeaderParser().parsestr(path.read_text())
    debian.append([record["Package"], record["Version"], record["Architecture"]])
print(json.dumps({"interpreter": platform.python_version(), "python": python, "debian": debian}))
"""


class Contents(msgspec.Struct, frozen=True):
    """What an image holds: (name, version, licence) and Debian's (name, version, architecture)."""

    interpreter: str
    python: list[tuple[str, str, str]]
    debian: list[tuple[str, str, str]]


def contents_of(run: Callable[..., str]) -> Contents:
    """Asks an image; ``run`` runs a command in it and returns what that printed."""
    return msgspec.convert(json.loads(run("python", "-c", _QUESTION)), Contents)


def bill(image: str, contents: Contents) -> str:
    """CycloneDX 1.6 as JSON. ``image`` has a tag."""
    name, _, version = image.rpartition(":")
    bom = Bom()
    image_itself = Component(name=name, version=version, type=ComponentType.CONTAINER)
    bom.metadata.component = image_itself
    bom.components.add(
        Component(
            name="cpython",
            version=contents.interpreter,
            type=ComponentType.APPLICATION,
            purl=PackageURL("generic", None, "cpython", contents.interpreter),
        )
    )
    licences = LicenseFactory()
    for package, release, licence in contents.python:
        bom.components.add(
            Component(
                name=package,
                version=release,
                type=ComponentType.LIBRARY,
                licenses=[licences.make_from_string(licence)] if licence else [],
                purl=PackageURL("pypi", None, package.lower().replace("_", "-"), release),
            )
        )
    for package, release, architecture in contents.debian:
        bom.components.add(
            Component(
                name=package,
                version=release,
                type=ComponentType.LIBRARY,
                purl=PackageURL("deb", "debian", package, release, {"arch": architecture}),
            )
        )
    bom.register_dependency(image_itself, bom.components)
    return JsonV1Dot6(bom).output_as_string(indent=1)
