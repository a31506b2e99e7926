"""What the benchmark is made of, what changed, by which rules, and thanks to whom."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from general_level.catalogue import Catalogue, load
from general_level.catalogue.differences import (
    CatalogueDifferences,
    compare_catalogues,
    compare_lists,
)
from general_level.fairness import WINDOWS
from services.gateway.web.answers import Answers
from services.gateway.web.records import Records
from services.gateway.web.rendering import Pages
from services.gateway.web.rules import mapping_rules, window_text

#: Earlier versions of the benchmark that the page of changes goes back to.
VERSIONS_MAX: Final = 20


class AboutPages:
    """Handlers of ``/versions``, ``/rules`` and ``/acknowledgements``: the catalogue and `Records`.

    What the catalogue tells never changes while a gateway runs; it is worked out when first asked.
    """

    def __init__(
        self, *, catalogue: Catalogue, records: Records, pages: Pages, answers: Answers
    ) -> None:
        self._catalogue = catalogue
        self._records = records
        self._pages = pages
        self._answers = answers

    def routes(self) -> list[Route]:
        """In the order in which they are tried."""
        return [
            Route("/versions", self.versions),
            Route("/rules", self.rules),
            Route("/acknowledgements", self.acknowledgements),
        ]

    async def versions(self, request: Request) -> Response:
        """What this version of the benchmark has, and what changed on the boards and before."""
        return await self._answer(request, "versions.html", self._versions)

    async def rules(self, request: Request) -> Response:
        """Fairness, scoring and appeals."""
        return await self._answer(request, "rules.html", self._rules)

    async def acknowledgements(self, request: Request) -> Response:
        """Contributors of data, and the specialists that hold the references."""
        return await self._answer(request, "acknowledgements.html", self._acknowledgements)

    async def _answer(
        self, request: Request, template: str, values: Callable[[], Mapping[str, Any]]
    ) -> Response:
        return await self._answers.answer(
            request,
            f"{self._pages.version}/{self._catalogue.id}/{self._records.version}",
            lambda: self._pages.render(template, catalogue=self._catalogue, **values()),
        )

    def _versions(self) -> Mapping[str, Any]:
        catalogue = self._catalogue
        first = catalogue.references()
        steps: list[tuple[Catalogue, Catalogue, CatalogueDifferences]] = []
        newer = catalogue
        while newer.follows and len(steps) < VERSIONS_MAX:
            older = load(name=newer.follows)
            steps.append((older, newer, compare_catalogues(older, newer)))
            newer = older
        return {
            "applied": [one for one in self._records.applied if one.task_id in catalogue.tasks],
            "differences": [
                (first, other, compare_lists(first, other))
                for other in catalogue.reference_lists.values()
                if other.id != first.id
            ],
            "steps": steps,
            "used": Counter(task.metric_id for task in catalogue.tasks.values()),
            "groups": Counter((t.modality, t.paradigm) for t in catalogue.tasks.values()),
        }

    def _rules(self) -> Mapping[str, Any]:
        return {
            "windows": [window_text(window) for window in WINDOWS],
            "mappings": mapping_rules(self._catalogue),
        }

    def _acknowledgements(self) -> Mapping[str, Any]:
        held = Counter(t.specialist for t in self._catalogue.tasks.values() if t.specialist)
        return {
            "specialists": sorted(held.items(), key=lambda held: (-held[1], held[0].casefold()))
        }
