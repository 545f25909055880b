"""Bad inputs C: schemas, patterns and expressions that hang, reach out, reach in, or count wrongly.

38 of the list is about JSONPath, which this version does not have: such a text is a text.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from taskengine import Engine, Step, Workflow
from taskengine.define import load_text
from taskengine.errors import DefinitionError, LimitError, TaskEngineError, ValidationError
from tests.bad_input.measured import ECHO, Bad, Found, fails, findings, in_command_line, kept, within

STEPS = "\nsteps: [{id: a, type: noop}]\n"


def schema(text: str) -> str:
    return f"name: a\ninput: {text}{STEPS}"


def nested(levels: int) -> str:
    text = "{type: string}"
    for _ in range(levels):
        text = f"{{anyOf: [{text}, {text}]}}"
    return text


def referred(levels: int) -> str:
    """The same, written short: each level refers twice to the one below."""
    parts = ["a0: {type: string}"]
    parts += [f"a{n}: {{anyOf: [{{$ref: '#/$defs/a{n - 1}'}}, {{$ref: '#/$defs/a{n - 1}'}}]}}" for n in range(1, levels + 1)]
    return f"{{$ref: '#/$defs/a{levels}', $defs: {{{', '.join(parts)}}}}}"


def pattern(text: str) -> str:
    return schema(f"{{properties: {{x: {{pattern: {json.dumps(text)}}}}}}}")


def param(text: str) -> str:
    return (
        "name: a\ninput: {type: object}\nsteps: [{id: a, type: function, config: {function: f, params: {x: "
        + json.dumps(text)
        + "}}}]\n"
    )


DOCUMENTS = {
    "test_c_32_look_ahead": Bad(lambda: pattern("(?=a)b"), Found("bad_pattern", 2, 35)),
    "test_c_32_look_behind": Bad(lambda: pattern("(?<!a)b"), Found("bad_pattern", 2, 35)),
    "test_c_32_back_reference": Bad(lambda: pattern("(a)\\1"), Found("bad_pattern", 2, 35)),
    "test_c_32_too_large": Bad(lambda: pattern("(a{1000}){1000}"), Found("bad_pattern", 2, 35)),
    "test_c_32_large_classes": Bad(lambda: pattern("\\p{L}{1000}"), Found("bad_pattern", 2, 35)),
    "test_c_32_unclosed": Bad(lambda: pattern("(["), Found("bad_pattern", 2, 35)),
    "test_c_33_nested": Bad(lambda: schema(f"{{properties: {{x: {nested(12)}}}}}"), Found("schema_too_costly", 2, 96_787)),
    "test_c_33_referred": Bad(lambda: schema(referred(22)), Found("schema_too_costly", 2, 471)),
    "test_c_33_by_level": Bad(
        lambda: schema("{$ref: '#/$defs/n', $defs: {n: {anyOf: [{items: {$ref: '#/$defs/n'}}, {items: {$ref: '#/$defs/n'}}]}}}"),
        Found("schema_too_costly", 2, 49),
    ),
    "test_c_34_itself": Bad(lambda: schema("{$ref: '#'}"), Found("circular_reference", 2, 1)),
    "test_c_34_in_two_steps": Bad(
        lambda: schema("{properties: {x: {allOf: [{$ref: '#/properties/x'}]}}}"), Found("circular_reference", 2, 22)
    ),
    "test_c_35_metadata": Bad(lambda: schema("{$ref: 'http://169.254.169.254/latest'}"), Found("remote_reference", 2, 15)),
    "test_c_35_through_id": Bad(lambda: schema("{$id: 'http://169.254.169.254/', $ref: x}"), Found("remote_reference", 2, 47)),
    "test_c_36_file": Bad(lambda: schema("{$ref: 'file:///etc/passwd'}"), Found("remote_reference", 2, 15)),
    "test_c_36_nowhere": Bad(lambda: schema("{$ref: '#/$defs/nowhere'}"), Found("unknown_reference", 2, 15)),
    "test_c_37_five_megabytes": Bad(
        lambda: schema("{enum: [" + ", ".join(map(str, range(1_000_000))) + "]}"), Found("document_too_large", 1, 1)
    ),
    "test_c_37_half_a_megabyte": Bad(
        lambda: schema("{properties: {" + ", ".join(f"k{n}: {{description: {'x' * 100}}}" for n in range(4_000)) + "}}"),
        Found("schema_too_large", 2, 1),
    ),
    "test_c_37_min_items": Bad(lambda: schema("{properties: {x: {minItems: 1.0e+12}}}"), Found("bound_never_met", 2, 36)),
    "test_c_37_multiple_of": Bad(lambda: schema("{properties: {x: {multipleOf: 0}}}"), Found("bad_schema", 2, 38)),
    "test_c_37_finer_than_numbers": Bad(lambda: schema("{properties: {x: {multipleOf: 1.0e-300}}}"), Found("bad_schema", 2, 38)),
    "test_c_39_power": Bad(lambda: param("{{9**9**9}}"), Found("ambiguous_operators", 3, 74)),
    "test_c_39_range": Bad(lambda: param("{{range(99999)}}"), Found("call_refused", 3, 70)),
    "test_c_39_center": Bad(lambda: param("{{'a'|center(10**9)}}"), Found("unknown_filter", 3, 74)),
    "test_c_40_subclasses": Bad(lambda: param("{{''.__class__.__mro__[1].__subclasses__()}}"), Found("call_refused", 3, 108)),
    "test_c_40_attr": Bad(lambda: param("{{input.x|attr('__class__')}}"), Found("unknown_filter", 3, 78)),
    "test_c_40_format": Bad(lambda: param("{{'{0.__class__}'.format(input.x)}}"), Found("call_refused", 3, 92)),
    "test_c_41_constructor": Bad(lambda: param("{{constructor.constructor('x')()}}"), Found("unknown_name", 3, 70)),
    "test_c_41_template_literal": Bad(lambda: param("{{ `x${input.x}` }}"), Found("unexpected_character", 3, 71)),
    "test_c_42_unclosed": Bad(lambda: param("{{ a"), Found("unclosed_expression", 3, 68)),
    "test_c_42_reversed": Bad(lambda: param("}}{{"), Found("unclosed_expression", 3, 70)),
    "test_c_42_nested": Bad(lambda: param("{{ {{a}} }}"), Found("unexpected_token", 3, 72)),
    "test_c_42_a_million_braces": Bad(lambda: param("{" * 1_000_000), Found("template_too_large", 3, 67)),
    "test_c_44_missing_step": Bad(lambda: param("{{steps.missing.output}}"), Found("unknown_step", 3, 70)),
    "test_c_44_environment": Bad(lambda: param("{{env.PATH}}"), Found("unknown_name", 3, 70)),
    "test_c_45_digits": Bad(lambda: param("{{ " + "9" * 40 + " }}"), Found("number_out_of_range", 3, 71)),
}


@pytest.mark.parametrize("title", DOCUMENTS)
def test_a_bad_schema_or_expression_is_refused_at_its_place(title: str, tmp_path: Path) -> None:
    document = DOCUMENTS[title].make()
    assert isinstance(document, str)
    with within(title):
        found = findings(document)
    assert DOCUMENTS[title].found in found
    (tmp_path / "bad.yaml").write_text(document, encoding="utf-8")
    with within(f"{title} in the command line"):
        said = in_command_line("workflow", "check", str(tmp_path / "bad.yaml"))
    assert f"bad.yaml:{DOCUMENTS[title].found.line}:{DOCUMENTS[title].found.column}" in said


@pytest.mark.parametrize(
    ("title", "expression", "said"),
    [
        ("test_c_39_text_times", "{{'x'*10**10}}", "cannot be done with text and number"),
        ("test_c_39_format_width", '{{"%999999999d"%1}}', "cannot be done with text and number"),
        ("test_c_40_class_as_key", "{{ input['__class__'] }}", "has no `__class__`"),
        ("test_c_41_constructors", "{{ input.constructor.constructor }}", "has no `constructor`"),
        ("test_c_44_absent", "{{ input.absent }}", "is not defined"),
        ("test_c_45_division", "{{ 1/0 }}", "cannot divide by 0"),
        ("test_c_45_remainder", "{{ 1 % 0 }}", "cannot divide by 0"),
        ("test_c_45_power", "{{ 10**400 }}", "does not fit into 64 bits"),
        ("test_c_45_product", "{{ input.large * input.large }}", "does not fit into 64 bits"),
        ("test_c_45_larger_input", "{{ input.larger + 1 }}", "does not fit into 64 bits"),
        ("test_c_45_types", "{{ 1 < 'a' }}", "cannot compare number with text"),
        ("test_c_45_digits", "{{ '\uff19'|int }}", "finds no number in the text"),
    ],
)
async def test_an_expression_that_cannot_be_computed_fails_its_step_by_name(title: str, expression: str, said: str) -> None:
    with within(title):
        await fails(expression, said=said, params={"large": 2**62, "larger": 2**64 - 1})


async def test_c_38_what_would_be_a_json_path_elsewhere_is_text(tmp_path: Path) -> None:
    text = '$..[?(@.a=~"^(a+)+$")]'
    with within("test_c_38"):
        assert await kept(tmp_path / "kept.db", text) == text


async def test_c_44_a_secret_that_is_not_here_keeps_the_execution_from_starting() -> None:
    steps = (Step(id="a", type="function", config={"function": "f", "params": {"x": "{{ secrets.other_tenant }}"}}),)
    async with Engine(":memory:", functions={"f": print}) as engine:
        with pytest.raises(TaskEngineError) as error:
            await engine.execute_workflow(Workflow(name="a", steps=steps))
    assert error.value.name == "secret_not_found"


def accepting(given: dict[str, Any]) -> Workflow:
    return Workflow(name="accepting", input_schema=given, steps=ECHO.steps, output=ECHO.output)


async def begin(workflow: Workflow, value: Any) -> None:
    async with Engine(":memory:", functions={"echo": lambda value: value}) as engine:
        await engine.execute_workflow(workflow, params={"value": value})


async def test_c_32_a_pattern_that_hangs_elsewhere_judges_at_once() -> None:
    workflow = accepting({"properties": {"value": {"pattern": "^(a+)+$"}}})
    with within("test_c_32"), pytest.raises(ValidationError, match=r"input\.value: .* does not match the pattern"):
        await begin(workflow, "a" * 5_000_000 + "b")


async def test_c_33_choices_that_are_allowed_judge_at_once() -> None:
    workflow = load_text(schema(f"{{properties: {{value: {nested(8)}}}}}"), file="a.yaml").require()
    with within("test_c_33"), pytest.raises(ValidationError, match=r"input\.value: "):
        await begin(accepting(workflow.input_schema or {}), 5)


async def test_c_37_tiny_divisors_large_bounds_and_long_lists_judge_at_once() -> None:
    workflow = accepting({"properties": {"value": {"items": {"multipleOf": 1e-9, "maximum": 2**62}, "uniqueItems": True}}})
    with within("test_c_37"):
        await begin(workflow, list(range(100_000)))
        with pytest.raises(ValidationError, match=r"input\.value: holds the same item twice"):
            await begin(workflow, [{"k": number} for number in range(9_999)] + [{"k": 1}])


async def test_c_37_a_hundred_thousand_faults_are_told_by_the_first_and_in_few_words() -> None:
    workflow = accepting({"properties": {"value": {"items": {"type": "string"}}}})
    with within("test_c_37"), pytest.raises(ValidationError) as error:
        await begin(workflow, list(range(100_000)))
    assert error.value.message == "the input does not fit its schema (1 fault): input.value[0]: must be string, not the number 0"


async def test_c_33_an_input_that_would_take_too_long_to_judge_is_refused_before_it_is() -> None:
    branches = [{"items": {"maxLength": number}} for number in range(1, 400)]
    workflow = accepting({"properties": {"value": {"allOf": branches}}})
    with within("test_c_33"), pytest.raises(LimitError, match="looks at each up to") as error:
        await begin(workflow, ["x"] * 200_000)
    assert error.value.name == "input_too_costly"


async def test_c_33_a_schema_that_shares_its_parts_is_counted_and_not_walked() -> None:
    part: dict[str, Any] = {"type": "string"}
    for _ in range(20):
        part = {"anyOf": [part, part]}
    async with Engine(":memory:", functions={"echo": print}) as engine:
        with within("test_c_33"), pytest.raises(DefinitionError) as error:
            await engine.deploy(accepting({"properties": {"value": part}}))
    assert error.value.name == "not_json"
