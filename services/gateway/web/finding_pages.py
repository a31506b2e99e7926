"""What each code of a finding means, from the checker's own table."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from general_level.submission.codes import CONTENT_CODES, RULES
from services.gateway.web.answers import Answers
from services.gateway.web.rendering import Pages


class FindingPages:
    """``/findings``, with an anchor for each code, such as ``/findings#GL101``."""

    def __init__(self, *, pages: Pages, answers: Answers) -> None:
        self._pages = pages
        self._answers = answers

    def routes(self) -> list[Route]:
        """The one page."""
        return [Route("/findings", self.findings)]

    async def findings(self, request: Request) -> Response:
        """All codes with what they say and what to do."""
        return await self._answers.answer(
            request,
            self._pages.version,
            lambda: self._pages.render("findings.html", rules=RULES, content_codes=CONTENT_CODES),
        )
