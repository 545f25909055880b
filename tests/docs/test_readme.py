"""The READMEs' examples, done as printed, in an empty folder, as somebody who reads nothing else would."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tools.pages import blocks, differences

ROOT = Path(__file__).resolve().parents[2]
READMES = ["README.md", "README.zh-CN.md"]


@pytest.mark.processes
@pytest.mark.parametrize("name", READMES)
def test_the_readme_is_done_as_it_says(name: str, tmp_path: Path) -> None:
    found = list(differences((ROOT / name).read_text(encoding="utf-8"), tmp_path))
    assert not found, "\n\n".join(str(one) for one in found)


def test_both_languages_show_the_same_examples() -> None:
    ours, theirs = (blocks((ROOT / name).read_text(encoding="utf-8")) for name in READMES)
    assert [(one.kind, one.file) for one in ours] == [(one.kind, one.file) for one in theirs]
    assert len([one for one in ours if one.kind in {"console", "python"} and not one.file]) >= 3


@pytest.mark.parametrize(
    "name", [*READMES, "ARCHITECTURE.md", "CONTRIBUTING.md", "docs/guarantees.md", "docs/README.md", "examples/weather/README.md"]
)
def test_every_link_and_every_named_folder_exists(name: str) -> None:
    page = ROOT / name
    text = page.read_text(encoding="utf-8")
    targets = [target for target in re.findall(r"\]\(([^)#]+)[^)]*\)", text) if "://" not in target]
    targets += [f"/{path}" for path in re.findall(r"`((?:tests|src|docs|bench|tools)/[\w/.]+)`", text)]
    missing = [one for one in targets if not (ROOT / one.lstrip("/") if one.startswith("/") else page.parent / one).exists()]
    assert not missing
