"""The page: self-contained and complete."""

from __future__ import annotations

from html.parser import HTMLParser

from gint.demo.page import Chapter, render
from gint.measuring.first_call import Measurement

RECORD = {
    "programs": 3,
    "instructions": 40,
    "externs": {},
    "fallbacks": [["n", "aten.x.default", "a <reason> & more"]],
}
CHAPTER = Chapter(
    "Llama",
    "Llama, small",
    (
        Measurement("llama", "eager", 0.05, (0.05, 0.05), 0.0),
        Measurement("llama", "gint", 1.5, (0.04, 0.04), 1e-6, statistics=(RECORD,)),
        Measurement("llama", "inductor", failure="none was found (CXX, <g++>)"),
    ),
)


class Tags(HTMLParser):
    """Collects the tags, and what would be loaded from elsewhere."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.outside: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag != "meta":
            self.open.append(tag)
        self.outside += [v for k, v in attrs if k in ("src", "href") and v]

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_page_closes_its_tags_and_loads_nothing() -> None:
    tags = Tags()
    tags.feed(render([CHAPTER], "one machine"))
    assert tags.open == []
    assert tags.outside == []


def test_page_escapes_and_tells_everything() -> None:
    page = render([CHAPTER], "one <machine>")
    assert "one &lt;machine&gt;" in page
    assert "a &lt;reason&gt; &amp; more" in page
    assert "(CXX, &lt;g++&gt;)" in page
    assert "prefers-color-scheme: dark" in page
    assert page.count("<svg") == 1


def test_page_without_any_numbers_has_no_picture() -> None:
    failed = Chapter("x", "x", (Measurement("llama", "gint", failure="why"),))
    assert "<svg" not in render([failed], "")
