"""Write the reference pages from the code: ``make docs``. Nothing in them is by hand, and a test holds them against the code.

Owns how they look; every word comes from tables, signatures, docstrings and comments beside what they describe. The command line
has `cli_reference`, the one row of our own figures in the comparison comes from the results of the bench.
"""

from __future__ import annotations

import enum
import inspect
import json
import re
import statistics
import sys
from inspect import cleandoc
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

import taskengine
import taskengine.testing
from taskengine.adapters.function import binding
from taskengine.cli.failures import FAILURES
from taskengine.cli.pages import NAMES, pages
from taskengine.define.config import LATER_TYPES, TYPES
from taskengine.define.json_schema import workflow_schema
from taskengine.define.language import RETRY, STEP, WORKFLOW
from taskengine.expr.filters import FILTERS
from taskengine.model.event import EVENT_TYPES
from taskengine.runtime.settings import NodeSettings
from tools import cli_reference

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from types import ModuleType

ROOT = Path(__file__).resolve().parents[1]
COMPARED = ROOT / "docs" / "explanation" / "compared.md"
MADE = "Made from the code by `make docs`; not by hand."
# Variable → what it means. The names are looked up in the sources: one too many or too few ends the tool.
ENVIRONMENT = {
    "NO_COLOR": "No colours, whatever the terminal can do.",
    "TASK_ENGINE_ASCII": "Plain ASCII marks in the place of symbols.",
    "TASK_ENGINE_BY": "Who is asking, in the history; `--by` of commands.",
    "TASK_ENGINE_DB": "The SQLite file; `--db` of commands. `.task-engine/engine.db` when nothing is said.",
    "TASK_ENGINE_EGRESS_ALLOW": "What `http` steps may call besides: `loopback`, hosts, addresses, networks, with commas.",
    "TASK_ENGINE_LANG": "`en` or `zh`; `--lang` of commands.",
    "TASK_ENGINE_SECRETS": "The directory with a file for each secret; `/run/secrets` when nothing is said.",
    "TASK_ENGINE_SECRET_": "and a secret's name in capitals: its value. With `_FILE` behind it: the file that holds the value.",
    "TASK_ENGINE_ATTEMPT": "Given to scripts: the number of the attempt.",
    "TASK_ENGINE_EXECUTION_ID": "Given to scripts: the execution's id.",
    "TASK_ENGINE_IDEMPOTENCY_KEY": "Given to scripts: the same for every attempt of the task.",
    "TASK_ENGINE_INPUT": "Given to scripts: the file with their parameters as JSON.",
    "TASK_ENGINE_OUTPUT": "Given to scripts: the file where their result is expected, as JSON.",
    "TASK_ENGINE_STEP_ID": "Given to scripts: the step's id.",
    "TASK_ENGINE_TASK_ID": "Given to scripts: the task's id.",
}
# Type → the page that shows it.
_SHOWN = {
    "function": "write-a-function",
    "http": "call-an-api",
    "script": "run-a-script",
    "wait": "wait-for-a-person",
    "approval": "ask-a-person",
    "workflow": "start-other-workflows",
    **dict.fromkeys(("condition", "parallel", "map", "loop"), "branch-and-loop"),
    **dict.fromkeys(("noop", "set", "signal", "fail", "aggregate"), "keep-add-up-tell-fail"),
}
_NO_KEYS = {"set": "variables, each with its new value"}
_EXAMPLE = re.compile(r"TASK_ENGINE_SECRET_[A-Z_]+")


def language() -> str:
    """The keys of a document, table by table."""
    schema: dict[str, Any] = workflow_schema()
    places: dict[str, dict[str, Any]] = {"The workflow": schema, "A step": schema["$defs"]["step"]}
    parts = ("case", "else", "branch", "compensate", "retry", "defaults", "limits")
    places |= {f"`{name}`": schema["$defs"][name] for name in parts}
    lines = ["# The document language", "", MADE, "A key that is not here is an error, named with its place.", ""]
    for title, table in places.items():
        must = set[str](table.get("required", ()))
        lines += [f"## {title}", "", "| key | value | |", "|---|---|---|"]
        for key, field in table["properties"].items():
            name = f"`{key}`, required" if key in must else f"`{key}`"
            lines.append(f"| {name} | {_cell(_value(field))} | {_cell(field['description'])} |")
        lines.append("")
    lines += ["## `success`", "", *_rule(), ""]
    lines += ["## Durations", "", schema["$defs"]["duration"]["description"], ""]
    lines += ["## Types of steps", "", "| type | keys of its `config` | shown in |", "|---|---|---|"]
    for name, (keys, _) in TYPES.items():
        page = _SHOWN[name]
        taken = ", ".join(f"`{key}`" for key in keys) or _NO_KEYS.get(name, "none")
        lines.append(f"| `{name}` | {taken} | [{page.replace('-', ' ')}](../how-to/{page}.md) |")
    lines += ["", "What each gives is in a [table](../how-to/keep-add-up-tell-fail.md#what-they-and-the-others-give)."]
    lines += ["", _what_functions_get(), ""]
    lines += ["Not in this version: " + ", ".join(f"`{name}`" for name in LATER_TYPES) + ".", ""]
    lines += ["## Filters of expressions", "", ", ".join(f"`{name}`" for name in sorted({*FILTERS, "default"})) + ".", ""]
    lines += ["## Keys that come later", "", "They belong to the language and are refused by name for now."]
    for title, words in (("the workflow", WORKFLOW), ("a step", STEP), ("`retry`", RETRY)):
        if words.later:
            lines += ["", f"Of {title}: " + ", ".join(f"`{key}`" for key in words.later) + "."]
    return "\n".join(lines) + "\n"


def _rule() -> list[str]:
    """The ways to say when a group has succeeded."""
    return [
        "When a group of tasks has succeeded: the children of a condition, parallel, map or loop; for the workflow, its steps.",
        "",
        "| written | holds when |",
        "|---|---|",
        "| `all` | none of them failed or was cancelled |",
        "| `any` | one of them completed |",
        "| `{at_least: 2}` | so many completed |",
        '| `{at_least: "80%"}` | such a share of all completed |',
        '| `{when: "children.failed < 3"}` | the expression does, over `children`, which has these counts |',
        "",
        "`children` has `total`, `completed`, `failed`, `cancelled`, `skipped` and `results`, a list of `{status, output}`.",
        "One that was skipped is neither completed nor failed. Of the workflow's own steps one whose failure was handled counts as",
        "completed.",
    ]


def _what_functions_get() -> str:
    """What a function's parameters are given, as the module that gives it says."""
    _, gets, *_ = cleandoc(binding.__doc__ or "").split("\n\n")
    told = " ".join(gets.split()).replace("``", "`")
    return f"A `function` step calls a Python function. {told} More in [how to write a function](../how-to/write-a-function.md)."


def _value(field: Mapping[str, Any]) -> str:
    """What may stand there, in words."""
    if "enum" in field:
        return ", ".join(f"`{one}`" for one in field["enum"] if one is not None)
    if "$ref" in field:
        name = str(field["$ref"]).rsplit("/", 1)[-1]
        return {"duration": "a duration", "step": "a step", "steps": "a list of steps"}.get(name, f"see `{name}`")
    if "anyOf" in field:
        kinds = [_value(one) for one in field["anyOf"]]
        return " or ".join(dict.fromkeys(kind for kind in kinds if kind != "null"))
    kinds = field.get("type", "anything")
    words = " or ".join(one for one in ([kinds] if isinstance(kinds, str) else kinds) if one != "null" or kinds == "null")
    if kinds == "array":
        items = _value(field["items"]) if "items" in field else ""
        words = f"a list of ({items})" if " or " in items else f"a list of {items}" if items else "a list"
    bounds = [f"{field[key]:,}" for key in ("minimum", "maximum") if key in field]
    return words.replace("object", "a mapping") + (f", {' to '.join(bounds)}" if bounds else "")


def errors() -> str:
    """Every code, then the names that share one."""
    lines = ["# Errors and findings", "", MADE, "`task-engine explain CODE` prints the same in a terminal.", ""]
    lines += ["In a program: `from taskengine.errors import …`; each error has `code`, `name`, `message`, `hint` and `facts`.", ""]
    lines += [
        "The first digit says where to look: 1 the document or the input, 2 an expression, 3 what was asked for, 5 a call to the",
        "outside, 6 the database and the disk, 9 a bug of ours.",
        "",
    ]
    for one in pages():
        if one.severity == "failure":
            continue
        names = f" Names: {', '.join(f'`{name}`' for name in one.names)}." if one.names else ""
        lines += [f"## {one.code} {one.name}", "", f"*{one.severity}* · {_cell(one.what)}", ""]
        lines += [f"{_cell(one.why)}{names}", "", f"What to do: {_cell(one.fix)}", ""]
    lines += ["## Names", "", "| name | what | what to do |", "|---|---|---|"]
    lines += [f"| `{name}` | {_cell(what)} | {_cell(fix)} |" for name, (_, what, fix) in sorted(NAMES.items())]
    lines += ["", "## Failures of tasks", ""]
    lines += ["`handles` and `non_retryable_errors` of a step take these types, and the names in the last column. What a function"]
    lines += [
        "raises is a failure of its class's name, and matches the names of the base classes too; a `fail` step says its `type`."
    ]
    lines += ["", "| type | what | what to do | matched too by |", "|---|---|---|---|"]
    lines += [
        f"| `{kind}` | {_cell(what)} | {_cell(fix)} | {', '.join(f'`{name}`' for name in others)} |"
        for kind, (what, fix, others) in sorted(FAILURES.items())
    ]
    return "\n".join(lines) + "\n"


def events() -> str:
    """Every fact that a history may hold."""
    lines = ["# Events", "", MADE, "", "Each has `type` and `at` (milliseconds since 1970). What has its default is left out.", ""]
    for event in EVENT_TYPES:
        fields = [one for one in msgspec.structs.fields(event) if one.name != "at"]
        said = ", ".join(f"`{one.name}`" + ("" if one.required else " (optional)") for one in fields)
        lines += [
            f"## {event.__name__}",
            "",
            cleandoc(event.__doc__ or ""),
            "",
            f"Fields: {said}." if said else "No fields of its own.",
            "",
        ]
    return "\n".join(lines).rstrip() + "\n"


def settings() -> str:
    """The bounds of a node, with the comments beside them."""
    lines = ["# Settings", "", MADE, "", "`Engine(settings=NodeSettings(…))`. " + _first(NodeSettings), ""]
    lines += ["| name | default | |", "|---|---|---|"]
    source, comments = inspect.getsource(NodeSettings), dict[str, str]()
    for found in re.finditer(r"^    (\w+): [^=\n]+ = [^#\n]+(?:# (.*))?$", source, re.MULTILINE):
        comments[found[1]] = found[2] or ""
    for one in msgspec.structs.fields(NodeSettings):
        default = f"{one.default:,}" if type(one.default) is int else str(one.default)
        lines.append(f"| `{one.name}` | {default} | {_cell(comments[one.name])} |")
    return "\n".join(lines) + "\n"


def environment() -> str:
    """The variables that the sources name; ``ValueError`` when the table above does not fit them."""
    text = "".join(path.read_text(encoding="utf-8") for path in sorted((ROOT / "src").rglob("*.py")))
    found = set(re.findall(r"\b(?:TASK_ENGINE_[A-Z_]+|NO_COLOR)\b", text))
    found = {"TASK_ENGINE_SECRET_" if _EXAMPLE.fullmatch(name) else name for name in found}
    if found != set(ENVIRONMENT):
        raise ValueError(f"the table of variables does not fit the sources: {sorted(found ^ set(ENVIRONMENT))}")
    lines = ["# Environment variables", "", MADE, "", "| variable | |", "|---|---|"]
    lines += [f"| `{name}{'…' if name.endswith('_') else ''}` | {_cell(text)} |" for name, text in ENVIRONMENT.items()]
    return "\n".join(lines) + "\n"


def module(target: ModuleType, *, title: str) -> str:
    """What a module exports: signatures and docstrings."""
    lines = [f"# {title}", "", MADE, "", cleandoc(target.__doc__ or ""), ""]
    for name in target.__all__:
        if not name.startswith("__"):
            lines += [f"## {name}", "", *_exported(name, getattr(target, name))]
    return "\n".join(lines).rstrip() + "\n"


def _exported(name: str, thing: object) -> Iterator[str]:
    if not isinstance(thing, type):
        yield from (f"```text\n{_signature(name, thing)}\n```", "", _doc(thing), "")
        return
    owner: type[Any] = thing
    if issubclass(owner, enum.Enum):
        yield from (_doc(thing), "", ", ".join(f"`{one.name}` (`{one.value}`)" for one in owner), "")
        return
    if not issubclass(owner, BaseException):
        yield from (f"```text\n{_signature(name, owner)}\n```", "")
    yield from (_doc(owner), "")
    for member, value in _members(owner).items():
        if member.startswith("_") or not (inspect.isfunction(value) or isinstance(value, property)) or not value.__doc__:
            continue
        head = f"{name}.{member}" if isinstance(value, property) else _signature(f"{name}.{member}", value)
        yield from (f"- `{head}`", "", *(f"  {line}".rstrip() for line in _doc(value).splitlines()), "")


def _members(owner: type[Any]) -> dict[str, Any]:
    """Its own, then those of the builders that it is made of."""
    found: dict[str, Any] = dict(vars(owner))
    for base in owner.__mro__[1:]:
        if base.__module__.endswith("_builder"):
            found = {**vars(base), **found}
    return found


def _signature(name: str, thing: object) -> str:
    """How it is called; annotations as they are written."""
    if isinstance(thing, type) and issubclass(thing, msgspec.Struct):
        fields = [one.name + ("" if one.required else "=…") for one in msgspec.structs.fields(thing)]
        return f"{name}(*, {', '.join(fields)})"
    call: Callable[..., Any] = thing  # type: ignore[assignment]
    text = re.sub(r"(: |-> )'([^']*)'", r"\1\2", str(inspect.signature(call)))
    text = (
        re.sub(r"<function .*? at 0x[0-9a-f]+>|<factory>", "…", text)
        .replace("taskengine.model.workflow.", "")
        .replace("typing.", "")
    )
    text = re.sub(r"<(\w+\.\w+): [^>]*>", r"\1", re.sub(r"\(self(, )?", "(", text))
    return f"{'async ' if inspect.iscoroutinefunction(call) else ''}{name}{text}"


def _doc(thing: object) -> str:
    return cleandoc(thing.__doc__ or "").replace("``", "`")


def _first(thing: object) -> str:
    return _doc(thing).split("\n\n")[0].replace("\n", " ")


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("<", "\\<").replace("\n", " ")


def compared() -> str:
    """The comparison with our own row as the bench left it."""
    figures: Mapping[str, list[dict[str, float]]] = json.loads((ROOT / "bench/results/latest.json").read_text("utf-8"))["figures"]

    def middle(workload: str, key: str) -> float:
        return statistics.median(one[key] for one in figures[workload])

    chains = " / ".join(f"{middle(f'w1_{count}', 'steps_s'):,.0f}" for count in (1, 20, 200))
    cells = [
        "power",
        chains,
        f"{middle('w2', 'p50_ms'):.1f} ms",
        f"{middle('w5', 'recover_s'):.2f} s",
        f"{middle('w6', 'seconds'):.1f} s",
        f"{middle('w7', 'first_s'):.2f} s",
        f"{middle('w8', 'one_by_one_s'):,.0f}",
    ]
    row = " | ".join(["| **task-engine** (SQLite)", *cells]) + " |"
    return re.sub(r"^\| \*\*task-engine\*\*.*$", row, COMPARED.read_text(encoding="utf-8"), flags=re.MULTILINE)


def made() -> dict[Path, str]:
    """Every page that is made, and its text."""
    folder = ROOT / "docs" / "reference"
    return {
        cli_reference.TARGET: cli_reference.reference(),
        folder / "language.md": language(),
        folder / "errors.md": errors(),
        folder / "events.md": events(),
        folder / "settings.md": settings(),
        folder / "environment.md": environment(),
        folder / "python.md": module(taskengine, title="Python: taskengine"),
        folder / "testing.md": module(taskengine.testing, title="Python: taskengine.testing"),
        COMPARED: compared(),
    }


def main() -> int:
    """Write the pages."""
    for path, text in made().items():
        path.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
