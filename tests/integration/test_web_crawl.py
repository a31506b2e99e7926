"""Every page that a reader can reach from the first one, with standings of hostile names."""

from __future__ import annotations

import re
from collections import Counter, deque
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urldefrag, urljoin, urlsplit
from xml.etree import ElementTree

import html5lib
import httpx2

from services.gateway.web.security import HEADERS
from tests.support.gateway import eventually
from tests.support.site import site
from tests.support.standings_made import boards_of, publish_all

HOSTILE = {
    0: "<script>alert(1)</script>",
    1: '\'" onmouseover=alert(1) x="',
    2: "turned \u202egpj.exe \u2066x",
    3: "M" * 300,
    4: "{{ 7 * 7 }}{% raw %}",
    5: "]]><!--<style>*{display:none}</style>",
    6: "🦜 \N{COMBINING ACUTE ACCENT}\N{COMBINING ACUTE ACCENT} \u202e",
}
MODELS = 8
#: Pages of one kind that are looked at.
EXAMPLES = 2
#: Never in a page: they would run, or turn the order of letters.
RAW = ("<script>alert", 'onmouseover=alert(1) x="', "<style>*{", "\u202e", "\u2066")
_NAME = re.compile(r"[a-z][a-z-]*")


@dataclass
class Crawl:
    """What was found, by kind of page: how many, and links that were not followed."""

    client: httpx2.AsyncClient
    pages: Counter[str] = field(default_factory=Counter)
    addresses: list[str] = field(default_factory=list)

    async def run(self) -> None:
        waiting, seen = deque(["/"]), {"/"}
        while waiting:
            address = waiting.popleft()
            kind = kind_of(address)
            if self.pages[kind] >= EXAMPLES:
                continue
            self.pages[kind] += 1
            self.addresses.append(address)
            for link in await self.look(address):
                if link not in seen:
                    seen.add(link)
                    waiting.append(link)

    async def look(self, address: str) -> list[str]:
        """Asserts what holds for every answer; the links to others of this site."""
        answer = await self.client.get(address, headers={"accept": "text/html"})
        if answer.status_code == 303:
            # Who is not signed in.
            assert address.startswith("/portal"), address
            assert self.inside(address, answer.headers["location"]), address
            return [answer.headers["location"]]
        assert answer.status_code == 200, address
        picture = answer.headers["content-type"].startswith("image/svg+xml")
        for name, value in HEADERS.items():
            # A picture may style itself, and no more than that.
            if not (picture and name == "content-security-policy"):
                assert answer.headers[name] == value, (address, name)
        policy = answer.headers["content-security-policy"]
        assert "'unsafe-inline'" not in policy or (picture and "default-src 'none'" in policy)
        if "/static/" not in address and answer.headers["cache-control"] != "no-store":
            tag = {"if-none-match": answer.headers["etag"]}
            again = await self.client.get(address, headers=tag | {"accept": "text/html"})
            assert (again.status_code, again.content) == (304, b""), address
        if picture:
            self.check_picture(address, answer)
        if answer.headers["content-type"].startswith("text/html"):
            return self.check_page(address, answer.text)
        return []

    def check_page(self, address: str, text: str) -> list[str]:
        for raw in RAW:
            assert raw not in text, (address, raw)
        # Strict: what a browser would have to mend is an error.
        parser = html5lib.HTMLParser(strict=True, namespaceHTMLElements=False)
        document = parser.parse(text)
        assert len(document.findall(".//h1")) == 1, address
        title = document.findtext(".//title") or ""
        assert title.strip(), address
        assert document.get("lang") == "en", address
        links = []
        identifiers: Counter[str] = Counter()
        for element in document.iter():
            if not isinstance(element.tag, str):
                continue
            assert element.tag != "style", address
            assert element.tag != "script" or element.get("src"), address
            if element.get("id"):
                identifiers[element.get("id")] += 1
            for name, value in element.items():
                assert name != "style", (address, element.tag)
                assert not name.startswith("on"), (address, name)
                if name in {"src", "srcset", "action", "data-events", "poster", "data"} or (
                    name == "href" and element.tag == "link"
                ):
                    assert self.inside(address, value), (address, value)
                if name in {"href", "src"}:
                    assert urlsplit(value).scheme in {"", "http", "https"}, (address, value)
                    target = urldefrag(urljoin(address, value))[0]
                    if self.inside(address, value):
                        links.append(target)
        assert [name for name, count in identifiers.items() if count > 1] == [], address
        return links

    def check_picture(self, address: str, answer: httpx2.Response) -> None:
        assert "\u202e" not in answer.text, address
        for element in ElementTree.fromstring(answer.content).iter():
            tag = element.tag.rpartition("}")[2]
            assert tag not in {"script", "foreignObject", "image"}, (address, tag)
            for name, value in element.items():
                assert not name.startswith("on"), (address, name)
                if name.endswith("href"):
                    assert value.startswith("#") or self.inside(address, value), (address, value)

    def inside(self, address: str, value: str) -> bool:
        return not urlsplit(urljoin(address, value)).netloc


def kind_of(address: str) -> str:
    """An address without what differs between pages of one kind."""
    parts = urlsplit(address)
    segments = [segment for segment in parts.path.split("/") if segment]
    shape = [
        segment if number == 0 or _NAME.fullmatch(segment) else f"*{Path(segment).suffix}"
        for number, segment in enumerate(segments)
    ]
    names = sorted({pair.partition("=")[0] for pair in parts.query.split("&")} - {""})
    return "/" + "/".join(shape) + ("?" + "&".join(names) if names else "")


async def test_every_page_that_is_linked_is_whole_and_safe(tmp_path: Path) -> None:
    async with site(tmp_path) as (gateway, client):
        publish_all(gateway.database, boards_of(MODELS, 1, HOSTILE))

        async def shown() -> bool:
            # The last board of them, in the order in which they are published.
            answer = await client.get("/boards/C-text-generation.json")
            return answer.status_code == 200

        await eventually(shown, 60)
        crawl = Crawl(client)
        await crawl.run()
        for kind in ("/", "/boards", "/boards/*", "/models/*", "/tasks", "/tasks/*", "/take-part"):
            assert crawl.pages[kind], kind
