"""The alert rules fire when they should, by Prometheus' own tool, and the runbook has each."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from tests.deploy.promql import exported
from tests.deploy.rendering import ROOT, documents, named, objects_of
from tools.dashboards import DASHBOARDS
from tools.gen_dashboards import entries

UNIT_TESTS: Final = Path(__file__).with_name("alerts.yaml")
RUNBOOK: Final = "docs/operators/runbook.md"
#: What every entry of the runbook says.
ANSWERS: Final = ("* **Means.** ", "* **Look.** ", "* **Do.** ", "* **Do not** ")


def rules() -> list[dict[str, Any]]:
    """Every alert rule."""
    groups = named(objects_of("production"), "PrometheusRule", "general-level")["spec"]["groups"]
    return [rule for group in groups for rule in group["rules"]]


@pytest.fixture
def rules_file(tmp_path: Path) -> Path:
    """The rules as Prometheus reads them, beside their unit tests."""
    spec = named(objects_of("production"), "PrometheusRule", "general-level")["spec"]
    path = tmp_path / "rules.yaml"
    path.write_text(yaml.safe_dump(spec))
    shutil.copy(UNIT_TESTS, tmp_path)
    return path


def promtool(*arguments: str | Path) -> None:
    """Runs promtool; skips where it is not installed."""
    if shutil.which("promtool") is None:
        pytest.skip("promtool is not installed (apt: prometheus): the alert rules are not tried")
    done = subprocess.run(
        ["promtool", *arguments], capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_prometheus_takes_the_rules(rules_file: Path) -> None:
    promtool("check", "rules", rules_file)


def test_alerts_fire_when_they_should(rules_file: Path) -> None:
    promtool("test", "rules", rules_file.with_name(UNIT_TESTS.name))


def test_every_alert_is_tried_and_explained() -> None:
    (unit_tests,) = documents(UNIT_TESTS.read_text())
    tried: dict[bool, set[str]] = {True: set(), False: set()}
    for unit_test in unit_tests["tests"]:
        for check in unit_test["alert_rule_test"]:
            tried[bool(check["exp_alerts"])].add(check["alertname"])
    names = [rule["alert"] for rule in rules()]
    assert len(names) == len(set(names))
    assert tried == {True: set(names), False: set(names)}
    assert len(names) >= 17
    runbook = entries((ROOT / RUNBOOK).read_text())
    assert sorted(runbook) == sorted(["", *names])
    for rule in rules():
        assert rule["labels"]["severity"] in {"critical", "warning"}
        # The anchor that a heading gets.
        assert rule["annotations"]["runbook"] == f"{RUNBOOK}#{rule['alert'].lower()}"
        lines = runbook[rule["alert"]].strip().splitlines()
        starts = [line for line in lines if line.startswith("* ")]
        assert len(starts) == len(ANSWERS), rule["alert"]
        for line, answer in zip(starts, ANSWERS, strict=True):
            assert line.startswith(answer), rule["alert"]


def test_what_the_runbook_names_is_there() -> None:
    text = (ROOT / RUNBOOK).read_text()
    settings = set(re.findall(r"\b(?:GATEWAY|GRADER|RANKER)_[A-Z_]+", text))
    sources = "".join(path.read_text() for path in (ROOT / "services").glob("*/settings.py"))
    assert len(settings) > 8
    for setting in settings:
        assert f'"{setting.partition("_")[2]}"' in sources, setting
    for series in re.findall(r"`((?:gateway|grader|ranker)_[a-z_]+)`", text):
        assert series in exported(), series
    code = "".join(path.read_text() for path in (ROOT / "services").rglob("*.py"))
    for event in ("self-test failed", "scorer not ready", "tasks wait for weights", "job failed",
                  "statement refused", "standings not published", "check failed",
                  "checker failed", "attempt failed", "certificate not taken",
                  "the ledger's stream broke", "scorer started"):  # fmt: skip
        assert f"`{event}`" in text, event
        assert f'"{event}"' in code, event
    panels = {panel.title for board in DASHBOARDS for _, row in board.rows for panel in row}
    for title in re.findall(r"\*([A-Z][^*]+)\*", text.partition("## ")[2]):
        if not title.endswith((".", "not")):
            assert any(panel.startswith(" ".join(title.split())) for panel in panels), title
