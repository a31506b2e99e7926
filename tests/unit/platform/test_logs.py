"""A log is rotated in place, and the newest files are kept."""

from __future__ import annotations

from pathlib import Path

from services.platform.logs import rotate


def test_a_log_below_its_bound_is_left_alone(tmp_path: Path) -> None:
    log = tmp_path / "a.log"
    assert not rotate(log, 3)
    log.write_bytes(b"12")
    assert not rotate(log, 3)
    assert [path.name for path in tmp_path.iterdir()] == ["a.log"]


def test_the_newest_files_are_kept_in_order_and_an_open_writer_goes_on(tmp_path: Path) -> None:
    log = tmp_path / "a.log"
    with log.open("ab", buffering=0) as writer:
        for number in range(1, 6):
            writer.write(b"%d" % number * 3)
            assert rotate(log, 3, kept=2)
        writer.write(b"6")
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {
        "a.log": b"6",
        "a.log.1": b"555",
        "a.log.2": b"444",
    }
