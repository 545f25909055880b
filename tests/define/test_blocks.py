"""Blocks of conditions, branches, maps and loops: the short ways to write them, what they see, and what a program can get wrong."""

from __future__ import annotations

from pathlib import Path
from textwrap import dedent
from typing import Any

import msgspec
import pytest

from taskengine.define import Finding, check, from_document, load_file, load_text, to_document
from taskengine.define.blocks import every_step
from taskengine.define.called import called
from taskengine.define.control import CONTROL, OPERATIONS
from taskengine.define.keys import CONFIG
from taskengine.define.language import BLOCK_KEYS
from taskengine.define.yaml_writer import to_yaml
from taskengine.kernel import aggregate
from taskengine.model.workflow import CONTAINERS, CONTROL_STEPS, Block, OnFailure, RetryPolicy, Step, Success, Workflow

LEAF = Step(id="x", type="noop")


def read(text: str) -> Workflow:
    return load_text(dedent(text), file="w.yaml").require()


def found(text: str) -> list[Finding]:
    return list(load_text(dedent(text), file="w.yaml").findings)


def names_of(*steps: Step, **said: Any) -> list[tuple[str, str]]:
    return [(finding.name, finding.path) for finding in check(Workflow(name="a", steps=steps, **said))]


BRANCHES = {
    "lists by name": "{left: [{id: x, type: noop}], right: [{id: y, type: noop}]}",
    "mappings by name": "{left: {steps: [{id: x, type: noop}]}, right: {steps: [{id: y, type: noop}]}}",
    "the same name twice": "{left: {name: left, steps: [{id: x, type: noop}]}, right: [{id: y, type: noop}]}",
    "a list of mappings": "[{name: left, steps: [{id: x, type: noop}]}, {name: right, steps: [{id: y, type: noop}]}]",
}


@pytest.mark.parametrize("title", BRANCHES)
def test_branches_may_be_written_in_several_ways(title: str) -> None:
    workflow = read(f"name: a\nsteps: [{{id: both, type: parallel, branches: {BRANCHES[title]}}}]\n")
    right = Block(name="right", steps=(Step(id="y", type="noop"),))
    assert workflow.steps[0].blocks == (Block(name="left", steps=(LEAF,)), right)


def test_branches_without_names_are_numbered() -> None:
    workflow = read("name: a\nsteps: [{id: both, type: parallel, branches: [[{id: x, type: noop}], [{id: y, type: noop}]]}]\n")
    assert [block.name for block in workflow.steps[0].blocks] == ["", ""]


def test_else_is_the_last_block_and_may_be_a_list_or_say_its_output() -> None:
    cases = "cases: [{when: input.x, steps: [{id: x, type: noop}]}]"
    short = read(f"name: a\nsteps: [{{id: c, type: condition, {cases}, else: [{{id: y, type: noop}}]}}]\n").steps[0]
    long = read(
        f"name: a\nsteps: [{{id: c, type: condition, {cases}, else: {{steps: [{{id: y, type: noop}}], output: 5}}}}]\n"
    ).steps[0]
    other = Block(steps=(Step(id="y", type="noop"),))
    assert short.blocks == (Block(when="input.x", steps=(LEAF,)), other)
    assert long.blocks[1] == msgspec.structs.replace(other, output=5)


RULES = {
    "all": Success(),
    "any": Success(at_least=1),
    "{at_least: 2}": Success(at_least=2),
    '{at_least: "80%"}': Success(percent=80.0),
    '{at_least: " 66.5 % "}': Success(percent=66.5),
    "{when: children.failed < 2}": Success(when="children.failed < 2"),
    "{at_least: null, when: true}": Success(when="true"),
}


@pytest.mark.parametrize("written", RULES)
def test_a_rule_of_success_is_read_and_written(written: str) -> None:
    workflow = read(f"name: a\nsuccess: {written}\nsteps: [{{id: x, type: noop}}]\n")
    assert workflow.success == RULES[written]
    assert from_document(to_document(workflow)) == workflow


def test_the_canonical_document_names_every_part() -> None:
    text = """
        name: a
        steps:
          - id: c
            type: condition
            cases: [{when: input.x, steps: [{id: x, type: noop}]}]
            else: [{id: y, type: noop}]
          - {id: b, type: parallel, branches: {left: [{id: x, type: noop}]}}
          - {id: m, type: map, config: {items: [1]}, steps: [{id: x, type: noop}], output: 1}
        """
    assert msgspec.json.decode(to_document(read(text)))["steps"] == [
        {
            "id": "c",
            "type": "condition",
            "cases": [{"when": "input.x", "steps": [{"id": "x", "type": "noop"}]}],
            "else": {"steps": [{"id": "y", "type": "noop"}]},
        },
        {"id": "b", "type": "parallel", "branches": [{"name": "left", "steps": [{"id": "x", "type": "noop"}]}]},
        {"id": "m", "type": "map", "config": {"items": [1]}, "steps": [{"id": "x", "type": "noop"}], "output": 1},
    ]


def test_yaml_for_people_leaves_out_what_else_does_not_need() -> None:
    text = "name: a\nsteps:\n- id: c\n  type: condition\n  cases:\n  - when: input.x\n    steps:\n    - id: x\n      type: noop\n"
    text += "  else:\n  - id: y\n    type: noop\n"
    assert to_yaml(read(text)) == text


def test_defaults_are_for_work_inside_of_others_and_for_what_undoes_it() -> None:
    workflow = read("""
        name: a
        defaults: {timeout: 5s, retry: {max_attempts: 3}}
        steps:
          - id: each
            type: map
            config: {items: [1]}
            steps:
              - id: x
                type: function
                config: {function: f}
                compensate: {type: function, config: {function: g}, timeout: 9s}
        """)
    each, inner, undo = workflow.every_step()
    assert (each.timeout_ms, each.retry) == (None, RetryPolicy())
    assert (inner.timeout_ms, inner.retry.max_attempts) == (5_000, 3)
    assert (undo.timeout_ms, undo.retry.max_attempts) == (9_000, 3)


def test_every_step_is_walked_with_its_place_those_inside_before_the_next() -> None:
    inner = Step(id="x", type="noop", compensate=Step(id="", type="noop"))
    steps = (
        Step(id="c", type="condition", blocks=(Block(when="true", steps=(inner,)), Block(steps=(LEAF,)))),
        Step(id="b", type="parallel", blocks=(Block(steps=(LEAF,)),)),
        Step(id="m", type="map", blocks=(Block(steps=(LEAF,)),)),
    )
    workflow = Workflow(name="a", steps=steps)
    walked = [(keys, step.id) for keys, step in every_step(workflow)]
    assert walked == [
        (("steps", 0), "c"),
        (("steps", 0, "cases", 0, "steps", 0), "x"),
        (("steps", 0, "cases", 0, "steps", 0, "compensate"), ""),
        (("steps", 0, "else", "steps", 0), "x"),
        (("steps", 1), "b"),
        (("steps", 1, "branches", 0, "steps", 0), "x"),
        (("steps", 2), "m"),
        (("steps", 2, "steps", 0), "x"),
    ]
    assert [step.id for step in workflow.every_step()] == [step_id for _, step_id in walked]
    assert workflow.step_count == 7


# ── places ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_finding_has_the_path_that_the_document_has() -> None:
    (wrong,) = found("name: a\nsteps: [{id: both, type: parallel, branches: {left: [{id: b-, type: noop}]}}]\n")
    assert (wrong.name, wrong.path) == ("bad_step_id", "steps[0].branches.left[0].id")
    (wrong,) = found("name: a\nsteps: [{id: both, type: parallel, branches: [[{id: b-, type: noop}]]}]\n")
    assert wrong.path == "steps[0].branches[0][0].id"
    cases = "cases: [{when: input.x, steps: [{id: x, type: noop}]}]"
    (wrong,) = found(f"name: a\nsteps: [{{id: c, type: condition, {cases}, else: [{{id: b-, type: noop}}]}}]\n")
    assert wrong.path == "steps[0].else[0].id"


def test_a_policy_from_the_defaults_is_wrong_where_it_stands_also_for_steps_inside_of_others() -> None:
    text = """\
        name: a
        defaults: {retry: {initial_interval: 10m, max_interval: 1m}}
        steps: [{id: m, type: map, config: {items: [1]}, steps: [{id: x, type: function, config: {function: f}}]}]
        """
    assert [(one.name, one.line) for one in found(text)] == [("retry_intervals_swapped", 2)]


@pytest.mark.parametrize(
    ("step", "hint"),
    [
        ("type: condition, if: input.x, else: []", "write cases: [{when: …, steps: […]}], and what is left under else"),
        ("type: condition, then: []", "write cases: [{when: …, steps: […]}], and what is left under else"),
        ("type: noop, if: input.x", 'did you mean "when"?'),
        ("type: parallel, tasks: {l: [{id: x, type: noop}]}", 'did you mean "branches"?'),
        ("type: map, do: [{id: x, type: noop}], config: {items: [1]}", 'did you mean "steps"?'),
        ("type: map, for_each: [1], steps: [{id: x, type: noop}]", "write items under `config` of a map or loop"),
        ("type: map, config: {items: [1], over: [1]}, steps: [{id: x, type: noop}]", 'did you mean "items"?'),
        ("type: loop, config: {while: index < 1, times: 5}, steps: [{id: x, type: noop}]", 'did you mean "max_iterations"?'),
        ("type: workflow, config: {workflow: b, params: {}}", "what the workflow gets stands under `input_mapping` of the step"),
        ("type: fail, config: {message: x, error: y}", 'did you mean "type"?'),
        ("type: signal, config: {signal: x, business_key: y, payload: 1}", 'did you mean "data"?'),
        ("type: noop, catch: []", "let a step with join: any_failed or all_done depend on this one"),
    ],
)
def test_a_hint_names_what_was_probably_meant(step: str, hint: str) -> None:
    hints = [finding.hint for finding in found(f"name: a\nsteps: [{{id: a, {step}}}]\n") if finding.name == "unknown_key"]
    assert hints == [hint]


@pytest.mark.parametrize(
    ("written", "meant"), [("foreach", "map"), ("if", "condition"), ("Sleep", "wait"), ("fucntion", "function")]
)
def test_a_type_of_another_tool_is_answered_with_ours(written: str, meant: str) -> None:
    (wrong,) = found(f"name: a\nsteps: [{{id: a, type: {written}}}]\n")
    assert (wrong.name, wrong.hint) == ("unknown_step_type", f'did you mean "{meant}"?')


@pytest.mark.parametrize(
    "step",
    [
        "type: map, config: {over: [1]}, steps: [{id: x, type: noop}]",
        "type: loop, config: {for_each: [1]}, steps: [{id: x, type: noop}]",
        "type: signal, config: {signal: x, target: y}",
        "type: workflow, config: {workflw: b}",
    ],
)
def test_a_mistyped_key_of_a_config_is_not_missed_as_well(step: str) -> None:
    assert [finding.name for finding in found(f"name: a\nsteps: [{{id: a, {step}}}]\n")] == ["unknown_key"]


def test_what_a_container_waits_for_needs_no_dependency_inside() -> None:
    inner = "[{id: x, type: noop, depends_on: first}]"
    text = "name: a\nsteps: [{id: first, type: noop}, {id: m, type: map, depends_on: first, config: {items: [1]}, steps: %s}]\n"
    (wrong,) = found(text % inner)
    assert wrong.hint == 'leave it out: "m", which holds this step, already waits for first'


# ── what is seen ─────────────────────────────────────────────────────────────────────────────────────────────────────


def test_what_may_be_read_inside_of_others_is_not_refused() -> None:
    assert not found("""
        name: a
        business_key: "{{ input.order }}/{{ variables.day }}"
        success: {when: children.failed < 2 and input.x}
        on_failure: compensate
        variables: {day: 1}
        output: "{{ steps.each.output | default(none) }}"
        steps:
          - {id: list, type: function, config: {function: f}}
          - id: each
            type: map
            depends_on: list
            config: {items: "{{ steps.list.output }}", max_concurrency: "{{ input.n }}"}
            success: {when: children.total > 3 and steps.list.output}
            output_mapping: {all: "{{ output }}"}
            steps:
              - id: load
                type: function
                config: {function: f, params: {it: "{{ item }}", n: "{{ index }}", from: "{{ steps.list.output }}"}}
                compensate: {type: function, config: {function: g, params: {made: "{{ steps.load.output }}", it: "{{ item }}"}}}
              - id: check
                type: condition
                depends_on: load
                cases:
                  - when: steps.load.output > index
                    steps: [{id: keep, type: set, config: {day: "{{ item }}"}}]
                    output: "{{ item }}"
                else: {steps: [{id: drop, type: noop}], output: "{{ steps.drop.status }}"}
            output: "{{ steps.check.output }} {{ item }}"
          - id: poll
            type: loop
            depends_on: each
            config: {until: "steps.ask.output.done or index > 5 or output.x", max_iterations: 50}
            steps: [{id: ask, type: wait, config: {signal: go, deadline: 1h, filter: event.order == input.order and index == 1}}]
        """)


def test_the_nearest_loop_says_what_item_and_index_are() -> None:
    inner = "{id: ask, type: loop, config: {%s}, steps: [{id: x, type: noop, when: item == index}]}"
    text = "name: a\nsteps: [{id: each, type: map, config: {items: [1]}, steps: [" + inner + "]}]\n"
    assert not found(text % "items: [2]")
    (wrong,) = found(text % "while: index < 5, max_iterations: 5")
    assert (wrong.name, wrong.hint) == ("name_not_available", '"ask", the nearest loop around, goes through no items')


def test_steps_of_another_branch_are_not_seen() -> None:
    (wrong,) = found("""\
        name: a
        steps:
          - id: both
            type: parallel
            branches:
              left: [{id: x, type: noop}]
              right: [{id: y, type: noop, when: steps.x.output == 1}]
        """)
    assert (wrong.name, wrong.line) == ("inner_step", 7)
    assert wrong.hint == "steps of other branches and cases are not seen; let a step before both give it"


def test_of_a_step_far_away_the_container_is_seen() -> None:
    (wrong,) = found("""\
        name: a
        steps:
          - {id: each, type: map, config: {items: [1]}, steps: [{id: x, type: noop}]}
          - id: both
            type: parallel
            depends_on: each
            branches: {right: [{id: y, type: noop, when: steps.x.output == 1}]}
        """)
    assert (wrong.name, wrong.hint) == ("inner_step", "read steps.each.output")


# ── what could not be read ───────────────────────────────────────────────────────────────────────────────────────────


def test_nothing_is_claimed_about_blocks_that_could_not_be_read() -> None:
    findings = found("""\
        name: a
        on_failure: compensate
        output: "{{ steps.lost.output }}"
        steps:
          - {id: c, type: condition, cases: 5}
          - {id: b, type: parallel, branches: {left: 7, right: {steps: no}}}
          - {id: m, type: map, config: {items: [1]}, steps: [{type: noop}, {id: y, type: noop, depends_on: z}]}
        """)
    assert [one.name for one in findings] == ["wrong_type", "wrong_type", "wrong_type", "missing_key"]


# ── what only a program can get wrong ────────────────────────────────────────────────────────────────────────────────

AROUND = Step(id="m", type="map", config={"items": [1]}, blocks=(Block(steps=(LEAF,)),))


def test_blocks_belong_to_containers() -> None:
    assert names_of(Step(id="a", type="noop", blocks=(Block(steps=(LEAF,)),))) == [("key_of_other_type", "steps[0]")]


def test_a_rule_says_one_thing() -> None:
    step = msgspec.structs.replace(AROUND, success=Success(at_least=1, when="true"))
    assert names_of(step) == [("conflicting_keys", "steps[0].success")]
    assert names_of(AROUND, success=Success(percent=120.0)) == [("out_of_range", "success.at_least")]


def test_only_the_last_case_may_be_without_a_condition() -> None:
    blocks = (Block(steps=(LEAF,)), Block(when="true", steps=(LEAF,)))
    assert names_of(Step(id="a", type="condition", blocks=blocks)) == [("missing_key", "steps[0].cases[0].when")]


def test_a_program_cannot_nest_without_end() -> None:
    step = LEAF
    for number in range(17):
        step = Step(id=f"m{number}", type="map", config={"items": [1]}, blocks=(Block(steps=(step,)),))
    assert [name for name, _ in names_of(step)] == ["nested_too_deep"]
    for number in range(17, 3_000):
        step = Step(id=f"m{number}", type="map", config={"items": [1]}, blocks=(Block(steps=(step,)),))
    assert [name for name, _ in names_of(step)] == ["nested_too_deep"]


def test_values_inside_of_others_are_looked_at_too() -> None:
    inner = Step(id="x", type="set", config={"value": object()}, compensate=Step(id="", type="set", config={"value": {1: 2}}))
    step = Step(id="m", type="map", config={"items": [1]}, blocks=(Block(steps=(inner,), output=float("nan")),))
    assert names_of(step) == [
        ("not_json", "steps[0].output"),
        ("not_json", "steps[0].steps[0].config.value"),
        ("not_json", "steps[0].steps[0].compensate.config.value"),
    ]


def test_steps_inside_of_others_count() -> None:
    inner = tuple(Step(id=f"x{number}", type="noop", compensate=Step(id="", type="noop")) for number in range(3))
    workflow = Workflow(name="a", steps=(Step(id="m", type="map", config={"items": [1]}, blocks=(Block(steps=inner),)),))
    assert check(workflow, max_steps=4) == ()
    (finding,) = check(workflow, max_steps=3)
    assert (finding.name, finding.path) == ("too_many_steps", "steps[0].steps[2]")


def test_compensation_is_there_when_a_step_inside_of_others_has_it() -> None:
    inner = Step(id="x", type="noop", compensate=Step(id="", type="noop"))
    step = Step(id="m", type="map", config={"items": [1]}, blocks=(Block(steps=(inner,)),))
    assert names_of(step, on_failure=OnFailure.COMPENSATE) == []


def test_functions_inside_of_others_and_of_compensations_are_looked_for(tmp_path: Path) -> None:
    file = tmp_path / "w.yaml"
    step = "{id: x, type: function, config: {function: no:a}, compensate: {type: function, config: {function: no:b}}}"
    file.write_text(f"name: w\nsteps: [{{id: m, type: map, config: {{items: [1]}}, steps: [{step}]}}]\n")
    paths = [one.path for one in load_file(file, finds_functions=True).findings if one.name == "function_not_found"]
    assert paths == ["steps[0].steps[0].config.function", "steps[0].steps[0].compensate.config.function"]


# ── tables that must agree ───────────────────────────────────────────────────────────────────────────────────────────


def test_every_key_of_a_control_step_has_a_check() -> None:
    assert {kind: tuple(values) for kind, (values, _) in CONTROL.items()} == {kind: CONFIG[kind] for kind in CONTROL}
    assert set(CONTROL) == CONTROL_STEPS - {"wait", "noop"}
    assert set(BLOCK_KEYS) == CONTAINERS


def test_the_check_knows_the_operations_that_the_kernel_has() -> None:
    assert set(OPERATIONS) == set(aggregate.OPERATIONS)


@pytest.mark.parametrize(("written", "meant"), [("9", "9"), ("1.10", "1.10"), ('"x"', "x"), ('"{{ input.v }}"', "{{ input.v }}")])
def test_the_version_of_a_workflow_that_is_called_may_be_a_number(written: str, meant: str) -> None:
    call = f"{{type: workflow, config: {{workflow: kid, version: {written}}}}}"
    inner = f"{{id: one, type: parallel, branches: {{x: [{{id: k, {call[1:]}]}}}}"
    workflow = read(f"name: a\nsteps:\n  - {inner}\n  - {{id: b, type: noop, compensate: {call}}}\n")
    first, second = workflow.steps
    assert first.blocks[0].steps[0].config["version"] == meant
    assert second.compensate is not None
    assert second.compensate.config["version"] == meant


def test_a_version_among_values_stays_the_number_that_it_is() -> None:
    workflow = read("name: a\nvariables: {x: {type: workflow, config: {version: 9}}}\nsteps: [{id: b, type: noop}]\n")
    assert workflow.variables == {"x": {"type": "workflow", "config": {"version": 9}}}


def test_workflows_that_are_not_where_they_are_looked_for_are_named_at_every_place() -> None:
    call = "type: workflow, config: {workflow: kid}"
    text = (
        "name: a\nsteps:\n"
        f"  - {{id: one, type: map, config: {{items: [1]}}, steps: [{{id: k, {call}}}], compensate: {{{call}}}}}\n"
        '  - {id: two, type: workflow, config: {workflow: "{{ input.x }}"}}\n'
        "  - {id: three, type: workflow, config: {workflow: other}}\n"
        f"  - {{id: four, {call}}}\n"
    )
    workflow = read(text)
    assert called(workflow) == {"kid", "other"}
    findings = load_text(text, file="w.yaml", absent={"kid"}).findings
    assert [(one.severity, one.line, one.message.split('"')[1]) for one in findings] == [
        ("warning", 3, "k"),
        ("warning", 3, "one"),
        ("warning", 6, "four"),
    ]
    assert {one.hint for one in findings} == {"task-engine workflow upload FILE"}
