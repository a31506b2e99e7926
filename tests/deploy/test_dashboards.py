"""The dashboards are those of the code, ask for series that there are, and lead to the runbook."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

import pytest

from general_level.catalogue import Modality
from tests.deploy.promql import TARGET_LABELS, exported, grouped, named, shared
from tests.deploy.rendering import ROOT, name_of, objects_of, of_kind
from tests.deploy.test_alerts import rules
from tests.deploy.test_telemetry import check_values
from tools import gen_dashboards, gen_telemetry_page
from tools.dashboards import DASHBOARDS
from tools.telemetry_registries import all_series, services

FOLDER: Final = ROOT / "deploy" / "dashboards"
#: Grafana's longest row.
WIDTH: Final = 24
_UNIT: Final = re.compile(
    r"_(?:seconds|bytes|total|jobs|entries|labs|containers|position|ready|up)(?:$|_)"
)
#: Plain counts of what the name says, as in ``kube_pod_…``; no unit would make them clearer.
COUNTS: Final = frozenset(
    {
        "gateway_submissions", "grader_box_missing_walls", "ranker_models",
        "ranker_models_by_level", "fleet_failures",
        "gateway_modality_paused", "gateway_web_streams",
    }
)  # fmt: skip


#: Of the process what matters is shown; `ranker_models` is in the models per level, and a
#: checkpoint and a fleet are no part of every installation.
NOT_SHOWN: Final = ("process_", "ranker_models", "ranker_checkpoint_", "fleet_")


def boards() -> dict[str, dict[str, Any]]:
    """The dashboards as they are committed, by their name."""
    return {path.stem: json.loads(path.read_text()) for path in sorted(FOLDER.glob("*.json"))}


def panels(board: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [panel for panel in board["panels"] if panel["type"] != "row"]


def expressions() -> Iterator[tuple[str, str]]:
    """Where each expression stands, and the expression."""
    for name, board in boards().items():
        for panel in panels(board):
            for target in panel.get("targets", ()):
                yield f"{name}: {panel['title']}", target["expr"]


def test_dashboards_and_pages_are_those_of_the_code(capsys: pytest.CaptureFixture[str]) -> None:
    stored = {path.name: path.read_text() for path in FOLDER.glob("*.json")}
    assert stored == gen_dashboards.made()
    assert gen_telemetry_page.PAGE.read_text() == gen_telemetry_page.page()


def test_every_expression_asks_for_series_and_labels_that_there_are() -> None:
    found = list(expressions())
    assert len(found) > 60
    for place, expression in found:
        labels = set(TARGET_LABELS) | {"le"}
        for one, matchers in named(expression):
            assert one in exported(), f"{place}: {one}"
            own = {
                label: wanted for label, wanted in matchers.items()
                if label not in TARGET_LABELS and wanted != "$modality"
            }  # fmt: skip
            check_values(place, one, own)
            labels |= exported()[one]
        assert grouped(expression) <= labels, place


def test_what_all_gateways_tell_alike_is_never_added_up() -> None:
    """By dashboards and alerts: the innermost aggregation of such a series is max, or one of a
    difference that stays the same in all."""
    found = [*expressions(), *((rule["alert"], rule["expr"]) for rule in rules())]
    innermost = re.compile(r"(max|min|count|absent)(?: by \([^)]*\))?\s*\((?:rate\(|delta\()?$")
    seen = 0
    for place, expression in found:
        for match in re.finditer(r"\bgateway_[a-z_]+\b", expression):
            if match.group() in shared():
                seen += 1
                assert innermost.search(expression[: match.start()].rstrip()), place
    assert seen > 30


def test_each_panel_says_what_it_shows_in_which_unit() -> None:
    for name, board in boards().items():
        numbers = [panel["id"] for panel in panels(board)]
        assert len(numbers) == len(set(numbers))
        if name == "runbook":
            continue
        for panel in panels(board):
            place = f"{name}: {panel['title']}"
            assert panel["description"].endswith("."), place
            assert panel["fieldConfig"]["defaults"]["unit"], place
            assert panel["datasource"]["uid"] == "${datasource}", place
            for target in panel["targets"]:
                assert target["legendFormat"], place
                used = set(re.findall(r"\{\{(\w+)\}\}", target["legendFormat"]))
                assert used <= grouped(target["expr"]) | TARGET_LABELS, place


def test_panels_do_not_overlap() -> None:
    for name, board in boards().items():
        taken: set[tuple[int, int]] = set()
        for panel in board["panels"]:
            at = panel["gridPos"]
            cells = {
                (at["x"] + x, at["y"] + y) for x in range(at["w"]) for y in range(at["h"])
            }  # fmt: skip
            assert not cells & taken, f"{name}: {panel['title']}"
            assert at["x"] + at["w"] <= WIDTH
            taken |= cells


def test_links_lead_to_the_runbooks_entry() -> None:
    all_boards = boards()
    entries = {panel["id"]: panel["title"] for panel in panels(all_boards["runbook"])}
    linked = set()
    for name, board in all_boards.items():
        for panel in panels(board):
            for link in panel.get("links", ()):
                uid, number = re.fullmatch(r"/d/([\w-]+)\?viewPanel=(\d+)", link["url"]).groups()  # type: ignore[union-attr]
                assert uid == all_boards["runbook"]["uid"]
                assert link["title"] == f"Runbook: {entries[int(number)]}", name
                linked.add(entries[int(number)])
    alerts = {rule["alert"] for rule in rules()}
    assert linked <= alerts
    assert set(entries.values()) == {"", *alerts}
    # These say of themselves that nothing comes, or are seen best in the list of submissions.
    assert alerts - linked == {"RankerAbsent", "ChecksStuck"}


def test_every_series_is_on_a_dashboard() -> None:
    """Nobody looks at what no panel shows and no rule reads."""
    shown = {one for _, expression in expressions() for one, _ in named(expression)}
    shown |= {one for rule in rules() for one, _ in named(rule["expr"])}
    unseen = {
        one.name
        for one in all_series().values()
        if not one.name.startswith(NOT_SHOWN) and not shown & {name for name, _ in one.stored()}
    }
    assert unseen == set()


def test_names_follow_the_convention() -> None:
    assert len(services()) >= 3
    for one in all_series().values():
        assert re.fullmatch(r"[a-z][a-z_]*[a-z]", one.name), one.name
        assert (one.kind == "counter") == one.name.endswith("_total"), one.name
        assert one.name in COUNTS or _UNIT.search(one.name) or "_fds" in one.name, one.name
        assert one.text.endswith("."), one.name
        assert len(one.text) > 20, one.name
        for label, values in one.labels.items():
            assert values, f"{one.name}: {label}"
            assert len(values) == len(set(values)) <= 100, f"{one.name}: {label}"


def test_the_choice_of_modalities_is_complete() -> None:
    for board in DASHBOARDS:
        variables = boards()[board.name]["templating"]["list"]
        assert ("modality" in {one["name"] for one in variables}) == board.by_modality
        for one in variables:
            if one["name"] == "modality":
                assert one["query"].split(",") == list(Modality)


def test_the_cluster_gets_the_files() -> None:
    maps = {
        name_of(found): found
        for found in of_kind(objects_of("production"), "ConfigMap")
        if name_of(found).startswith("dashboard-")
    }
    assert {name.removeprefix("dashboard-") for name in maps} == set(boards())
    for name, found in maps.items():
        file = f"{name.removeprefix('dashboard-')}.json"
        assert found["metadata"]["labels"]["grafana_dashboard"] == "1"
        assert found["data"] == {file: (FOLDER / file).read_text()}
