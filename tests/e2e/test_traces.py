"""One submission is one trace, over all processes, and nothing secret is in it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from general_level.catalogue import load
from general_level.client.models import SubmissionState
from services.kit import tracing
from tests.support.collector import Collector, SeenSpan, running_collector
from tests.support.platform import Platform, running_platform
from tests.support.synthetic import scored_tasks, write_archive
from tests.support.wait import eventually

pytestmark = pytest.mark.slow

BOARD = "D-L-1"
ITEMS = 12
CANARY = "zq7canary7answer"
#: What the trace of a submission without trouble has, with the parents' names.
TREE = {
    ("submission", ""),
    ("create", "submission"),
    ("upload", "submission"),
    ("check", "submission"),
    ("queue", "submission"),
    ("job", "submission"),
    ("waiting", "job"),
    ("decoding", "job"),
    ("box start", "decoding"),
    ("box decode", "decoding"),
    ("read", "box decode"),
    ("scoring", "job"),
    ("scorer score", "scoring"),
    ("reporting", "job"),
    ("complete", "reporting"),
    ("record", "complete"),
    ("compute", "submission"),
    ("publish", "submission"),
    ("publication", "submission"),
}
#: They end when the answer has come that the submission is published: a moment after its end.
AFTER = {"publish", "publication"}


def _tree(spans: list[SeenSpan]) -> set[tuple[str, str]]:
    names = {span.span_id: span.name for span in spans}
    return {(span.name, names.get(span.parent_id, span.parent_id)) for span in spans}


def _submit(platform: Platform, folder: Path, name: str) -> str:
    tasks = scored_tasks(load(), BOARD)
    with platform.new_lab() as client:
        archive = write_archive(folder, name, BOARD, tasks, ITEMS)
        submission = client.submit(archive)
        final = list(client.watch(submission.submission_id))[-1]
        assert final.state is SubmissionState.PUBLISHED
        return submission.submission_id


@pytest.fixture
def collector(monkeypatch: pytest.MonkeyPatch) -> Iterator[Collector]:
    with running_collector() as found:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", found.endpoint)
        monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "100")
        yield found


@pytest.mark.timeout(300)
def test_a_submission_is_one_trace_from_create_to_publication(
    tmp_path: Path, collector: Collector
) -> None:
    tasks = scored_tasks(load(), BOARD)
    with running_platform(tmp_path, tasks, ITEMS, canary=CANARY) as platform:
        submission_id = _submit(platform, tmp_path, "Secret Model Name")
        eventually(lambda: _is_complete(collector.spans(), len(tasks)), 60, "the trace is complete")
        _is_one_trace(collector.spans(), submission_id, len(tasks))
        _holds_no_secret(platform, collector)
        # From here on the collector is away: nothing else is.
        collector.stop()
        _submit(platform, tmp_path, "Another Model")
        for name in ("gateway", "ranker", "grader-language"):
            log = platform.supervisor.log_of(name)
            eventually(partial(_says_so, log), 60, f"{name} says what is not exported")
        supervisor = platform.supervisor
    assert not any(supervisor.restarts().values())
    # None had to be killed when it was told to end.
    assert {child.process.returncode for child in supervisor._children.values()} == {0}


def _is_complete(spans: list[SeenSpan], tasks: int) -> bool:
    ended = Counter(span.name for span in spans)
    return _tree(spans) >= TREE and ended["job"] == ended["record"] == tasks


def _says_so(log: Path) -> bool:
    return "traces not exported" in log.read_text()


def _is_one_trace(spans: list[SeenSpan], submission_id: str, tasks: int) -> None:
    assert {span.trace_id for span in spans} == {f"{tracing.trace_id(submission_id):032x}"}
    assert _tree(spans) - {("scorer start", "scoring")} == TREE
    by_id = {span.span_id: span for span in spans}
    assert len(by_id) == len(spans)
    (root,) = [span for span in spans if span.name == "submission"]
    assert root.span_id == f"{tracing.root_span_id(submission_id):016x}"
    assert root.attributes["general_level.state"] == "published"
    for span in spans:
        assert span.attributes["general_level.submission.id"] == submission_id
        parent = by_id.get(span.parent_id, span)
        assert parent.start <= span.start <= span.end
        assert span.end <= parent.end or span.name in AFTER, span.name
        if span.name == "job":
            assert span.attributes["general_level.outcome"] == "scored"
    counts = Counter(span.name for span in spans)
    once = ("create", "upload", "check", "compute", "publish", "publication")
    assert {counts[name] for name in once} == {1}
    assert {counts[name] for name in ("queue", "job", "read", "complete", "record")} == {tasks}
    served_by = {span.name: span.service.removeprefix("general-level-") for span in spans}
    assert (served_by["submission"], served_by["job"]) == ("gateway", "grader")
    assert (served_by["compute"], served_by["read"]) == ("ranker", "gateway")
    assert not [span for span in spans if span.failed or span.status_text or span.events]


def _holds_no_secret(platform: Platform, collector: Collector) -> None:
    known = set(tracing.ATTRIBUTES.values())
    for span in collector.spans():
        assert set(span.attributes) <= known
    secrets = [CANARY, "Secret Model", "lab 1", "lab_"]
    secrets += [path.read_text().strip() for path in platform.home.secrets.glob("*.token")]
    assert len(secrets) > 4
    for secret in secrets:
        assert secret.encode() not in collector.raw
