"""What somebody would try who got into a grader; run in its container, with nothing but Python.

Prints what came of each attempt: the name of the error, or what was reached.
"""

import contextlib
import ctypes
import errno
import json
import os
import socket
import sys

_STORES, _OUTSIDE = sys.argv[1:]
_SECONDS = 5.0


def attempt(action):
    try:
        return str(action() or "done")
    except OSError as error:
        return (
            errno.errorcode.get(error.errno, "refused")
            if error.errno and error.errno > 0
            else "refused"
        )


def status(field):
    with open("/proc/self/status") as file:
        return next(line.split()[1] for line in file if line.startswith(f"{field}:"))


def write(path):
    with open(path, "w") as file:
        file.write("x")


def run_from_tmp():
    with open("/tmp/program", "w") as file:
        file.write("#!/opt/venv/bin/python\n")
    os.chmod("/tmp/program", 0o700)
    process = os.fork()
    if process == 0:
        try:
            os.execv("/tmp/program", ["/tmp/program"])
        except OSError as error:
            os._exit(error.errno)
    code = os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
    if code:
        raise OSError(code, "exec")


def mount():
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.mount(b"none", b"/tmp", b"tmpfs", 0, None):
        raise OSError(ctypes.get_errno(), "mount")


def reach(host, port):
    with socket.create_connection((host, port), timeout=_SECONDS):
        return "reached"


def refused_or_reached(host, port):
    # A packet that is dropped and one that is refused are both no connection.
    try:
        return reach(host, port)
    except OSError:
        return "refused"


def resolve(name):
    return "resolved" if socket.getaddrinfo(name, 80) else ""


def fork_without_end():
    children = []
    try:
        while True:
            process = os.fork()
            if process == 0:
                with contextlib.suppress(BaseException):
                    os.read(gate[0], 1)
                os._exit(0)
            children.append(process)
    finally:
        os.write(gate[1], b"x" * len(children))
        for process in children:
            os.waitpid(process, 0)


gate = os.pipe()
print(
    json.dumps(
        {
            "uid": str(os.getuid()),
            "capabilities": str(
                sum(int(status(f"Cap{kind}"), 16) for kind in ("Inh", "Prm", "Eff", "Bnd", "Amb"))
            ),
            "no new privileges": status("NoNewPrivs"),
            "seccomp": status("Seccomp"),
            "write to the root file system": attempt(lambda: write("/x")),
            "write to its keys": attempt(lambda: write("/srv/keys/x")),
            "write to its own code": attempt(
                lambda: write("/opt/general-level/services/__init__.py")
            ),
            "run a program from /tmp": attempt(run_from_tmp),
            "become root": attempt(lambda: os.setuid(0)),
            "make a device": attempt(lambda: os.mknod("/tmp/sda", 0o60600, os.makedev(8, 0))),
            "mount": attempt(mount),
            "read the engine's memory": attempt(lambda: os.stat("/dev/mem") and "seen"),
            "open a raw socket": attempt(lambda: socket.socket(socket.AF_INET, socket.SOCK_RAW, 1)),
            "resolve a public name": attempt(lambda: resolve("example.org")),
            "resolve the database": attempt(lambda: resolve("database")),
            "reach the network of the database": refused_or_reached(_STORES, 50052),
            "reach the network with a way out": refused_or_reached(_OUTSIDE, 50052),
            "reach the gateway": attempt(lambda: reach("gateway", 50052)),
            "fork without end": attempt(fork_without_end),
            "run a shell": attempt(lambda: os.execv("/bin/sh", ["sh"])),
        }
    )
)
