"""The alert rules fire when they should, by Prometheus' own tool, and the guide explains each."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from tests.deploy.operators import GUIDE
from tests.deploy.rendering import documents, named, objects_of

UNIT_TESTS: Final = Path(__file__).with_name("alerts.yaml")


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
    guide = GUIDE.read_text()
    for rule in rules():
        assert rule["labels"]["severity"] in {"critical", "warning"}
        assert f"| `{rule['alert']}` |" in guide
