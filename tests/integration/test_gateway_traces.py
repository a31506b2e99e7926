"""What a lab and a grader may say of traces, and how a submission ends in its own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from general_level import errors
from services.kit import tracing
from tests.support.collector import Collector, SeenSpan, running_collector
from tests.support.gateway import archive, create_request, running, upload_messages

LABS_OWN = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
LINK = ("0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331")


@pytest.fixture
def collector() -> Iterator[Collector]:
    with (
        running_collector() as found,
        tracing.exporting("gateway", {"OTEL_EXPORTER_OTLP_ENDPOINT": found.endpoint}),
    ):
        yield found


def exported(collector: Collector) -> dict[str, SeenSpan]:
    """What was made until now, by name."""
    assert tracing._exporter is not None
    tracing._exporter.close()
    return {span.name: span for span in collector.spans()}


async def test_a_labs_trace_is_a_link_and_decides_nothing(tmp_path, collector):
    what = archive()
    async with running(tmp_path) as gateway:
        lab = await gateway.new_lab()
        lab.metadata += (("traceparent", LABS_OWN), ("tracestate", "lab=secret-words"))
        submission_id = (await lab.create(what)).submission_id
        stream = lab.open_upload()
        stream.send(*list(upload_messages(submission_id, what.data, 0, 100))[:1])
        await stream.end()
        await lab.cancel(submission_id)
    spans = exported(collector)
    assert {"create", "upload", "submission"} <= set(spans)
    assert {span.trace_id for span in spans.values()} == {f"{tracing.trace_id(submission_id):032x}"}
    assert spans["create"].links == spans["upload"].links == (LINK,)
    assert spans["create"].parent_id == spans["submission"].span_id
    assert spans["submission"].attributes["general_level.state"] == "cancelled"
    assert not spans["submission"].failed
    assert b"secret-words" not in collector.raw


async def test_a_submission_of_another_lab_gets_no_span(tmp_path, collector):
    what = archive()
    async with running(tmp_path) as gateway:
        lab, stranger = await gateway.new_lab("One"), await gateway.new_lab("Other")
        submission_id = (await lab.create(what)).submission_id
        with pytest.raises(errors.NotFound):
            await stranger.upload(submission_id, what.data)
        with pytest.raises(errors.NotFound):
            await stranger.upload("sub_lab text that is no id", what.data)
        refused = create_request(what, archive_bytes=-1)
        with pytest.raises(errors.InvalidRequest):
            await stranger.call(stranger.submission.CreateSubmission, refused)
    assert list(exported(collector)) == ["create"]


async def test_a_wrong_digest_ends_the_trace_without_a_failure(tmp_path, collector):
    what = archive()
    async with running(tmp_path) as gateway:
        lab = await gateway.new_lab()
        submission_id = (await lab.create(what, archive_sha256="0" * 64)).submission_id
        with pytest.raises(errors.DigestMismatch):
            await lab.upload(submission_id, what.data)
    spans = exported(collector)
    assert spans["submission"].attributes["general_level.state"] == "rejected"
    assert not spans["submission"].failed
    assert spans["upload"].attributes["error.type"] == "DIGEST_MISMATCH"
