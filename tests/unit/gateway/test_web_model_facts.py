"""What a lab says is shown only as far as a page can stand behind it."""

from __future__ import annotations

from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from general_level.v1 import submission_pb2 as pb
from services.gateway.web.model_facts import facts_of, report_of, show_count

LINK = "https://example.org/report"


def test_the_facts_are_the_metadata_without_the_address() -> None:
    model = pb.ModelMetadata(
        model_name="Model",
        parameter_count=7_000_000_000,
        description="Says what it is.",
        modalities=["image"],
        report_url=LINK,
        contact_email="lab@example.org",
        open_weights=False,
    )
    facts = facts_of(model)
    assert (facts.size, facts.open_weights, facts.modalities) == ("7 B", False, ("image",))
    assert facts.report is not None
    assert facts.report.host == "example.org"
    assert "lab@example.org" not in repr(facts)
    assert facts.under("Model") is facts


def test_under_another_name_there_is_neither_text_nor_link() -> None:
    model = pb.ModelMetadata(model_name="Model", description="By us.", report_url=LINK)
    other = facts_of(model).under("Anonymous 00000000")
    assert (other.model_name, other.description, other.report) == ("Anonymous 00000000", "", None)


def test_what_is_not_said_is_no_value() -> None:
    facts = facts_of(pb.ModelMetadata(model_name="Model"))
    assert (facts.parameter_count, facts.open_weights, facts.report) == (None, None, None)
    assert facts.size == ""


@pytest.mark.parametrize(
    ("url", "host"),
    [
        (LINK, "example.org"),
        ("https://EXAMPLE.org:8443/a?b#c", "example.org"),
        ("https://b\u00fccher.example/", "xn--bcher-kva.example"),
        ("http://example.org/", None),
        ("javascript:alert(1)", None),
        ("https://", None),
        ("https://good.example@evil.example/", None),
        ("https://evil.example\\@good.example/", None),
        ("https://example.org:port/", None),
        ("https://exam ple.org/", None),
        ("https://example.org/\u202egpj", None),
        ("https://[::1", None),
        (f"https://{'a' * 70}.example/", None),
        ("", None),
    ],
)
def test_only_a_plain_https_address_is_a_link(url: str, host: str | None) -> None:
    report = report_of(url)
    assert (report.host if report else None) == host


@given(st.text(max_size=60))
def test_no_text_breaks_a_page(text: str) -> None:
    report = report_of(f"https://{text}")
    if report is not None:
        assert urlsplit(report.url).scheme == "https"
        assert report.host.isascii()


@pytest.mark.parametrize(
    ("count", "shown"),
    [
        (7_000_000_000, "7 B"),
        (1_340_000_000, "1.34 B"),
        (350_000_000, "350 M"),
        (999_900_000, "1 B"),
        (671_000_000_000, "671 B"),
        (10**16, "10,000 T"),
        (12_345, "12,345"),
    ],
)
def test_counts_are_short(count: int, shown: str) -> None:
    assert show_count(count) == shown
