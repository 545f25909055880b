"""Documents made to hurt: to expand without end, to nest, to be read again and again. Each with a finding that it must give."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

__all__ = ["DOCUMENTS", "LARGE"]

_ROOM: Final = 1_048_576 - 256  # as much as a document may have, less what stands around it


def _filled(piece: str, room: int = _ROOM) -> str:
    return piece * (room // len(piece.encode()))


def _steps(count: int, form: str) -> str:
    return "name: a\nsteps:\n" + "".join(form.format(i=number, next=(number + 1) % count) + "\n" for number in range(count))


def _param(text: str) -> str:
    return f"name: a\nsteps: [{{id: a, type: function, config: {{function: f, params: {{x: '{text}'}}}}}}]\n"


def _laughs() -> str:
    """Nine levels of nine aliases: a thousand bytes that would be 387 million values."""
    lines = ["name: a", "l0: &l0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"l{level}: &l{level} [{', '.join([f'*l{level - 1}'] * 9)}]" for level in range(1, 9)]
    return "\n".join(lines)


DOCUMENTS: Final[dict[str, tuple[Callable[[], str | bytes], str]]] = {
    # expanding
    "billion laughs": (_laughs, "alias_refused"),
    "merge bomb": (lambda: "a: &a {x: 1}\nb: {<<: [" + "*a, " * 200_000 + "*a]}", "alias_refused"),
    "many anchors": (lambda: "".join(f"k{number}: &a{number} 1\n" for number in range(50_000)), "alias_refused"),
    "many tags": (lambda: "".join(f"k{number}: !t 1\n" for number in range(60_000)), "tag_refused"),
    "many tag directives": (lambda: "".join(f"%TAG !a{number}! b\n" for number in range(50_000)), "directive_refused"),
    # nesting
    "brackets": (lambda: _filled("["), "too_deep"),
    "brackets, one a line": (lambda: _filled("[\n"), "too_deep"),
    "braces": (lambda: _filled("{a: "), "too_deep"),
    "pairs of braces": (lambda: _filled("{{ "), "unquoted_template"),
    "dashes": (lambda: _filled("- "), "too_deep"),
    "question marks": (lambda: _filled("? "), "too_deep"),
    "indentation": (lambda: "".join(" " * level + "a:\n" for level in range(1_300)), "too_deep"),
    "valid JSON": (lambda: _filled("[", 500_000) + _filled("]", 500_000), "too_deep"),
    "JSON objects": (lambda: _filled('{"a":', 500_000) + "1" + _filled("}", 100_000), "too_deep"),
    "containers in each other": (lambda: "name: a\nsteps: [" + _filled("{id: a, type: map, steps: [", 600_000), "too_deep"),
    # many
    "keys": (lambda: "".join(f"k{number}: 1\n" for number in range(80_000)), "too_many_items"),
    "keys of JSON": (lambda: "{" + ",".join(f'"{number}":1' for number in range(80_000)) + "}", "too_many_items"),
    "items": (lambda: "[" + _filled("1,") + "]", "too_many_items"),
    "the same key": (lambda: _filled("a: 1\n"), "duplicate_key"),
    "documents": (lambda: _filled("---\n"), "several_documents"),
    "unknown keys": (lambda: "".join(f"stepz{number}: 1\n" for number in range(9_000)), "unknown_key"),
    "templates without quotes": (lambda: "".join(f"k{number}: {{{{ x }}}}\n" for number in range(60_000)), "unquoted_template"),
    # long
    "ten megabytes": (lambda: "a: " + "x" * 10_000_000, "document_too_large"),
    "ten megabytes of bytes": (lambda: b"a: " + b"x" * 10_000_000, "document_too_large"),
    "a text": (lambda: "name: " + _filled("x"), "bad_name"),
    "an id": (lambda: f"name: a\nsteps: [{{id: {_filled('x')}, type: noop}}]\n", "bad_step_id"),
    "a number": (lambda: "a: " + _filled("9"), "number_out_of_range"),
    "a number with a point": (lambda: "a: " + _filled("9", 1_000_000) + ".5", "number_out_of_range"),
    "a number of another base": (lambda: "a: 0x" + _filled("f"), "number_out_of_range"),
    "a duration": (lambda: f"name: a\nsteps: [{{id: a, type: noop, timeout: {_filled('1h')}}}]\n", "bad_duration"),
    "an anchor's name": (lambda: "&" + _filled("a"), "alias_refused"),
    "a condition": (lambda: f"name: a\nsteps: [{{id: a, type: noop, when: '{_filled('(')}'}}]\n", "expression_too_long"),
    "a template that never closes": (lambda: _param("{{ " + _filled("x ", 60_000)), "unclosed_expression"),
    "spaces before a mistake": (lambda: "a: [" + _filled(" ", 500_000) + "{{" + _filled(" ", 500_000) + "@", "syntax"),
    "lines": (lambda: _filled("a\n"), "wrong_type"),
    "empty lines": (lambda: _filled("\n"), "empty_document"),
    "carriage returns": (lambda: _filled("\r"), "empty_document"),
    "comments": (lambda: _filled("#\n"), "empty_document"),
    "tabs": (lambda: _filled("\t"), "syntax"),
    "quotes": (lambda: _filled('"'), "syntax"),
    "colons": (lambda: _filled(": "), "syntax"),
    "expressions in one text": (lambda: _param(_filled("{{1}}")), "template_too_large"),
    "openings in one text": (lambda: _param(_filled("{{")), "template_too_large"),
    "statements in one text": (lambda: _param(_filled("{%")), "template_too_large"),
    "comments in one text": (lambda: _param(_filled("{#")), "template_too_large"),
    # bytes
    "zeroes": (lambda: b"\0" * _ROOM, "control_character"),
    "control characters": (lambda: _filled("\x01"), "control_character"),
    "hidden line breaks": (lambda: _filled("\u2028"), "control_character"),
    "no UTF-8": (lambda: b"\xff" * _ROOM, "not_utf8"),
    "every byte": (lambda: bytes(range(256)) * 4_000, "not_utf8"),
}

# Wrong documents as large as right ones may be: what they cost is what 10,000 steps cost, and grows with the number of steps.
LARGE: Final[dict[str, tuple[Callable[[int], str], str]]] = {
    "a ring": (lambda count: _steps(count, "- {{id: a{i}, type: noop, depends_on: a{next}}}"), "cycle"),
    "unknown dependencies": (lambda count: _steps(count, "- {{id: ab{i}, type: noop, depends_on: ac{i}}}"), "unknown_dependency"),
    "one id": (lambda count: _steps(count, "- {{id: a, type: noop}}"), "duplicate_step_id"),
    "unknown keys": (lambda count: _steps(count, "- {{id: a{i}, type: noop, tpye: x}}"), "unknown_key"),
    "reads of what comes later": (
        lambda count: _steps(count, "- {{id: a{i}, type: noop, when: steps.a{next}.output}}"),
        "not_surely_before",
    ),
    "reads of what is inside of others": (
        lambda count: _steps(
            count // 2,
            "- {{id: a{i}, type: map, config: {{items: [1]}}, steps: [{{id: b{i}, type: noop, when: steps.b{next}.output}}]}}",
        ),
        "inner_step",
    ),
    "ids of those around": (
        lambda count: _steps(count // 2, "- {{id: a{i}, type: map, config: {{items: [1]}}, steps: [{{id: a{next}, type: noop}}]}}"),
        "id_used_around",
    ),
    "variables that later steps set": (
        lambda count: _steps(count, "- {{id: a{i}, type: set, config: {{v{i}: '{{{{ variables.v{next} }}}}'}}}}"),
        "variable_may_be_unset",
    ),
    "unknown variables": (lambda count: _steps(count, "- {{id: a{i}, type: noop, when: variables.v{i}}}"), "unknown_variable"),
}
