"""A restart from a checkpoint ranks what a fresh start ranks, and believes nothing else."""

from __future__ import annotations

import hashlib
import hmac
import json
import os
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import pytest

from general_level.v1 import ranking_pb2 as pb
from services.kit.settings import Secret
from services.ranker.checkpoint import Checkpoint, CheckpointFile
from services.ranker.formulas.conventions import Convention
from services.ranker.ledger_view import CheckpointDisagrees, LedgerView
from services.ranker.publisher import BoardComputer, LedgerState, requests
from services.ranker.verifying import Verifier
from tests.support.queue_world import CATALOGUE, GraderKey
from tests.unit.ranker_service.test_ledger_view import KEY, OTHER, Ledger

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def _ledger() -> list[pb.LedgerEntry]:
    """Good submissions, refused ones of each kind, one withdrawn, one named, some on the way."""
    ledger = Ledger()
    entries = []
    for number in range(4):
        name = f"sub-{number}"
        entries += [
            ledger.score(40.0 + number, submission=name),
            ledger.score(50.0 - number, submission=name, task=OTHER),
            ledger.completion(submission=name),
        ]
    entries += [
        ledger.score(99.0, submission="forged", key=GraderKey()),
        ledger.completion(submission="forged"),
        ledger.score(99.0, submission="other-archive"),
        ledger.completion(submission="other-archive", archive_sha256="f" * 64),
        ledger.score(61.0, submission="sub-1"),  # a later edition
        ledger.withdrawal(submission="sub-2"),
        ledger.naming(submission="sub-3"),
        ledger.score(70.0, submission="pending"),
        ledger.score(71.0, submission="pending-of-another"),
    ]
    return entries


def _later(entries: Sequence[pb.LedgerEntry]) -> list[pb.LedgerEntry]:
    """What comes after: it is about what was there before."""
    ledger = Ledger()
    for _ in entries:
        ledger.withdrawal()  # takes the positions that are used
    return [
        ledger.naming(submission="sub-0", name="Revealed later"),
        ledger.completion(submission="pending"),
        # Its statements, from before the checkpoint, are about another archive.
        ledger.completion(submission="pending-of-another", archive_sha256="d" * 64),
        ledger.score(10.0, submission="sub-3", task=OTHER),
        ledger.score(95.0, submission="sub-0", key=GraderKey()),
    ]


def _fresh(checkpoint: Checkpoint | None = None) -> LedgerView:
    return LedgerView(CATALOGUE, Verifier([KEY.public]), checkpoint)


def _published(view: LedgerView) -> list[bytes]:
    """Everything that is sent to the gateway, as bytes."""
    state = LedgerState(view.models(), view.refused_ids(), view.position, view.as_of)
    computer = BoardComputer(CATALOGUE, CATALOGUE.references().id, Convention.GENERAL_LEVEL)
    publication = computer.compute(state, set(CATALOGUE.boards), NOON)
    assert publication.boards
    return [one.SerializeToString(deterministic=True) for one in requests(publication, 0)]


@pytest.fixture
def file(tmp_path: Path) -> CheckpointFile:
    return CheckpointFile(tmp_path / "checkpoint", Secret("of the ranker"))


def _saved(file: CheckpointFile, entries: Sequence[pb.LedgerEntry]) -> LedgerView:
    view = _fresh()
    view.apply(entries)
    assert file.save(view.checkpoint())
    return view


@pytest.mark.parametrize("position", [1, 3, 13, 14, 15, 16, 17, 18, 20])
def test_a_restart_is_a_fresh_start_byte_for_byte(file: CheckpointFile, position: int) -> None:
    entries = _ledger()
    everything = [*entries, *_later(entries)]
    never = _fresh()
    said = never.apply(everything)
    assert {one.what for one in said} == {"signature", "archive"}
    _saved(file, entries[:position])

    again = _fresh(file.load(never.basis))
    assert again.unproved_position == position
    said_again = [one for entry in everything for one in again.apply([entry])]

    assert said_again == said
    assert _published(again) == _published(never)
    assert again.relevant_position == never.relevant_position
    # And what it leaves for the next start is the same, too.
    assert again.checkpoint() == never.checkpoint()


def test_what_was_verified_is_not_verified_again(file: CheckpointFile) -> None:
    entries = _ledger()
    view = _saved(file, entries)
    verifier = Verifier([KEY.public])
    again = LedgerView(CATALOGUE, verifier, file.load(view.basis))
    again.apply([*entries, *_later(entries)])
    assert verifier.count == 2  # the scores that came later


def test_nothing_is_ranked_before_the_digest_agrees(file: CheckpointFile) -> None:
    entries = _ledger()
    again = _fresh(file.load(_saved(file, entries).basis))
    again.apply(entries[:-1])
    with pytest.raises(AssertionError):
        again.models()
    with pytest.raises(AssertionError):
        again.checkpoint()


@pytest.mark.parametrize("position", [1, 6, 13, 19])
def test_another_ledger_is_found_out_and_verified(file: CheckpointFile, position: int) -> None:
    """One entry that a broken gateway shows otherwise than before: a score that nobody signed."""
    entries = _ledger()
    checkpoint = file.load(_saved(file, entries).basis)
    forged = [pb.LedgerEntry.FromString(entry.SerializeToString()) for entry in entries]
    if forged[position - 1].WhichOneof("entry") == "score":
        forged[position - 1].score.value = 100.0
    else:
        forged[position - 1].completion.lab_id = "another"
    view = _fresh(checkpoint)
    with pytest.raises(CheckpointDisagrees):
        view.apply(forged)
    view.start_over()
    view.apply(forged)
    never = _fresh()
    never.apply(forged)
    assert _published(view) == _published(never)
    assert all(score.value != 100.0 for model in view.models() for score in model.scores.values())


def test_other_trusted_keys_or_another_catalogue_verify_all(file: CheckpointFile) -> None:
    _saved(file, _ledger())
    keys = (KEY.public, GraderKey().public)
    assert file.load(LedgerView(CATALOGUE, Verifier(keys)).basis) is None
    # The order of the keys means nothing.
    one, other = (LedgerView(CATALOGUE, Verifier(k)).basis for k in (keys, keys[::-1]))
    assert one == other


def _path(file: CheckpointFile) -> Path:
    return file._path


@pytest.mark.parametrize("kept", [0.0, 0.02, 0.5, 0.999])
def test_a_file_that_was_cut_off_is_not_used(file: CheckpointFile, kept: float) -> None:
    basis = _saved(file, _ledger()).basis
    data = _path(file).read_bytes()
    _path(file).write_bytes(data[: int(len(data) * kept)])
    assert file.load(basis) is None


def test_a_file_that_was_changed_is_not_used(file: CheckpointFile) -> None:
    """Whoever would have a refused statement ranked takes its refusal out, and cannot sign that."""
    basis = _saved(file, _ledger()).basis
    first, _, body = _path(file).read_bytes().partition(b"\n")
    content = json.loads(body)
    assert content["refusals"]
    content["refusals"] = []
    changed = json.dumps(content, separators=(",", ":")).encode()
    own = first[:-64] + hmac.new(b"", changed, hashlib.sha256).hexdigest().encode()
    for line in (first, own):
        _path(file).write_bytes(line + b"\n" + changed)
        assert file.load(basis) is None
    _path(file).write_bytes(first + b"\n" + body)
    assert file.load(basis) is not None


def test_a_file_of_another_key_or_that_others_can_write_is_not_used(file: CheckpointFile) -> None:
    basis = _saved(file, _ledger()).basis
    assert CheckpointFile(_path(file), Secret("of somebody else")).load(basis) is None
    assert CheckpointFile(_path(file)).load(basis) is None
    _path(file).chmod(0o606)
    assert file.load(basis) is None
    _path(file).chmod(0o660)  # an orchestrator's group of ours
    assert file.load(basis) is not None
    _path(file).chmod(0o600)
    link = _path(file).with_name("link")
    os.symlink(_path(file), link)
    assert CheckpointFile(link, Secret("of the ranker")).load(basis) is None


def test_a_checkpoint_that_cannot_be_saved_is_no_fault(tmp_path: Path) -> None:
    view = _fresh()
    view.apply(_ledger())
    assert CheckpointFile(tmp_path / "nowhere" / "checkpoint").save(view.checkpoint()) is False
    file = CheckpointFile(tmp_path / "checkpoint")
    assert file.load(view.basis) is None
    (tmp_path / ".checkpoint.draft").write_text("what a crash left")
    assert file.save(view.checkpoint())
    assert file.load(view.basis) == view.checkpoint()
    assert (tmp_path / "checkpoint").stat().st_mode & 0o777 == 0o600
    assert list(tmp_path.iterdir()) == [tmp_path / "checkpoint"]


def test_several_processes_verify_as_one(file: CheckpointFile) -> None:
    ledger = Ledger()
    keys = (KEY, GraderKey())
    entries = [ledger.score(submission=f"sub-{n}", key=keys[n % 5 == 0]) for n in range(150)]
    together = Verifier([KEY.public], processes=2)
    try:
        view = LedgerView(CATALOGUE, together)
        alone = _fresh()
        assert view.apply(entries) == alone.apply(entries)
        assert view.checkpoint() == alone.checkpoint()
        assert together.count == 150
    finally:
        together.close()
