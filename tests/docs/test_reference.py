"""The reference pages are what the code says."""

from __future__ import annotations

from pathlib import Path

import pytest

from tools.reference import made

PAGES = made()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_page_is_made_from_the_code_as_it_is(page: Path) -> None:
    assert page.read_text(encoding="utf-8") == PAGES[page], "run: make docs"
