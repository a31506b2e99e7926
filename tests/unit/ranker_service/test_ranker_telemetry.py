"""The ranker's labels are closed, whatever a statement is said to fail by."""

from __future__ import annotations

import re
from pathlib import Path

from general_level.catalogue import load
from services.ranker import ledger_view
from services.ranker.telemetry import REFUSALS, Telemetry


def test_a_refusal_of_an_unknown_kind_is_one_of_the_others() -> None:
    telemetry = Telemetry(load(name="sample"))

    def refused(what: str) -> float | None:
        name = "ranker_statements_refused_total"
        return telemetry.registry.get_sample_value(name, {"what": what})

    telemetry.refuse("signature")
    telemetry.refuse("a word of tomorrow")
    assert refused("signature") == 1
    assert refused("other") == 1
    assert refused("value") == 0
    assert refused("a word of tomorrow") is None


def test_every_word_of_the_ledgers_view_is_known() -> None:
    source = Path(ledger_view.__file__).read_text()
    words = set(re.findall(r'return "([a-z-]+)"', source))
    words |= set(re.findall(r'Refusal\(.*, "([a-z-]+)"\)', source))
    assert len(words) >= 5
    assert words <= set(REFUSALS)
