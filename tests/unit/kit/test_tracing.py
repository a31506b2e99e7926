"""Ids that all derive alike, spans that tell nothing but codes, and silence without a setting."""

from __future__ import annotations

import asyncio
import hashlib
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from types import SimpleNamespace

import pytest

from general_level.errors import LeaseLost
from services.kit import tracing
from services.kit.settings import SettingInvalid
from services.kit.tracing_settings import TracingSettings
from tests.support.collector import Collector, SeenSpan, running_collector

SUBMISSION = "sub_01k9x3v6q8h2m4n7p0r5s1t6wy"
OTHER = "sub_01k9x3v6q8h2m4n7p0r5s1t6wz"
FOREIGN = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@pytest.fixture
def collector() -> Iterator[Collector]:
    with running_collector() as found:
        yield found


def environment(collector: Collector, **others: str) -> dict[str, str]:
    return {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.endpoint, **others}


def named(collector: Collector, name: str) -> SeenSpan:
    (found,) = [one for one in collector.spans() if one.name == name]
    return found


def test_ids_follow_from_the_submission_alone() -> None:
    digest = hashlib.sha256(b"general-level/trace/v1\0" + SUBMISSION.encode()).digest()
    assert tracing.trace_id(SUBMISSION).to_bytes(16, "big") == digest[:16]
    digest = hashlib.sha256(b"general-level/root-span/v1\0" + SUBMISSION.encode()).digest()
    assert tracing.root_span_id(SUBMISSION).to_bytes(8, "big") == digest[:8]
    # Operators look traces up by them: they never change.
    assert f"{tracing.trace_id(SUBMISSION):032x}" == "157bd3b8468aca17b84cd1f8d96fd660"
    assert f"{tracing.root_span_id(SUBMISSION):016x}" == "a0a5b7bbc6bd4265"
    assert tracing.trace_id(SUBMISSION) != tracing.trace_id(OTHER)


def test_without_a_collector_nothing_is_imported_and_nothing_happens() -> None:
    program = (
        "import sys; from services.kit import tracing\n"
        "with tracing.exporting('gateway', {}), tracing.span('job', 'sub_1', current=True):\n"
        "    with tracing.stage('scoring'):\n"
        "        tracing.note(outcome='scored'); tracing.record('create', 'sub_1', 0)\n"
        "        tracing.record_submission('sub_1', 0)\n"
        "        assert tracing.carrier() == () and tracing.now_ns() == 0\n"
        "assert not [name for name in sys.modules if name.startswith('opentelemetry')]\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], check=False, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr


def test_spans_of_several_services_meet_in_one_trace(collector: Collector) -> None:
    with tracing.exporting("grader", environment(collector)):
        job_span = tracing.span("job", SUBMISSION, current=True, task_id="L-1", attempt=2)
        with job_span, tracing.stage("scoring"):
            tracing.note(outcome="scored")
            (carried,) = tracing.carrier()
        assert tracing.carrier() == ()
    with tracing.exporting("gateway", environment(collector)):
        parent = carried[1]
        tracing.record("complete", SUBMISSION, 1000, 3000, parent=parent, rpc_method="S/M")
        tracing.record("queue", SUBMISSION, 1000, 2000)
        tracing.record_submission(SUBMISSION, tracing.to_ns(datetime(2026, 1, 1, tzinfo=UTC)))
    assert {one.trace_id for one in collector.spans()} == {f"{tracing.trace_id(SUBMISSION):032x}"}
    root = named(collector, "submission")
    assert (root.parent_id, root.start) == ("", 1_767_225_600_000_000_000)
    job, scoring = named(collector, "job"), named(collector, "scoring")
    assert [job.parent_id, scoring.parent_id] == [root.span_id, job.span_id]
    assert (job.service, job.kind) == ("general-level-grader", 1)
    assert job.attributes == {
        "general_level.submission.id": SUBMISSION,
        "general_level.task.id": "L-1",
        "general_level.attempt": 2,
        "general_level.outcome": "scored",
    }
    assert scoring.attributes == {"general_level.submission.id": SUBMISSION}
    complete = named(collector, "complete")
    assert (complete.parent_id, complete.kind) == (scoring.span_id, 2)
    assert (complete.start, complete.end) == (1000, 3000)
    assert complete.attributes["rpc.system.name"] == "grpc"
    assert named(collector, "queue").parent_id == root.span_id


def test_a_parent_of_another_trace_is_none_and_a_link_may_be_of_any(collector: Collector) -> None:
    with tracing.exporting("gateway", environment(collector)):
        tracing.record("complete", SUBMISSION, 1, parent=FOREIGN)
        tracing.record("create", SUBMISSION, 1, link=FOREIGN)
        tracing.record("upload", SUBMISSION, 1, link="00-what-ever-01", parent="nonsense")
    root = f"{tracing.root_span_id(SUBMISSION):016x}"
    assert {one.parent_id for one in collector.spans()} == {root}
    link = ("0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331")
    assert named(collector, "create").links == (link,)
    assert named(collector, "upload").links == named(collector, "complete").links == ()


@pytest.mark.parametrize(
    "sent",
    [
        FOREIGN.upper(),
        FOREIGN + "-extra",
        FOREIGN.replace("b7ad6b7169203331", "0" * 16),
        FOREIGN.replace("0af7651916cd43dd8448eb211c80319c", "0" * 32),
        "01" + FOREIGN[2:],
        FOREIGN.encode(),
        "",
    ],
)
def test_a_traceparent_of_another_form_is_not_seen(collector: Collector, sent: object) -> None:
    def call(value: object) -> object:
        return SimpleNamespace(invocation_metadata=lambda: (("traceparent", value),))

    assert tracing.traceparent_of(call(FOREIGN)) is None
    with tracing.exporting("gateway", environment(collector)):
        assert tracing.traceparent_of(call(FOREIGN)) == FOREIGN
        assert tracing.traceparent_of(call(sent)) is None


class Ours(Exception):
    trace_code = "OUT_OF_MEMORY"


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (LeaseLost("secret-words", job_id="secret-words"), "LEASE_LOST"),
        (ValueError("secret-words"), "ValueError"),
        (Ours("secret-words"), "OUT_OF_MEMORY"),
        (asyncio.CancelledError("secret-words"), "CANCELLED"),
    ],
)
def test_an_error_is_its_code_and_never_its_words(
    collector: Collector, error: BaseException, code: str
) -> None:
    with (
        tracing.exporting("gateway", environment(collector)),
        pytest.raises(type(error)),
        tracing.span("check", SUBMISSION),
    ):
        raise error
    found = named(collector, "check")
    assert (found.failed, found.status_text, found.events) == (True, "", 0)
    assert found.attributes["error.type"] == code
    assert b"secret-words" not in collector.raw


def test_texts_that_are_no_codes_are_left_out(collector: Collector) -> None:
    with tracing.exporting("gateway", environment(collector)):
        for number, text in enumerate(("a text", "x" * 101, "", "tokén", "line\nline", "-dash")):
            tracing.record(f"span {number}", SUBMISSION, 1, task_id=text)
        with pytest.raises(KeyError):
            tracing.record("unknown", SUBMISSION, 1, lab_text="anything")
        tracing.record_submission(SUBMISSION, 1, "dead-letter: some words", state="failed")
    told = [one.attributes for one in collector.spans() if one.name != "submission"]
    assert told == [{"general_level.submission.id": SUBMISSION}] * 6
    assert named(collector, "submission").attributes["error.type"] == "other"


def test_a_share_of_the_traces_is_kept_and_each_of_them_whole(collector: Collector) -> None:
    given = environment(
        collector, OTEL_TRACES_SAMPLER="parentbased_traceidratio", OTEL_TRACES_SAMPLER_ARG="0.5"
    )
    ids = [f"sub_{number}" for number in range(200)]
    for service in ("gateway", "grader"):
        with tracing.exporting(service, given):
            for submission_id in ids:
                tracing.record(service, submission_id, 1, parent=FOREIGN)
    kept = {
        service: {one.trace_id for one in collector.spans() if one.name == service}
        for service in ("gateway", "grader")
    }
    assert kept["gateway"] == kept["grader"]
    assert 50 < len(kept["gateway"]) < 150


@pytest.mark.parametrize(
    "environ",
    [
        {},
        {"OTEL_EXPORTER_OTLP_ENDPOINT": ""},
        {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://a:1", "OTEL_SDK_DISABLED": "true"},
        {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://a:1", "OTEL_TRACES_EXPORTER": "none"},
    ],
)
def test_traces_are_off_unless_a_collector_is_named(environ: dict[str, str]) -> None:
    assert TracingSettings.from_env(environ) is None


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("EXPORTER_OTLP_ENDPOINT", "collector:4317"),
        ("EXPORTER_OTLP_ENDPOINT", "http://"),
        ("EXPORTER_OTLP_ENDPOINT", "http://user:password@collector:4317"),
        ("EXPORTER_OTLP_PROTOCOL", "http/protobuf"),
        ("EXPORTER_OTLP_TIMEOUT", "0"),
        ("EXPORTER_OTLP_CERTIFICATE", "/nowhere/ca.pem"),
        ("TRACES_EXPORTER", "zipkin"),
        ("TRACES_SAMPLER", "jaeger_remote"),
        ("TRACES_SAMPLER_ARG", "2"),
        ("BSP_MAX_QUEUE_SIZE", "many"),
        ("BSP_MAX_EXPORT_BATCH_SIZE", "4096"),
        ("BSP_SCHEDULE_DELAY", "1"),
    ],
)
def test_a_setting_that_cannot_be_used_is_named(name: str, value: str) -> None:
    given = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4317", f"OTEL_{name}": value}
    with pytest.raises(SettingInvalid) as caught:
        TracingSettings.from_env(given)
    assert caught.value.metadata["variable"] == f"OTEL_{name}"
    assert value == "many" or "password" not in str(caught.value)


def test_the_endpoint_of_traces_wins() -> None:
    found = TracingSettings.from_env(
        {
            "OTEL_EXPORTER_OTLP_ENDPOINT": "http://all:4317",
            "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "https://traces:4317",
        }
    )
    assert found is not None
    assert found.endpoint == "https://traces:4317"
    assert found.ratio == 1


def test_the_queue_is_bounded_while_the_collector_is_away(
    collector: Collector, capsys: pytest.CaptureFixture[str]
) -> None:
    collector.stop()
    given = environment(
        collector,
        OTEL_BSP_MAX_QUEUE_SIZE="64",
        OTEL_BSP_MAX_EXPORT_BATCH_SIZE="16",
        OTEL_EXPORTER_OTLP_TIMEOUT="1",
    )
    with tracing.exporting("gateway", given):
        exporter = tracing._exporter
        for number in range(5_000):
            tracing.record(f"span {number}", SUBMISSION, 1)
        (processor,) = exporter._provider._active_span_processor._span_processors  # type: ignore[union-attr]
        assert len(processor._batch_processor._queue) <= 64
    collector.start()
    assert collector.spans() == []
    assert not tracing.is_on()
