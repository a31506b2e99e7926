"""Regenerates the Grafana dashboards, or proves that they are current.

python -m tools.gen_dashboards            write deploy/dashboards/*.json
python -m tools.gen_dashboards --verify   exit 1 if one differs

The panels are in `tools.dashboards`; the runbook becomes a dashboard, too, so that a panel's
link leads to its entry wherever Grafana runs.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from grafana_foundation_sdk.builders import common, dashboard, prometheus, stat, text, timeseries
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models import common as models
from grafana_foundation_sdk.models import dashboard as grafana
from grafana_foundation_sdk.models import text as text_models

from general_level.catalogue import Modality
from tools.dashboards import DASHBOARDS, Dashboard, Panel

ROOT: Final = Path(__file__).resolve().parent.parent
FOLDER: Final = ROOT / "deploy" / "dashboards"
RUNBOOK: Final = ROOT / "docs" / "operators" / "runbook.md"
UID: Final = "general-level"
TAG: Final = "general-level"
_ENTRY: Final = re.compile(r"^## (.+)$", re.MULTILINE)
_LINK: Final = re.compile(r"\[([^]]+)\]\([^)]+\)")
_SOURCE: Final = grafana.DataSourceRef(type_val="prometheus", uid="${datasource}")
_OK, _WARNING, _ALARM = "green", "orange", "red"


def entries(page: str) -> dict[str, str]:
    """The runbook's entries, by their alert; what stands before the first is under ``""``."""
    before, *rest = _ENTRY.split(page)
    return {"": before, **dict(zip(rest[::2], rest[1::2], strict=True))}


def made() -> dict[str, str]:
    """The file of each dashboard, by its name."""
    runbook = entries(RUNBOOK.read_text("utf-8"))
    numbers = {alert: number for number, alert in enumerate(runbook, start=1)}
    boards: dict[str, dashboard.Dashboard] = {
        one.name: _dashboard(one, numbers) for one in DASHBOARDS
    }
    boards["runbook"] = _runbook(runbook, numbers)
    return {f"{name}.json": _json(board) for name, board in boards.items()}


def _json(board: dashboard.Dashboard) -> str:
    return json.dumps(board.build(), cls=JSONEncoder, indent=1, sort_keys=True) + "\n"


def _new(name: str, title: str, about: str) -> dashboard.Dashboard:
    link = dashboard.DashboardLink("Others").type(grafana.DashboardLinkType.DASHBOARDS)
    return (
        dashboard.Dashboard(title)
        .uid(f"{UID}-{name}")
        .description(about)
        .tags([TAG])
        .readonly()
        .timezone("utc")
        .time("now-6h", "now")
        .refresh("30s")
        .tooltip(grafana.DashboardCursorSync.CROSSHAIR)
        .link(link.tags([TAG]).as_dropdown(True).keep_time(True))
    )


def _dashboard(one: Dashboard, numbers: Mapping[str, int]) -> dashboard.Dashboard:
    board = _new(one.name, one.title, one.about).with_variable(
        dashboard.DatasourceVariable("datasource").label("Prometheus").type("prometheus")
    )
    if one.by_modality:
        board.with_variable(
            dashboard.CustomVariable("modality")
            .label("Modality")
            .values(",".join(map(str, Modality)))
            .multi(True)
            .include_all(True)
            .all_value(".+")
            .current(grafana.VariableOption(selected=True, text="All", value="$__all"))
        )
    number = 0
    for title, panels in one.rows:
        board.with_row(dashboard.Row(title))
        # A row of Grafana is 24 wide.
        width = 4 if all(panel.single for panel in panels) else 8 if len(panels) in {3, 6} else 12
        for panel in panels:
            number += 1
            board.with_panel(_panel(panel, number, width, numbers))
    return board


def _panel(
    panel: Panel, number: int, width: int, numbers: Mapping[str, int]
) -> stat.Panel | timeseries.Panel:
    builder: Any = stat.Panel() if panel.single else _graph(panel)
    builder.id(number).title(panel.title).description(panel.about).unit(panel.unit)
    builder.datasource(_SOURCE).span(width).height(5 if panel.single else 8)
    if panel.single:
        builder.color_mode(models.BigValueColorMode.BACKGROUND)
        builder.graph_mode(models.BigValueGraphMode.NONE)
        builder.reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]))
    for place, (expression, legend) in enumerate(panel.queries):
        query = prometheus.Dataquery().expr(expression).legend_format(legend)
        query.ref_id(chr(ord("A") + place))
        builder.with_target(query.instant() if panel.single else query.range())
    if panel.thresholds:
        builder.thresholds(_thresholds(*panel.thresholds))
    if panel.alert:
        url = f"/d/{UID}-runbook?viewPanel={numbers[panel.alert]}"
        builder.links([dashboard.DashboardLink(f"Runbook: {panel.alert}").url(url)])
    return builder  # type: ignore[no-any-return]


def _graph(panel: Panel) -> timeseries.Panel:
    legend = common.VizLegendOptions().show_legend(True).placement(models.LegendPlacement.BOTTOM)
    legend.display_mode(models.LegendDisplayMode.TABLE).calcs(["lastNotNull", "max"])
    graph = timeseries.Panel().legend(legend).min(0).line_width(1)
    graph.fill_opacity(20 if panel.stacked else 5)
    graph.tooltip(common.VizTooltipOptions().mode(models.TooltipDisplayMode.MULTI))
    if panel.stacked:
        graph.stacking(common.StackingConfig().mode(models.StackingMode.NORMAL))
    if panel.thresholds:
        style = common.GraphThresholdsStyleConfig().mode(models.GraphThresholdsStyleMode.DASHED)
        graph.thresholds_style(style)
    return graph


def _thresholds(warning: float, alarm: float) -> dashboard.ThresholdsConfig:
    """Colours from the bottom up; ``warning`` above ``alarm`` says that less is worse."""
    if warning > alarm:
        steps = [(None, _ALARM), (alarm, _WARNING), (warning, _OK)]
    elif warning < alarm:
        steps = [(None, _OK), (warning, _WARNING), (alarm, _ALARM)]
    else:
        steps = [(None, _OK), (alarm, _ALARM)]
    return (
        dashboard.ThresholdsConfig()
        .mode(grafana.ThresholdsMode.ABSOLUTE)
        .steps([grafana.Threshold(value=value, color=colour) for value, colour in steps])
    )


def _runbook(runbook: Mapping[str, str], numbers: Mapping[str, int]) -> dashboard.Dashboard:
    board = _new("runbook", "General-Level: runbook", "What to do about each alert.")
    for alert, words in runbook.items():
        panel = text.Panel().id(numbers[alert]).title(alert).span(24 if not alert else 12)
        panel.height(4 if not alert else 12).mode(text_models.TextMode.MARKDOWN)
        # What it links to lies beside the page and not in Grafana.
        board.with_panel(panel.content(_LINK.sub(r"\1", words.strip())))
    return board


def main() -> int:
    files = made()
    if "--verify" not in sys.argv[1:]:
        for name, content in files.items():
            (FOLDER / name).write_text(content, "utf-8")
        return 0
    stored = {path.name: path.read_text("utf-8") for path in FOLDER.glob("*.json")}
    differ = sorted(
        name for name in files.keys() | stored.keys() if files.get(name) != stored.get(name)
    )
    for name in differ:
        print(f"deploy/dashboards/{name} is not current; run `make pages`", file=sys.stderr)
    return 1 if differ else 0


if __name__ == "__main__":
    sys.exit(main())
