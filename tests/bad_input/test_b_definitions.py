"""Bad inputs B: documents that expand, nest, run code, mean something else in another reader, or define what can never be."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from taskengine import Engine, Step, Workflow
from taskengine.define import load_text
from taskengine.errors import DefinitionError
from tests.bad_input.measured import Bad, Found, findings, in_command_line, within

STEPS = "\nsteps: [{id: a, type: noop}]\n"
RING = 10_000


def laughs() -> str:
    lines = ["name: a", "l0: &l0 [x, x, x, x, x, x, x, x, x]"]
    return "\n".join(lines + [f"l{level}: &l{level} [{', '.join([f'*l{level - 1}'] * 9)}]" for level in range(1, 9)])


def top(line: str) -> str:
    return f"name: a\n{line}{STEPS}"


def step(fields: str) -> str:
    return f"name: a\nsteps: [{{{fields}}}]\n"


def ring() -> str:
    return "name: a\nsteps:\n" + "".join(
        f"- {{id: a{number}, type: noop, depends_on: a{(number + 1) % RING}}}\n" for number in range(RING)
    )


def timed(field: str) -> str:
    return step("id: a, type: function, config: {function: f}, " + field)


def until(instant: str) -> str:
    return step(f"id: a, type: wait, config: {{until: '{instant}'}}")


DOCUMENTS = {
    "test_b_16_alias_bomb": Bad(laughs, Found("alias_refused", 2, 5)),
    "test_b_17_merge_bomb": Bad(lambda: "a: &a {x: 1}\nb: {<<: [" + "*a, " * 200_000 + "*a]}", Found("merge_key_refused", 2, 5)),
    "test_b_17_merge_key": Bad(lambda: top("variables: {<<: {x: 1}}"), Found("merge_key_refused", 2, 13)),
    "test_b_18_circular": Bad(lambda: "a: &a [*a]", Found("alias_refused", 1, 4)),
    "test_b_19_python_object": Bad(lambda: 'name: !!python/object/apply:os.system ["x"]', Found("tag_refused", 1, 7)),
    "test_b_20_no_is_text": Bad(lambda: timed("idempotent: no"), Found("wrong_type", 2, 68)),
    "test_b_20_time_is_text": Bad(lambda: timed("timeout: 12:30:45"), Found("bad_duration", 2, 65)),
    "test_b_20_digits_with_lines": Bad(lambda: timed("priority: 1_000"), Found("wrong_type", 2, 66)),
    "test_b_20_infinity": Bad(lambda: timed("timeout: .inf"), Found("number_out_of_range", 2, 65)),
    "test_b_21_brackets": Bad(lambda: "[" * 50_000, Found("too_deep", 1, 65)),
    "test_b_22_two_documents": Bad(lambda: top("") + "---\n" + top(""), Found("several_documents", 4, 1)),
    "test_b_22_tabs": Bad(lambda: "name: a\nsteps:\n\t- {id: a, type: noop}", Found("syntax", 3, 1)),
    "test_b_22_ten_megabytes": Bad(lambda: "name: " + "x" * 10_000_000, Found("document_too_large", 1, 1)),
    "test_b_23_path": Bad(lambda: step("id: ../x, type: noop"), Found("bad_step_id", 2, 14)),
    "test_b_23_dot": Bad(lambda: step("id: a.b, type: noop"), Found("bad_step_id", 2, 14)),
    "test_b_23_empty": Bad(lambda: step('id: "", type: noop'), Found("bad_step_id", 2, 14)),
    "test_b_23_ten_kilobytes": Bad(lambda: step(f"id: {'x' * 10_000}, type: noop"), Found("bad_step_id", 2, 14)),
    "test_b_23_emoji": Bad(lambda: step('id: "\U0001f600", type: noop'), Found("bad_step_id", 2, 14)),
    "test_b_23_other_direction": Bad(lambda: step('id: "a\u202eb", type: noop'), Found("bad_step_id", 2, 14)),
    "test_b_23_null": Bad(lambda: step("id: null, type: noop"), Found("missing_key", 2, 14)),
    "test_b_23_true": Bad(lambda: step("id: true, type: noop"), Found("wrong_type", 2, 14)),
    "test_b_23_decomposed": Bad(lambda: step("id: e\u0301, type: noop"), Found("bad_step_id", 2, 14)),
    "test_b_24_itself": Bad(lambda: step("id: a, type: noop, depends_on: a"), Found("self_dependency", 2, 41)),
    "test_b_24_ring": Bad(ring, Found("cycle", 3, 36)),
    "test_b_25_fan_out": Bad(
        lambda: step("id: a, type: map, config: {items: '{{ range(1000000000) }}'}"), Found("call_refused", 2, 48)
    ),
    "test_b_26_itself": Bad(lambda: step("id: a, type: workflow, config: {workflow: a}"), Found("calls_itself", 2, 52)),
    "test_b_27_version": Bad(lambda: top("version: 1.0.0-../../"), Found("bad_version", 2, 10)),
    "test_b_28_tenant": Bad(lambda: top("tenant_id: other"), Found("unknown_key", 2, 1)),
    "test_b_28_status": Bad(lambda: step("id: a, type: noop, status: completed"), Found("unknown_key", 2, 29)),
    "test_b_28_case": Bad(lambda: top("Steps: []"), Found("unknown_key", 2, 1)),
    "test_b_29_cron": Bad(lambda: top("schedule: '0 0 30 2 *'"), Found("unknown_key", 2, 1)),
    "test_b_29_reboot": Bad(lambda: top("triggers: [{cron: '@reboot', tz: ../../etc/passwd}]"), Found("not_in_this_version", 2, 1)),
    **{
        f"test_b_30_timeout_{text}": Bad(lambda text=text: timed(f"timeout: {text}"), Found("bad_duration", 2, 65))
        for text in ("0", "-1", "1e308", "P1Y", "PT0.0000001S", "10^999", "3651d", "\uff13s")
    },
    "test_b_30_attempts": Bad(lambda: timed("retry: {max_attempts: 2147483648}"), Found("out_of_range", 2, 78)),
    "test_b_30_backoff": Bad(lambda: timed("retry: {backoff_coefficient: 1e999}"), Found("number_out_of_range", 2, 85)),
    "test_b_30_interval": Bad(lambda: timed("retry: {initial_interval: 0}"), Found("bad_duration", 2, 82)),
    **{
        f"test_b_31_{text}": Bad(lambda text=text: until(text), Found("bad_instant", 2, 45))
        for text in (
            *("0000-01-01T00:00:00Z", "9999-12-31T23:59:59-12:00", "0001-01-01T00:00:00+14:00", "2026-02-30T00:00:00Z"),
            *("2026-01-01T00:00:00+99:99", "2026-10-25T02:30:00", "10000-01-01T00:00:00Z"),
        )
    },
}


@pytest.mark.parametrize("title", DOCUMENTS)
def test_a_bad_definition_is_refused_at_its_place(title: str, tmp_path: Path) -> None:
    document = DOCUMENTS[title].make()
    with within(title):
        found = findings(document)
    assert DOCUMENTS[title].found in found
    (tmp_path / "bad.yaml").write_bytes(document if isinstance(document, bytes) else document.encode())
    with within(f"{title} in the command line"):
        said = in_command_line("workflow", "check", str(tmp_path / "bad.yaml"))
    assert f"bad.yaml:{DOCUMENTS[title].found.line}:{DOCUMENTS[title].found.column}" in said


@pytest.mark.parametrize("name", ["__class__", "constructor", "self", "None_", "steps", "output"])
async def test_b_23_words_of_programming_languages_are_ids_like_others(name: str) -> None:
    read = {"value": f"{{{{ steps.{name}.output }}}}"}
    steps = (
        Step(id=name, type="function", config={"function": "one"}),
        Step(id="after", type="function", depends_on=(name,), config={"function": "same", "params": read}),
    )
    async with Engine(":memory:", functions={"one": lambda: 1, "same": lambda value: value}) as engine:
        workflow = Workflow(name="ids", steps=steps, output="{{ steps.after.output }}")
        assert (await (await engine.execute_workflow(workflow)).result(timeout=60)).output == 1


def test_b_20_words_that_other_readers_convert_stay_what_they_are() -> None:
    words = "{a: no, b: 2026-11-20, c: 12:30:45, d: 014, e: 1_000, f: 0o17, g: ~}"
    workflow = load_text(top(f"variables: {words}"), file="words.yaml").require()
    assert workflow.variables == {"a": "no", "b": "2026-11-20", "c": "12:30:45", "d": 14, "e": "1_000", "f": 15, "g": None}


def test_b_24_a_billion_paths_are_no_more_work_than_their_steps() -> None:
    lines = ["name: a", "steps:", "- {id: a0, type: noop}"]
    for level in range(30):
        lines += [f"- {{id: {side}{level}, type: noop, depends_on: a{level}}}" for side in "bc"]
        lines += [f"- {{id: a{level + 1}, type: noop, depends_on: [b{level}, c{level}]}}"]
    with within("test_b_24"):
        assert findings("\n".join(lines)) == []


def bomb(levels: int) -> Any:
    found: Any = "x"
    for _ in range(levels):
        found = [found, found]
    return found


def cycle() -> Any:
    found: list[Any] = []
    found.extend((found, found))
    return found


@pytest.mark.parametrize("place", ["config", "variables", "input", "output"])
@pytest.mark.parametrize("value", [bomb(50), cycle(), [[[["x"] * 1_000] * 1_000] * 1_000] * 1_000], ids=["bomb", "cycle", "wide"])
async def test_b_16_to_18_a_definition_of_a_program_that_expands_without_end_is_refused(place: str, value: Any) -> None:
    config = {"function": "f", "params": {"x": value}} if place == "config" else {"function": "f"}
    workflow = Workflow(
        name="bomb",
        steps=(Step(id="a", type="function", config=config),),
        variables={"x": value} if place == "variables" else {},
        input_schema={"default": value} if place == "input" else None,
        output=value if place == "output" else None,
    )
    async with Engine(":memory:", functions={"f": print}) as engine:
        with within(place), pytest.raises(DefinitionError, match="nested without end") as error:
            await engine.deploy(workflow)
    assert error.value.name == "not_json"
