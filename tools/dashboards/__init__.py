"""What each dashboard shows: the questions of whoever is on call, in the order they are asked."""

from __future__ import annotations

from typing import Final

from tools.dashboards.fairness import FAIRNESS
from tools.dashboards.graders import GRADERS
from tools.dashboards.overview import OVERVIEW
from tools.dashboards.pages import PAGES
from tools.dashboards.panel import Dashboard, Panel
from tools.dashboards.queue import QUEUE

__all__ = ["DASHBOARDS", "Dashboard", "Panel"]

DASHBOARDS: Final = (OVERVIEW, QUEUE, GRADERS, FAIRNESS, PAGES)
