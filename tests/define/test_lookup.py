"""Functions that cannot be found, and inputs that may be missing, are said before anything runs; no module is imported for it."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from taskengine.define import Finding, check, load_file, load_text, render_findings
from taskengine.define.document import load_file as load

TASKS = """
import json as parsed
from pathlib import Path as Place

raise SystemExit("imported!")

def extract(): ...
async def transform(): ...
load = extract
first, second = extract, transform

class Shelf:
    def count(self): ...

try:
    from there import found
except ImportError:
    def found(): ...

if True:
    def guarded(): ...
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "tasks.py").write_text(TASKS)
    (tmp_path / "open.py").write_text("from tasks import *\n")
    (tmp_path / "lazy.py").write_text("def __getattr__(name): ...\n")
    (tmp_path / "broken.py").write_text("def broken(:\n")
    (tmp_path / "pack").mkdir()
    (tmp_path / "pack" / "inner.py").write_text("def deep(): ...\n")
    return tmp_path


def findings(folder: Path, function: str) -> list[Finding]:
    file = folder / "w.yaml"
    file.write_text(f"name: w\nsteps:\n  - id: a\n    type: function\n    config: {{function: '{function}'}}\n")
    checked = load(file, finds_functions=True)
    assert checked.workflow is not None
    return [finding for finding in checked.findings if finding.name == "function_not_found"]


@pytest.mark.parametrize(
    "function",
    [f"tasks:{name}" for name in ("extract", "transform", "load", "first", "second", "Shelf.count", "found", "guarded", "parsed")]
    + [
        "open:anything",
        "lazy:anything",
        "broken:anything",
        "pack.inner:deep",
        "json:dumps",
        "json.decoder:JSONDecoder",
        "os.path:join",
    ]
    + ["math:sqrt", "sys:exit", "taskengine.define:check", "tests.define.test_lookup:findings"],
)
def test_a_function_that_is_there_or_may_be_is_not_doubted(folder: Path, function: str) -> None:
    assert findings(folder, function) == []


@pytest.mark.parametrize(
    ("function", "reason", "hint"),
    [
        ("tasks:exract", 'tasks.py has no "exract"', 'did you mean "tasks:extract"?'),
        ("taks:extract", 'there is no module "taks"', 'did you mean "tasks:extract"?'),
        ("pack.iner:deep", 'there is no module "pack.iner"', "is the file beside"),
        ("json:dump_all_of_it", 'has no "dump_all_of_it"', "is the file beside"),
        ("extract", "nothing registers it", 'write "tasks:extract"'),
        ("something_else", "nothing registers it", "module:function"),
    ],
)
def test_a_function_that_is_not_there_is_a_warning_at_its_place(folder: Path, function: str, reason: str, hint: str) -> None:
    (finding,) = findings(folder, function)
    assert finding.severity == "warning"
    assert reason in finding.message
    assert hint in finding.hint
    assert (finding.line, finding.column) == (5, 24)
    checked = load(folder / "w.yaml", finds_functions=True)
    assert "^^^" in render_findings(checked, color=False)


def test_looking_imports_nothing(folder: Path) -> None:
    before = set(sys.modules)
    findings(folder, "tasks:extract")
    findings(folder, "wsgiref.handlers:nothing")
    assert not {"tasks", "wsgiref", "wsgiref.handlers"} & (set(sys.modules) - before)


def test_functions_are_looked_for_only_when_that_is_asked_for(folder: Path) -> None:
    findings(folder, "tasks:exract")
    assert load_file(folder / "w.yaml").findings == ()


OPTIONAL = """
name: w
input: {{type: object, properties: {{flag: {{type: boolean}}, n: {{type: integer}}}}, required: [n]}}
steps:
  - id: a
    type: noop
    when: "{when}"
"""


@pytest.mark.parametrize("when", ["input.flag", "input.n > 1 and input.flag", "not input.flag"])
def test_a_condition_that_reads_an_optional_input_is_warned_of(when: str) -> None:
    checked = load_text(OPTIONAL.format(when=when), file="w.yaml")
    (finding,) = checked.findings
    assert (finding.name, finding.severity, finding.code) == ("optional_input", "warning", "TE1404")
    assert finding.column == 12 + when.index("input.flag")
    assert [one.name for one in check(checked.require())] == ["optional_input"]


@pytest.mark.parametrize(
    "when",
    ["input.n > 1", "input.flag|default(false)", "input.flag is defined and input.flag", "true if input.n > 1 else input.flag"],
)
def test_a_condition_that_takes_care_or_reads_what_is_required_is_not(when: str) -> None:
    assert load_text(OPTIONAL.format(when=when), file="w.yaml").findings == ()
