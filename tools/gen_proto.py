"""Regenerates the checked-in stubs, or proves that they are current.

python tools/gen_proto.py            write general_level/v1/
python tools/gen_proto.py --verify   exit 1 and name what differs
"""

from __future__ import annotations

import filecmp
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PROTO = ROOT / "proto"
PACKAGE = Path("general_level/v1")


def generate(target: Path) -> None:
    """Runs protoc over every proto file into ``target``; drops stubs of files without a service."""
    protos = sorted(str(path.relative_to(PROTO)) for path in (PROTO / PACKAGE).glob("*.proto"))
    bin_dir = Path(sys.executable).parent
    plugins = [
        f"--plugin=protoc-gen-{name}={bin_dir / f'protoc-gen-{name}'}"
        for name in ("mypy", "mypy_grpc")
    ]
    command = [sys.executable, "-m", "grpc_tools.protoc", f"-I{PROTO}", *plugins]
    command += [f"--{kind}_out={target}" for kind in ("python", "grpc_python", "mypy", "mypy_grpc")]
    subprocess.run([*command, *protos], check=True, cwd=ROOT)
    for stub in (target / PACKAGE).glob("*_pb2_grpc.py*"):
        name = stub.name.split("_pb2_grpc")[0]
        if "service " not in (PROTO / PACKAGE / f"{name}.proto").read_text():
            stub.unlink()
    (target / PACKAGE / "__init__.py").write_text(
        '"""Generated from proto/general_level/v1; run `make proto`."""\n'
    )


def differences(fresh: Path, current: Path) -> list[str]:
    """Names of files that are missing, stale or left over in ``current``."""
    names = {path.name for path in fresh.iterdir()}
    held = {path.name for path in current.iterdir() if path.suffix in {".py", ".pyi"}}
    stale = [name for name in names & held if not filecmp.cmp(fresh / name, current / name, False)]
    return sorted((names ^ held) | set(stale))


def main() -> int:
    with tempfile.TemporaryDirectory() as folder:
        generate(Path(folder))
        fresh = Path(folder) / PACKAGE
        current = ROOT / PACKAGE
        if "--verify" in sys.argv[1:]:
            stale = differences(fresh, current)
            for name in stale:
                print(f"{PACKAGE / name} is not current; run `make proto`", file=sys.stderr)
            return 1 if stale else 0
        shutil.rmtree(current, ignore_errors=True)
        shutil.copytree(fresh, current)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
