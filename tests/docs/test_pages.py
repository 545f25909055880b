"""Every page of the documentation is done as it says, in an empty folder, as somebody who reads nothing else would."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tools.pages import differences

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
ELSEWHERE = {"call-an-api.md", "test-a-workflow.md"}  # these have a test file of their own
PAGES = sorted(
    page.relative_to(ROOT).as_posix()
    for folder in ("tutorial", "how-to", "explanation")
    for page in (DOCS / folder).glob("*.md")
    if page.name not in ELSEWHERE
)


@pytest.mark.processes
@pytest.mark.parametrize("name", PAGES)
def test_the_page_is_done_as_it_says(name: str, tmp_path: Path) -> None:
    found = list(differences((ROOT / name).read_text(encoding="utf-8"), tmp_path))
    assert not found, "\n\n".join(str(one) for one in found)


def test_a_page_that_shows_something_else_is_found(tmp_path: Path) -> None:
    page = "```console\n$ echo one\none\n$ echo two\nthree\n$ false\n```\n\n```python\nprint(1)\n```\n\n```output\n2\n```\n"
    assert [one.what for one in differences(page, tmp_path)] == [
        "$ echo two (exit code 0)",
        "$ false (exit code 1)",
        "the program that begins 'print(1)' (exit code 0)",
    ]


def test_a_second_terminal_goes_on_while_the_first_waits(tmp_path: Path) -> None:
    page = (
        "```console first\n$ echo begun; while [ ! -e go ]; do :; done; echo gone on\nbegun\n```\n\n"
        "```console second\n$ touch go\n```\n\n```console first\ngone on\n```\n"
    )
    assert list(differences(page, tmp_path)) == []


def test_every_link_leads_somewhere_and_every_page_is_reached_from_the_index() -> None:
    reached, unread, missing = set[Path](), [DOCS / "README.md"], list[str]()
    while unread:
        page = unread.pop()
        reached.add(page)
        for link in re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text(encoding="utf-8")):
            target = (page.parent / link).resolve()
            if "://" in link:
                continue
            if not target.exists():
                missing.append(f"{page.relative_to(ROOT)}: {link}")
            elif target.suffix == ".md" and target.is_relative_to(DOCS) and target not in reached:
                unread.append(target)
    assert missing == []
    decisions = set((DOCS / "adr").glob("*.md"))  # reached by their folder
    assert {page.relative_to(DOCS) for page in {*DOCS.rglob("*.md")} - decisions - reached} == set()
