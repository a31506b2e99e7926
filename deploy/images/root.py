"""Makes the root file system of an image: an interpreter, its packages, and what these load.

Runs while an image is built, with the Python of the base image and nothing else:

    python3 root.py VENV OUT [--without-bytecode]

VENV is moved to the same path below OUT. Beside it come the interpreter and its standard library,
the shared libraries that any of them loads, certificates, and a user. What Debian's package manager
knows of the libraries goes to ``var/lib/dpkg/status.d``, where scanners look in images without it.
"""

from __future__ import annotations

import compileall
import os
import re
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Iterable, Iterator
from pathlib import Path
from py_compile import PycInvalidationMode

USER = 65532
#: Where an image has the code of the project, in a layer of its own.
CODE = "/opt/general-level"
#: Parts of the standard library that a service has no use for; several of them run programs.
NO_STDLIB = ("dist-packages", "ensurepip", "idlelib", "lib2to3", "pydoc_data", "site-packages",
             "test", "tkinter", "turtledemo", "venv", "__pycache__", "LICENSE.txt")  # fmt: skip
#: Parts of packages that only their developers use: tests, headers, build files, programs.
NO_PACKAGE = ("tests", "test", "include", "cmake", "__pycache__")
CERTIFICATES = "etc/ssl/certs/ca-certificates.crt"
#: Loaded by name when a host name is resolved, so that no header of a file tells.
RESOLVERS = ("libnss_dns.so.2", "libnss_files.so.2", "libresolv.so.2")
_ELF = b"\x7fELF"
_LIBRARY = re.compile(r"(?:=> )?(/\S+) \(0x")


def main(venv: Path, out: Path, *, bytecode: bool) -> None:
    for name in ("bin", "lib", "lib64", "sbin"):
        (out / "usr" / name).mkdir(parents=True, exist_ok=True)
        (out / name).symlink_to(f"usr/{name}")
    target = out / venv.relative_to("/")
    target.parent.mkdir(parents=True, exist_ok=True)
    venv.rename(target)
    strip_venv(target)
    interpreter = Path(sys.executable).resolve()
    copy(interpreter, out)
    stdlib = Path(sysconfig.get_path("stdlib"))
    shutil.copytree(stdlib, out / stdlib.relative_to("/"), symlinks=True, ignore=unwanted_stdlib)
    (target / "bin" / "python").unlink(missing_ok=True)
    (target / "bin" / "python").symlink_to(interpreter)
    programs = [interpreter, *elf_files(target), *elf_files(out / stdlib.relative_to("/"))]
    libraries = {found for found in needed(programs) if not found.is_relative_to(out)}
    libraries |= {Path(found) for found in cached(RESOLVERS)}
    for library in sorted(libraries):
        copy(library, out)
    os_packages({*libraries, interpreter}, out)
    write_etc(out)
    subprocess.run(["ldconfig", "-r", str(out)], check=True)
    for folder in (target, out / stdlib.relative_to("/")) if bytecode else ():
        # Nobody can write it later; by hashes, because the times of files differ between builds.
        compileall.compile_dir(
            folder,
            quiet=2,
            workers=os.cpu_count() or 1,
            stripdir=str(out),
            invalidation_mode=PycInvalidationMode.UNCHECKED_HASH,
        )


def strip_venv(target: Path) -> None:
    """Leaves packages with their metadata, and adds where our code is to the path."""
    for packages in target.glob("lib/python3*/site-packages"):
        (packages / "general-level.pth").write_text(f"{CODE}\n")
    # Programs, and the compiled form of those that are scripts of Python.
    shutil.rmtree(target / "bin")
    (target / "bin").mkdir()
    shutil.rmtree(target / "include", ignore_errors=True)
    shutil.rmtree(target / "share", ignore_errors=True)
    for folder, names, files in os.walk(target):
        for name in [name for name in names if name in NO_PACKAGE]:
            shutil.rmtree(Path(folder, name))
            names.remove(name)
        for name in files:
            # Not stubs: packages that load their parts late read them.
            if name.endswith((".a", ".pyx", ".pxd", ".c", ".h", ".hpp", ".cuh")):
                Path(folder, name).unlink()


def unwanted_stdlib(folder: str, names: list[str]) -> set[str]:
    at_the_top = Path(folder) == Path(sysconfig.get_path("stdlib"))
    return {
        name
        for name in names
        if name == "__pycache__"
        or (at_the_top and (name in NO_STDLIB or name.startswith("config-")))
    }


def elf_files(folder: Path) -> Iterator[Path]:
    for path in folder.rglob("*"):
        if path.is_file() and not path.is_symlink() and (".so" in path.name or not path.suffix):
            with path.open("rb") as file:
                if file.read(4) == _ELF:
                    yield path


def needed(programs: Iterable[Path]) -> set[Path]:
    """Every shared library that the loader would take for these, and for those in turn."""
    said = subprocess.run(
        ["ldd", *map(str, programs)], check=False, capture_output=True, text=True
    ).stdout
    missing = {line.split(" ")[0].strip() for line in said.splitlines() if "=> not found" in line}
    if missing:
        print("not found by any loader path:", *sorted(missing))
    return {Path(found) for found in _LIBRARY.findall(said)}


def cached(names: Iterable[str]) -> Iterator[str]:
    """Where the loader's cache has libraries of these names."""
    said = subprocess.run(["ldconfig", "-p"], check=True, capture_output=True, text=True).stdout
    for line in said.splitlines():
        words = line.split()
        if words and words[0] in names:
            yield words[-1]


def copy(path: Path, out: Path) -> None:
    """A file to the same place below ``out``; a link with all that it leads to."""
    path = path.parent.resolve() / path.name
    there = out / path.relative_to("/")
    there.parent.mkdir(parents=True, exist_ok=True)
    if there.is_symlink() or there.exists():
        return
    if path.is_symlink():
        there.symlink_to(os.readlink(path))
        copy(path.parent / os.readlink(path), out)
    else:
        shutil.copy2(path, there)


def os_packages(files: Iterable[Path], out: Path) -> None:
    """The records and licences of the Debian packages that the files come from."""
    status = out / "var/lib/dpkg/status.d"
    status.mkdir(parents=True)
    for name in sorted({name for file in files if (name := owner(file))}):
        record = subprocess.run(
            ["dpkg", "--status", name], check=True, capture_output=True, text=True
        ).stdout
        plain = name.partition(":")[0]
        (status / plain).write_text(record)
        licence = Path("/usr/share/doc", plain, "copyright")
        if licence.exists():
            copied = out / "usr/share/doc" / plain / "copyright"
            copied.parent.mkdir(parents=True)
            shutil.copy2(licence, copied)


def owner(file: Path) -> str:
    """The package of a file, empty for none; Debian lists some below /, some below /usr."""
    resolved = file.resolve()
    for path in {str(file), str(resolved), str(resolved).removeprefix("/usr")}:
        said = subprocess.run(
            ["dpkg", "--search", path], check=False, capture_output=True, text=True
        )
        if said.returncode == 0:
            return said.stdout.split(": ")[0].split(",")[0]
    return ""


def write_etc(out: Path) -> None:
    etc = out / "etc"
    etc.mkdir(exist_ok=True)
    (etc / "passwd").write_text(
        f"root:x:0:0:root:/:/nologin\nservice:x:{USER}:{USER}:service:/:/nologin\n"
    )
    (etc / "group").write_text(f"root:x:0:\nservice:x:{USER}:\n")
    (etc / "nsswitch.conf").write_text("passwd: files\ngroup: files\nhosts: files dns\n")
    if Path("/etc/ld.so.conf.d").exists():
        shutil.copy2("/etc/ld.so.conf", etc / "ld.so.conf")
        shutil.copytree("/etc/ld.so.conf.d", etc / "ld.so.conf.d")
    (out / CERTIFICATES).parent.mkdir(parents=True)
    shutil.copy2(f"/{CERTIFICATES}", out / CERTIFICATES)
    (out / "tmp").mkdir()
    (out / "tmp").chmod(0o1777)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), bytecode="--without-bytecode" not in sys.argv)
