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


TAKERS = """
from taskengine import task, TaskContext
from functools import cache

def greet(name, *, times=1): ...
def greet_all(names, **more): ...
async def nothing(): ...
def with_context(ctx, it): ...
def with_typed_context(here: "taskengine.TaskContext", it): ...
@task(retry=3)
def tasked(name): ...
@cache
def changed(name): ...
def twice(name): ...
twice = changed
"""


def taken(folder: Path, function: str, given: str) -> list[Finding]:
    (folder / "takers.py").write_text(TAKERS)
    file = folder / "w.yaml"
    file.write_text(
        "name: w\nsteps:\n  - {id: it, type: noop}\n"
        f"  - {{id: a, type: function, depends_on: [it], config: {{function: 'takers:{function}'{given}}}}}\n"
    )
    return list(load(file, finds_functions=True).findings)


@pytest.mark.parametrize(
    ("function", "given"),
    [
        ("greet", ", params: {name: Ada}"),
        ("greet", ", params: {name: Ada, times: 2}"),
        ("greet", "}, input_mapping: {name: '{{ input.x }}'"),
        ("greet_all", ", params: {names: [], other: 1}"),
        ("nothing", ""),
        ("with_context", ""),
        ("with_typed_context", ""),
        ("tasked", ", params: {name: Ada}"),
        ("changed", ", params: {other: 1}"),
        ("twice", ", params: {other: 1}"),
    ],
)
def test_parameters_that_fit_or_may_fit_are_not_doubted(folder: Path, function: str, given: str) -> None:
    assert taken(folder, function, given) == []


@pytest.mark.parametrize(
    ("function", "given", "found"),
    [
        (
            "greet",
            ", params: {nmae: Ada, times: 2}",
            [
                ("TE1407", 'the function "takers:greet" has 1 parameter that nothing gives: name', "add params: {name: …}"),
                ("TE1406", 'the function "takers:greet" takes no parameter "nmae"', 'did you mean "name"?'),
            ],
        ),
        ("greet", ", params: {name: Ada, colour: red}", [("TE1406", 'no parameter "colour"', "it takes name, times")]),
        ("nothing", "}, input_mapping: {x: 1", [("TE1406", 'no parameter "x"', "it takes no parameters")]),
        ("greet_all", "", [("TE1407", "nothing gives: names", "name the parameter after a dependency")]),
        ("tasked", "", [("TE1407", "nothing gives: name", "")]),
    ],
)
def test_parameters_that_do_not_fit_are_warned_of(
    folder: Path, function: str, given: str, found: list[tuple[str, str, str]]
) -> None:
    warned = taken(folder, function, given)
    assert [one.code for one in warned] == [code for code, _, _ in found]
    for one, (_, message, hint) in zip(warned, found, strict=True):
        assert (one.severity, one.line) == ("warning", 4)
        assert message in one.message
        assert hint in one.hint


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


@pytest.mark.parametrize(
    ("container", "missing"),
    [
        ("type: map, config: {items: [1]}", []),
        ("type: loop, config: {items: [1]}", []),
        ('type: loop, config: {until: "true", max_iterations: 2}', ["item"]),
        ("type: parallel", ["item, index"]),
    ],
)
def test_a_map_or_a_loop_gives_item_and_index(folder: Path, container: str, missing: list[str]) -> None:
    (folder / "takers.py").write_text("def load(item, index): ...\n")
    steps = "[{id: load, type: function, config: {function: 'takers:load'}}]"
    inside = f"branches: {{one: {steps}}}" if "parallel" in container else f"steps: {steps}"
    (folder / "w.yaml").write_text(f"name: w\nsteps:\n  - {{id: each, {container}, {inside}}}\n")
    warned = [one for one in load(folder / "w.yaml", finds_functions=True).findings if one.code == "TE1407"]
    assert [one.message.rpartition("gives: ")[2] for one in warned] == missing
