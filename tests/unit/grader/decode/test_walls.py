"""Landlock rule sets and the seccomp program, as the kernel will read them."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest

from services.grader.decode import landlock, seccomp

ALLOW, REFUSE, KILL = 0x7FFF0000, 0x00050001, 0x80000000
X86_64, AARCH64 = 0xC000003E, 0xC00000B7
PID = 4711


@pytest.mark.parametrize(
    ("version", "words"),
    [
        (1, (0x1FFF,)),
        (2, (0x3FFF,)),
        (3, (0x7FFF,)),
        (4, (0x7FFF, 3)),
        (5, (0xFFFF, 3)),
        (6, (0xFFFF, 3, 3)),
        (7, (0xFFFF, 3, 3)),
        (99, (0xFFFF, 3, 3)),
    ],
)
def test_a_rule_set_names_the_rights_that_its_kernel_knows(
    version: int, words: tuple[int, ...]
) -> None:
    assert landlock.ruleset(version) == struct.pack(f"={len(words)}Q", *words)


def test_a_kernel_without_landlock_is_an_error() -> None:
    with pytest.raises(OSError, match="landlock"):
        landlock.ruleset(0)


def verdict(program: bytes, architecture: int, number: int, argument: int = 0) -> int:
    """Runs the filter over one system call, as the kernel would."""
    data = struct.pack("=IIQQ", number, architecture, 0, argument)
    steps = [struct.unpack_from("=HBBI", program, at) for at in range(0, len(program), 8)]
    position = accumulator = 0
    while True:
        code, if_true, if_false, value = steps[position]
        position += 1
        if code == 0x20:
            (accumulator,) = struct.unpack_from("=I", data, value)
        elif code == 0x15:
            position += if_true if accumulator == value else if_false
        else:
            assert code == 0x06
            return int(value)


@pytest.mark.parametrize(
    ("machine", "architecture", "read", "allowed_last", "refused"),
    [
        # openat, socket, clone, execve, ptrace, fork, kill, mount, clone3, and one past the table.
        ("x86_64", X86_64, 0, 219, [257, 41, 56, 59, 101, 57, 62, 165, 435, 9999]),
        ("aarch64", AARCH64, 63, 128, [56, 198, 220, 221, 117, 129, 40, 435, 9999]),
    ],
)
def test_the_filter_lets_the_listed_calls_through_and_no_other(
    machine: str, architecture: int, read: int, allowed_last: int, refused: list[int]
) -> None:
    program = seccomp.program(machine, PID)
    assert verdict(program, architecture, read) == ALLOW
    assert verdict(program, architecture, allowed_last) == ALLOW
    for number in refused:
        assert verdict(program, architecture, number) == REFUSE
    other = AARCH64 if architecture == X86_64 else X86_64
    assert verdict(program, other, read) == KILL
    # The 32-bit convention of x86_64 marks its numbers with this bit.
    assert verdict(program, architecture, read | 0x40000000) == REFUSE
    allowed = [n for n in range(1000) if verdict(program, architecture, n) == ALLOW]
    assert len(allowed) == len(seccomp.ALLOWED_NAMES) - 1


@pytest.mark.parametrize(("machine", "number"), [("x86_64", 234), ("aarch64", 131)])
def test_a_box_may_signal_itself_only(machine: str, number: int) -> None:
    architecture = {"x86_64": X86_64, "aarch64": AARCH64}[machine]
    program = seccomp.program(machine, PID)
    assert verdict(program, architecture, number, PID) == ALLOW
    assert verdict(program, architecture, number, PID + 1) == REFUSE


def test_an_unknown_machine_has_no_filter() -> None:
    with pytest.raises(OSError, match="riscv64"):
        seccomp.program("riscv64", PID)


HEADERS = Path("/usr/include/x86_64-linux-gnu/asm/unistd_64.h")


@pytest.mark.skipif(not HEADERS.exists(), reason="no kernel headers here")
def test_the_numbers_are_those_of_the_kernel_headers() -> None:
    defined = dict(
        line.split()[1:3]
        for line in HEADERS.read_text().splitlines()
        if line.startswith("#define __NR_")
    )
    program = seccomp.program("x86_64", PID)
    for name in seccomp.ALLOWED_NAMES:
        assert verdict(program, X86_64, int(defined[f"__NR_{name}"]), PID) == ALLOW
