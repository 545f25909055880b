"""The list of findings: its words, its order, its bounds, and how people see it."""

from __future__ import annotations

import re
from string import Formatter
from textwrap import dedent

import pytest

from taskengine.define import BY_NAME, CODES, Checked, Finding, load_text, render_findings
from taskengine.errors import DefinitionError

GOLDEN = """\
error[TE1204]: step "load" depends on "transfrom", which does not exist
  --> etl.yaml:6:18
    5 |     type: noop
    6 |     depends_on: [transfrom]
      |                  ^^^^^^^^^ known steps: extract, transform, load
  hint: did you mean "transform"?
warning[TE1401]: step "pause" may wait for the signal "go" forever
  --> etl.yaml:9:22
    8 |     type: wait
    9 |     config: {signal: go}
      |                      ^^
  hint: give it a deadline: {signal: "go", deadline: 1d}
error[TE1301]: cycle: one → two → one
  --> etl.yaml:10:42, etl.yaml:11:42
    9 |     config: {signal: go}
   10 |   - {id: one, type: noop, depends_on: [  two]}
      |                                          ^^^
  hint: remove one of these dependencies
2 errors, 1 warning in 1 file
"""


def test_findings_are_shown_with_their_lines_a_caret_and_a_hint() -> None:
    text = dedent(
        """\
        name: etl
        steps:
          - {id: extract, type: noop}
          - id: load
            type: noop
            depends_on: [transfrom]
          - id: pause
            type: wait
            config: {signal: go}
          - {id: one, type: noop, depends_on: [  two]}
          - {id: two, type: noop, depends_on: [  one]}
        """
    )
    shown = render_findings(load_text(text.replace("  - {id: extract", "  - {id: transform"), file="etl.yaml"), color=False)
    assert shown == GOLDEN.replace("known steps: extract, transform, load", "known steps: transform, load, pause, one, two")


def test_colours_change_no_word() -> None:
    checked = load_text("nam: a\nsteps: []\n", file="a.yaml")
    colored = render_findings(checked, color=True)
    assert "\x1b[" in colored
    assert re.sub(r"\x1b\[[0-9;]*m", "", colored) == render_findings(checked, color=False)


def test_a_document_without_findings_is_one_line() -> None:
    checked = load_text("name: a\nsteps: [{id: a, type: noop}]\n", file="a.yaml")
    assert render_findings(checked, color=False) == "0 errors, 0 warnings in 1 file\n"


@pytest.mark.parametrize(
    ("line", "caret"),
    [
        ("description: [x]", "             ^^^"),
        ("tags: [漢字, 5]", "             ^"),
        ("description: [\t]", "             ^^^^^^"),
        ("tags: ['e\u0301', 5]", "            ^"),
    ],
    ids=["ascii", "wide", "tab", "combining"],
)
def test_carets_stand_under_what_they_mean_whatever_the_width_of_the_letters(line: str, caret: str) -> None:
    shown = render_findings(load_text(f"{line}\nname: a\nsteps: [{{id: a, type: noop}}]\n", file="a.yaml"), color=False)
    assert shown.splitlines()[3] == f"      | {caret}"


def test_of_a_long_line_only_the_part_around_the_place_is_shown() -> None:
    text = (
        "variables: {" + ", ".join(f"k{number}: 1" for number in range(2_000)) + ", k7: 2}\nname: a\nsteps: [{id: a, type: noop}]\n"
    )
    lines = render_findings(load_text(text, file="a.yaml"), color=False).splitlines()
    assert max(len(line) for line in lines) < 140
    assert lines[2].startswith("    1 | …")
    column = lines[3].index("^")
    assert lines[2][column:].startswith("k7: 2}")


def test_nothing_from_a_document_can_move_the_cursor() -> None:
    text = 'name: a\n"\\e[31m\\u202e": 1\ndescription: [\u202e\u200f]\nsteps: [{id: "\\e]0;x\\a", type: noop}]\n'
    shown = render_findings(load_text(text, file="\x1b[2Ja.yaml"), color=False)
    assert all(character.isprintable() or character == "\n" for character in shown)
    assert "\\x1b[2Ja.yaml" in shown


def test_findings_stand_in_the_order_of_the_text() -> None:
    text = "output: '{{ item }}'\nsteps:\n  - {id: a, type: noop, when: 1 +, tags: 5}\n  - {type: nop, id: b-}\nnam: a\n"
    places = [(finding.line, finding.column) for finding in load_text(text, file="a.yaml").findings]
    assert len(places) == 6
    assert places == sorted(places)


def test_the_list_is_bounded_and_says_so() -> None:
    text = "name: a\nsteps: [{id: a, type: noop}]\n" + "".join(f"k{number}: 1\n" for number in range(300))
    findings = load_text(text, file="a.yaml").findings
    assert len(findings) == 101
    assert [finding.name for finding in findings[:100]] == ["unknown_key"] * 100
    assert findings[100].name == "too_many_findings"
    assert "100" in findings[100].message


@pytest.mark.parametrize(
    ("written", "hint"),
    [
        ("jion: all_done", 'did you mean "join"?'),
        ("dependsOn: [step_b]", 'did you mean "depends_on"?'),
        ("needs: [step_b]", 'did you mean "depends_on"?'),
        ("if: input.x", 'did you mean "when"?'),
        ("function: f", "write it under `config`"),
        ("join: all-success", 'did you mean "all_success"?'),
        ("idempotent: off", "write false"),
        ("timeout: 5 minutes", "write 5m"),
        ("timeout: PT1H30M", "write 1h30m"),
        ('timeout: "60"', "write 60s, or the number without quotes for seconds"),
        ("timeout: 90 Seconds", "write 90s"),
        ("depends_on: [step_e]", 'did you mean "step_b"?'),
        ("when: variables.batch_sise > 1", 'did you mean "batch_size"?'),
        ("depends_on: step_b, when: steps.step_b.rows > 1", "did you mean steps.step_b.output.rows?"),
    ],
)
def test_a_hint_names_what_was_probably_meant(written: str, hint: str) -> None:
    text = f"name: a\nvariables: {{batch_size: 1}}\nsteps:\n  - {{id: step_b, type: noop}}\n  - {{id: a, type: noop, {written}}}\n"
    assert load_text(text, file="a.yaml").findings[0].hint == hint


def test_a_mistyped_key_is_read_as_what_it_meant_so_that_nothing_follows_from_it() -> None:
    text = "name: a\nsteps:\n  - {ide: fetch, typ: noop}\n  - {id: load, type: noop, depend_on: [fetch, nowhere]}\n"
    names = [finding.name for finding in load_text(text, file="a.yaml").findings]
    assert names == ["unknown_key", "unknown_key", "unknown_key", "unknown_dependency"]


def test_what_could_not_be_read_is_not_judged() -> None:
    text = dedent(
        """\
        name: a
        variables: 5
        steps:
          - {name: nameless, type: noop}
          - {id: b, type: noop, depends_on: [a, [c]], when: steps.x.output == variables.y}
          - {id: d, type: noop, depends_on: 7, when: steps.b.output == 1}
        """
    )
    names = [finding.name for finding in load_text(text, file="a.yaml").findings]
    assert names == ["wrong_type", "missing_key", "wrong_type", "wrong_type"]


def test_nothing_is_claimed_about_the_order_behind_an_unknown_dependency() -> None:
    text = (
        "name: a\nsteps:\n  - {id: fetch, type: noop}\n  - {id: b, type: noop, depends_on: fetsch, when: steps.fetch.output == 1}\n"
    )
    assert [finding.name for finding in load_text(text, file="a.yaml").findings] == ["unknown_dependency"]


def test_requiring_a_workflow_with_errors_raises_the_first_with_its_place() -> None:
    checked = load_text("name: a\nsteps: [{id: a, type: noop, depends_on: b}]\n", file="a.yaml")
    with pytest.raises(DefinitionError) as caught:
        checked.require()
    assert caught.value.name == "unknown_dependency"
    assert str(caught.value) == 'a.yaml:2:41: step "a" depends on "b", which does not exist'
    assert caught.value.facts["findings"] == checked.findings


def test_requiring_a_workflow_that_only_has_warnings_gives_it() -> None:
    checked = load_text("name: a\nsteps: [{id: a, type: noop, handles: X}]\n", file="a.yaml")
    assert [finding.severity for finding in checked.findings] == ["warning"]
    assert checked.require() is checked.workflow


def test_a_finding_without_a_place_is_shown_with_its_path() -> None:
    finding = Finding(
        code="TE1203", name="no_steps", severity="error", message="a workflow needs at least one step", path="steps", hint="h"
    )
    shown = render_findings(Checked(workflow=None, findings=(finding,), text="", file=""), color=False)
    assert shown == "error[TE1203]: a workflow needs at least one step\n  --> steps\n  hint: h\n1 error, 0 warnings in 1 file\n"


# ── the table ────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_codes_and_names_are_unique() -> None:
    assert len({code.code for code in CODES}) == len(CODES)
    assert len(BY_NAME) == len(CODES)


def test_codes_stand_in_order_and_look_like_codes() -> None:
    codes = [code.code for code in CODES]
    assert codes == sorted(codes)
    assert all(re.fullmatch(r"TE[12]\d{3}", code) for code in codes)
    assert all(re.fullmatch(r"[a-z][a-z0-9]*(_[a-z0-9]+)*", code.name) for code in CODES)


def test_every_code_explains_itself() -> None:
    for code in CODES:
        assert code.meaning.endswith(".")
        assert not code.message.endswith(".")
        facts = {field for text in (code.message, code.hint) for _, field, _, _ in Formatter().parse(text) if field}
        assert all(re.fullmatch(r"[a-z]+", fact) for fact in facts)


@pytest.mark.parametrize(("line", "spaces"), [("   when: input.x", 4), ("     type: noop", 6)])
def test_a_key_that_is_indented_too_little_is_told_where_it_belongs(line: str, spaces: int) -> None:
    text = f"name: a\nsteps:\n{' ' * (spaces - 2)}- id: a\n{line}\n"
    (found,) = load_text(text, file="a.yaml").findings
    assert (found.line, found.column) == (4, len(line) - len(line.lstrip()) + 1)
    assert found.hint == f"indent it like the keys of that entry, by {spaces} spaces"
