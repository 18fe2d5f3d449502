"""The README and the other pages: their Python runs, their links lead somewhere.

Blocks marked `python` run, those of a page one after the other in one namespace; fragments are
marked `py`, which looks the same and does not run. A `text` block after the comment
`<!-- printed -->` is what the block before it prints. On architecture.md every block is one of
these or, after `<!-- rooms -->`, the diagram of the packages.
"""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGES = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "SECURITY.md")),
    *sorted((ROOT / "docs").glob("*.md")),
    *sorted((ROOT / "src" / "airllm" / "cpp_ext").glob("*.md")),
]
BLOCK = re.compile(
    r"^```python\n(?P<code>.*?)^```$(?:\s*^<!-- printed -->\s*^```text\n(?P<printed>.*?)^```$)?",
    re.MULTILINE | re.DOTALL,
)
FENCED = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\(([^)\s]+)\)")

pytestmark = pytest.mark.checkout


def blocks_of(page: Path) -> list[tuple[str, str | None]]:
    """The Python of a page, moved down to the lines it has there, and what it prints."""
    text = page.read_text(encoding="utf-8")
    return [
        ("\n" * text.count("\n", 0, found.start("code")) + found["code"], found["printed"])
        for found in BLOCK.finditer(text)
    ]


def with_code() -> list:
    """The pages that have Python to run, marked by what it needs."""
    found = []
    for page in PAGES:
        code = "\n".join(code for code, _ in blocks_of(page))
        marks = [pytest.mark.torch] if "import torch" in code else []
        marks += [pytest.mark.cpp] if ".schedules()" in code else []
        if code:
            found.append(pytest.param(page, id=f"{page.parent.name}/{page.name}", marks=marks))
    return found


@pytest.mark.parametrize("page", with_code())
def test_python_of_a_page_runs_and_prints_what_the_page_says(page, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    namespace = {"__name__": page.stem}
    for code, printed in blocks_of(page):
        exec(compile(code, str(page), "exec"), namespace)
        found = capsys.readouterr().out
        if printed is not None:
            assert found.strip() == printed.strip()


def test_a_page_says_somewhere_what_is_printed():
    assert sum(printed is not None for page in PAGES for _, printed in blocks_of(page)) >= 4


ARCHITECTURE = ROOT / "docs" / "architecture.md"
ROOMS = re.compile(r"^<!-- rooms -->\s*^```text\n(?P<diagram>.*?)^```$", re.MULTILINE | re.DOTALL)


def test_every_block_of_the_architecture_is_checked():
    text = ARCHITECTURE.read_text(encoding="utf-8")
    left = ROOMS.sub("", BLOCK.sub("", text))
    assert FENCED.findall(left) == []
    assert sum(printed is not None for _, printed in blocks_of(ARCHITECTURE)) >= 8


def test_the_rooms_that_are_drawn_are_there_and_all_are_named():
    """Packages in the diagram, as `gint.host` or `gint.kernel.{a, b}`; modules by their file."""
    text = ARCHITECTURE.read_text(encoding="utf-8")
    (diagram,) = ROOMS.findall(text)
    drawn = re.findall(r"\b((?:gint|airllm)(?:\.\w+)+)(?:\.\{([\w, ]+)\})?", diagram)
    assert len(drawn) >= 7
    for name, parts in drawn:
        for part in parts.split(", "):
            path = ROOT / "src" / "/".join([*name.split("."), part])
            assert path.is_dir() or path.with_suffix(".py").is_file(), f"{name}.{part}"
    for package in ("gint", "airllm"):
        for path in (ROOT / "src" / package).glob("*/__init__.py"):
            assert f"{package}.{path.parent.name}" in text, f"{path.parent} is not on the page"


def anchors_of(page: Path) -> set[str]:
    """The anchors that GitHub gives to a page's headings."""
    text = FENCED.sub("", page.read_text(encoding="utf-8"))
    headings = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    plain = (re.sub(r"[^\w\- ]", "", heading.lower()) for heading in headings)
    return {heading.strip().replace(" ", "-") for heading in plain}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: f"{page.parent.name}/{page.name}")
def test_links_lead_to_files_and_headings(page):
    for link in LINK.findall(FENCED.sub("", page.read_text(encoding="utf-8"))):
        if "://" in link:
            continue
        path, _, anchor = link.partition("#")
        target = page.parent / path if path else page
        assert target.exists(), f"{page.name}: {link}: there is no such file"
        if anchor:
            assert anchor in anchors_of(target), f"{page.name}: {link}: there is no such heading"


def test_targets_of_make_that_pages_name_exist():
    named = re.compile(r"(?:^|`)make ([a-z][\w-]*)", re.MULTILINE)
    targets = set(
        re.findall(r"^([a-z][\w-]*):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE)
    )
    for page in PAGES:
        unknown = set(named.findall(page.read_text(encoding="utf-8"))) - targets
        assert not unknown, f"{page.name} names targets that the Makefile lacks"
    assert {"demo", "test"} <= set(named.findall((ROOT / "README.md").read_text(encoding="utf-8")))


@pytest.mark.torch
@pytest.mark.parametrize("page", ["README.md", "docs/conductor.md"])
def test_the_options_of_a_page_are_those_of_the_backend(page):
    pytest.importorskip("torch")
    from gint.conductor.options import Options

    rows = re.findall(r"^\| `(\w+)` \| `(\w+)` \|", (ROOT / page).read_text("utf-8"), re.MULTILINE)
    assert rows == [(field.name, repr(field.default)) for field in fields(Options)]


def test_source_files_that_pages_name_exist():
    """Names in backticks that end like a source file, whole or from some folder on."""
    named = re.compile(r"`([\w./-]+\.(?:py|cpp|h|c|toml))`")
    folders = ("src", "tests", "benchmarks", "scripts", "tools")
    known = {path.name for path in ROOT.iterdir()}
    known |= {path.as_posix() for folder in folders for path in (ROOT / folder).rglob("*.*")}
    for page in PAGES:
        for name in named.findall(page.read_text(encoding="utf-8")):
            if "/blocks/" in name:  # the example of adding-a-backend.md
                continue
            found = any(path == name or path.endswith(f"/{name}") for path in known)
            assert found, f"{page.name} names {name}, and there is no such file"
