"""The walls around a grader's container, as the engine has them and as they are from within."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from docker.models.containers import Container

from tests.containers.fleet_rig import NETWORK, build_image, started
from tests.support.docker_engine import DockerEngine
from tests.support.wait import eventually

#: On a machine with much other work an engine takes its time.
pytestmark = pytest.mark.timeout(600)

_MIB = 1024 * 1024

#: Run inside a grader's container, as what an intruder there would try.
PROBE = r"""
import errno, json, os, resource, socket, subprocess, sys, tempfile

TMP = tempfile.gettempdir()

def attempt(action):
    try:
        action()
    except OSError as error:
        return errno.errorcode.get(error.errno, str(error.errno))
    return "done"

def status(name):
    lines = open("/proc/self/status").read().splitlines()
    return next(line.split()[1] for line in lines if line.startswith(name + ":"))

def write(path):
    open(path, "w").write("x")

def execute():
    with open(TMP + "/program", "w") as file:
        file.write("#!/bin/true\n")
    os.chmod(TMP + "/program", 0o755)
    subprocess.run([TMP + "/program"])

def fill():
    with open(TMP + "/large", "wb") as file:
        for _ in range(64):
            file.write(bytes(2**20))

def fork():
    children = []
    try:
        for _ in range(64):
            child = os.fork()
            if child == 0:
                os.close(held[1])
                os.read(held[0], 1)
                os._exit(0)
            children.append(child)
    finally:
        os.close(held[1])
        for child in children:
            os.waitpid(child, 0)

held = os.pipe()
found = {
    "user": [os.getuid(), os.getgid()],
    "groups": os.getgroups(),
    "capabilities": [status(name) for name in ("CapEff", "CapPrm", "CapBnd", "CapAmb")],
    "no new privileges": status("NoNewPrivs"),
    "seccomp": status("Seccomp"),
    "core": resource.getrlimit(resource.RLIMIT_CORE),
    "root": attempt(lambda: write("/new")),
    "own program": attempt(lambda: write("/grader.py")),
    "key": attempt(lambda: write("/srv/keys/image.keys")),
    "execute": attempt(execute),
    "fill": attempt(fill),
    "outside": attempt(lambda: socket.create_connection(("192.0.2.1", 443), 1)),
    "name outside": attempt(lambda: socket.getaddrinfo("example.org", 443)),
    "own name": attempt(lambda: socket.getaddrinfo(os.environ["GRADER_ID"], 443)),
    "mounted key": open("/srv/keys/image.keys").read(),
    "device": attempt(lambda: os.mknod(TMP + "/device", 0o60600, os.makedev(8, 0))),
    "fork": attempt(fork),
}
print(json.dumps(found))
"""


@pytest.fixture(scope="module")
def grader(
    docker_engine: DockerEngine, base_image: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Container]:
    build_image(docker_engine)
    with started(docker_engine, tmp_path_factory.mktemp("walls"), "fleet-walls") as rig:
        rig.fleet().round()
        (container,) = rig.graders()
        eventually(lambda: b"ready" in container.logs(), 60)
        yield container


def test_the_engine_has_every_wall(grader: Container) -> None:
    host = grader.attrs["HostConfig"]
    assert host["NetworkMode"] == NETWORK
    assert host["ReadonlyRootfs"] is True
    assert host["Privileged"] is False
    assert host["CapDrop"] == ["ALL"]
    assert host["CapAdd"] is None
    assert host["SecurityOpt"] == ["no-new-privileges"]
    assert host["PidsLimit"] == 32
    assert host["Memory"] == host["MemorySwap"] == 64 * _MIB
    assert host["NanoCpus"] == 500_000_000
    assert host["IpcMode"] == "private"
    assert host["RestartPolicy"] == {"Name": "no", "MaximumRetryCount": 0}
    assert host["Tmpfs"] == {"/tmp": f"rw,noexec,nosuid,nodev,mode=1777,size={16 * _MIB}"}
    assert host["Ulimits"] == [{"Name": "core", "Hard": 0, "Soft": 0}]
    assert host["LogConfig"]["Type"] == "json-file"
    assert set(host["LogConfig"]["Config"]) == {"max-size", "max-file"}
    assert not host["PortBindings"]
    assert not host["Binds"]
    assert not host["Devices"]
    assert grader.attrs["Config"]["User"] == "65532:65532"
    assert grader.attrs["Config"]["StopSignal"] == "SIGTERM"
    assert all(mount["RW"] is False for mount in grader.attrs["Mounts"])
    assert {mount["Destination"] for mount in grader.attrs["Mounts"]} == {
        "/srv/keys/image.keys",
        "/etc/general-level/identity/identity",
        "/etc/general-level/signing-key/signing.pem",
        "/etc/general-level/token/token",
        "/srv/weights",
    }


def test_no_secret_is_in_environment_or_labels(grader: Container) -> None:
    config = grader.attrs["Config"]
    assert "hush-hush" not in json.dumps(grader.attrs)
    assert "GRADER_TOKEN_FILE=/etc/general-level/token/token" in config["Env"]
    assert not [one for one in config["Env"] if one.startswith("GRADER_TOKEN=")]
    # What a score names: the image that made it, by its digest.
    assert f"GRADER_IMAGE_DIGEST={grader.attrs['Image']}" in config["Env"]
    assert set(config["Labels"]) == {
        "general-level.fleet",
        "general-level.modality",
        "general-level.configuration",
    }


def test_the_walls_stand_from_within(grader: Container) -> None:
    # A resolver that nobody answers is asked once.
    code, said = grader.exec_run(
        ["python3", "-c", PROBE], environment={"RES_OPTIONS": "timeout:1 attempts:1"}
    )
    assert code == 0, said
    found = json.loads(said)
    # How it fails is the kernel's to say.
    assert found.pop("outside") != "done"
    assert found.pop("name outside") != "done"
    assert found == {
        "mounted key": "hush-hush",
        "user": [65532, 65532],
        "groups": [65532],
        "capabilities": ["0" * 16] * 4,
        "no new privileges": "1",
        "seccomp": "2",
        "core": [0, 0],
        "root": "EROFS",
        "own program": "EROFS",
        "key": "EROFS",
        "execute": "EACCES",
        "fill": "ENOSPC",
        "own name": "done",
        "device": "EPERM",
        "fork": "EAGAIN",
    }
