"""The documentation as built by `make docs`: links and pictures lead somewhere, and nothing comes from outside."""

from __future__ import annotations

import re
from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

from pgcgan.cli import app

SITE = Path(__file__).parents[2] / "site"
# 404.html is for servers: its links are those of a root that a folder does not have
PAGES = sorted(p for p in SITE.glob("**/*.html") if p.name != "404.html")
FETCHED = {"script": "src", "img": "src", "link": "href", "iframe": "src", "source": "src", "object": "data"}


class Page(HTMLParser):
    """Anchors, links and fetched files of one page, and its words."""

    def __init__(self, path: Path):
        super().__init__()
        self.anchors: set[str] = set()
        self.links: list[str] = []
        self.fetched: list[str] = []
        self.words: list[str] = []
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Take what a tag links to, fetches and marks."""
        given = dict(attrs)
        self.anchors |= {value for name in ("id", "name") if (value := given.get(name))}
        if tag == "a" and given.get("href"):
            self.links.append(str(given["href"]))
        if tag in FETCHED and given.get(FETCHED[tag]) and given.get("rel") not in ("canonical", "next", "prev"):
            self.fetched.append(str(given[FETCHED[tag]]))

    def handle_data(self, data: str) -> None:
        """Take words."""
        self.words.append(data)


@cache
def anchors_of(path: Path) -> set[str]:
    """Return the anchors of a page."""
    return Page(path).anchors


def test_the_site_has_been_built() -> None:
    assert {p.name for p in PAGES} >= {"index.html", "commands.html", "api.html", "benchmarks.html", "faq.html"}


@pytest.mark.parametrize("path", PAGES, ids=lambda p: p.name)
def test_links_and_anchors_lead_somewhere(path: Path) -> None:
    broken = []
    for link in Page(path).links:
        parts = urlsplit(link)
        if parts.scheme in ("http", "https", "mailto"):
            continue
        target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
        if target.is_dir():
            target /= "index.html"
        anchors = anchors_of(target) if target.is_file() else None
        if anchors is None or (parts.fragment and unquote(parts.fragment) not in anchors):
            broken.append(link)
    assert broken == []


@pytest.mark.parametrize("path", PAGES, ids=lambda p: p.name)
def test_nothing_is_fetched_from_outside(path: Path) -> None:
    for address in Page(path).fetched:
        parts = urlsplit(address)
        assert (parts.scheme, parts.netloc) in {("", ""), ("data", "")}, address
        assert parts.scheme == "data" or (path.parent / parts.path).is_file(), address


def test_style_sheets_fetch_nothing_from_outside() -> None:
    sheets = list(SITE.glob("**/*.css"))
    assert sheets
    for sheet in sheets:
        text = sheet.read_text(encoding="utf-8")
        assert not re.search(r"@import|url\(['\"]?(https?:)?//", text), sheet.name


def test_every_command_and_option_has_its_place(capsys: pytest.CaptureFixture[str]) -> None:
    text = "".join(Page(SITE / "commands.html").words)
    sections = re.split(r"^pgcgan (\w+)¶?$", text, flags=re.MULTILINE)
    described = dict(zip(sections[1::2], sections[2::2], strict=True))
    commands = [name for name in app if not name.startswith("-")]
    assert set(described) == set(commands)
    for name in commands:
        app([name, "--help"], exit_on_error=False, result_action="return_value")
        options = set(re.findall(r"(?<![\w-])--[a-z][a-z-]*", capsys.readouterr().out)) - {"--help", "--version"}
        assert [option for option in sorted(options) if option not in described[name]] == [], name


def test_every_public_name_has_its_docstring() -> None:
    import pgcgan

    anchors = Page(SITE / "api.html").anchors
    for name in pgcgan.__all__:
        if name != "__version__":
            place = f"{getattr(pgcgan, name).__module__}.{name}"
            assert place in anchors, place
