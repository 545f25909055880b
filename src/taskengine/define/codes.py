"""Every finding there is, in one table: code, name, severity, message, hint, and what it means.

The table owns the words; whoever reports a finding gives its name and the facts. It is also what `explain` and the documentation
print. Codes are stable: one that was published keeps its meaning and is never used again. TE10 reading the text, TE11 shape and
values, TE12 steps and their names, TE13 the graph and what is read along it, TE14 what an execution will meet,
TE15 the schema of the input (`schema_codes.py`), TE16 blocks and the steps that hold them (`block_codes.py`), TE20 expressions.
"""

from __future__ import annotations

from typing import Final

from taskengine.define.block_codes import BLOCKS
from taskengine.define.code import Code
from taskengine.define.code import a_warning as _warning
from taskengine.define.code import an_error as _error
from taskengine.define.schema_codes import SCHEMA

__all__ = ["BY_NAME", "CODES", "Code"]

READING: Final = (
    _error(
        "TE1001",
        "unreadable_file",
        message="the file cannot be read: {reason}",
        hint="give the path of a readable YAML or JSON file",
        meaning="The path exists, but it is a folder, a device, or a file that this user may not read.",
    ),
    _error(
        "TE1002",
        "document_too_large",
        message="the document is larger than {limit} bytes",
        hint="move data out of the document: pass it as input or read it in a step",
        meaning="A workflow document may have 1 MiB of UTF-8 text. Nothing beyond the limit was read.",
    ),
    _error(
        "TE1003",
        "not_utf8",
        message="the document is not UTF-8 text: {reason}",
        hint="save the file as UTF-8",
        meaning="Documents are UTF-8, with or without a byte order mark.",
    ),
    _error(
        "TE1004",
        "control_character",
        message="{character} is not allowed in a document",
        hint="remove it; in double quotes most can be written as an escape, NUL cannot be stored at all",
        meaning="Control characters hide in editors, and databases refuse them; U+0085, U+2028 and U+2029 are line breaks to some.",
    ),
    _error(
        "TE1005",
        "syntax",
        message="{problem}",
        hint="{advice}",
        meaning="The text is not YAML (and not JSON). Reading stops at the first such place.",
    ),
    _error(
        "TE1006",
        "empty_document",
        message="the document is empty",
        hint="the smallest workflow: {{name: hello, steps: [{{id: greet, type: noop}}]}}",
        meaning="There is nothing in the document but space and comments.",
    ),
    _error(
        "TE1007",
        "several_documents",
        message="a second document begins here",
        hint="keep one workflow in each file",
        meaning="`---` begins another YAML document; a file holds one workflow.",
    ),
    _error(
        "TE1008",
        "alias_refused",
        message="YAML anchors and aliases are not read ({found})",
        hint="write the value out, or put what steps share under `defaults` or `variables`",
        meaning="Aliases can make a small text expand without end, so none is followed.",
    ),
    _error(
        "TE1009",
        "tag_refused",
        message="YAML tags are not read ({found})",
        hint='remove the tag; a text that begins with "!" needs quotes',
        meaning="A tag asks the reader to make an object of some type. Documents are plain data.",
    ),
    _error(
        "TE1010",
        "merge_key_refused",
        message="the merge key `<<` is not read",
        hint="write the keys out, or put what steps share under `defaults` or `variables`",
        meaning="Merge keys are not part of YAML 1.2 and can expand without end.",
    ),
    _error(
        "TE1011",
        "directive_refused",
        message="YAML directives other than `%YAML 1.2` are not read",
        hint="remove the line",
        meaning="`%TAG` only serves tags, and those are refused.",
    ),
    _error(
        "TE1012",
        "duplicate_key",
        message="the key {key} is written twice",
        hint="keep one of the two",
        meaning="Of two equal keys most readers silently take the last. The first one stands in the line that is named too.",
    ),
    _error(
        "TE1013",
        "key_not_text",
        message="a key must be text, found {found}",
        hint="{advice}",
        meaning="Keys are text as in JSON. YAML reads an unquoted 1, true or null as something else.",
    ),
    _error(
        "TE1014",
        "too_deep",
        message="nested deeper than {limit} levels",
        hint="flatten the data, or pass it as input",
        meaning="Lists and mappings may stand in each other up to a limit.",
    ),
    _error(
        "TE1015",
        "too_many_items",
        message="more than {limit} entries in one {kind}",
        hint="pass large data as input or read it in a step",
        meaning="One list or mapping of a document may have a bounded number of entries.",
    ),
    _error(
        "TE1016",
        "number_out_of_range",
        message="{number} is not a number that can be stored",
        hint="put it in quotes if it is meant as text",
        meaning="Whole numbers must fit 64 bits, others a double; infinity and not-a-number do not exist in JSON.",
    ),
    _error(
        "TE1017",
        "unquoted_template",
        message="a template must stand in quotes",
        hint="{advice}",
        meaning="Without quotes YAML reads `{{ x }}` as a mapping in a mapping.",
    ),
    _error(
        "TE1099",
        "too_many_findings",
        message="the document has more than {limit} findings; the rest is not listed",
        hint="correct these first",
        meaning="The list of findings is bounded.",
    ),
)

SHAPE: Final = (
    _error(
        "TE1101",
        "unknown_key",
        message="unknown key {key} in {where}",
        hint="{advice}",
        meaning="A key that nobody reads is a mistake, not an extra.",
    ),
    _error(
        "TE1102",
        "not_in_this_version",
        message="{what} is part of the workflow language, but this version cannot run it yet",
        hint="{advice}",
        meaning="The language describes more than this version runs. It says so instead of ignoring what was written.",
    ),
    _error(
        "TE1103",
        "missing_key",
        message="{where} needs the key {key}",
        hint="{advice}",
        meaning="A required key is missing or empty.",
    ),
    _error(
        "TE1104",
        "wrong_type",
        message="expected {expected}, found {found}",
        hint="{advice}",
        meaning="The value has another type. Nothing is converted silently.",
    ),
    _error(
        "TE1105",
        "conflicting_keys",
        message="{key} and {other} say the same thing",
        hint="keep one of the two",
        meaning="Two spellings of one setting stand side by side.",
    ),
    _error(
        "TE1106",
        "bad_duration",
        message="{found} is not a duration: {reason}",
        hint="{advice}",
        meaning="Durations are seconds as a number, or text such as 500ms, 30s, 5m, 1h30m, 2d; above zero, at most ten years.",
    ),
    _error(
        "TE1107",
        "out_of_range",
        message="{what} must be {expected}, found {found}",
        meaning="The number is outside of what makes sense or can be kept.",
    ),
    _error(
        "TE1108",
        "unknown_choice",
        message="{what} cannot be {found}",
        hint="{advice}",
        meaning="The value is one of a closed set.",
    ),
    _error(
        "TE1109",
        "unknown_step_type",
        message="unknown step type {found}",
        hint="{advice}",
        meaning="No step type has that name.",
    ),
    _error(
        "TE1110",
        "bad_name",
        message="the workflow's name {reason}",
        hint="a name is one line of visible text, at most {limit} characters, such as daily-report",
        meaning="Commands and addresses use the name, so it cannot be empty, hidden or longer than a line.",
    ),
    _error(
        "TE1111",
        "bad_version",
        message="{found} cannot be a version",
        hint='letters, digits and . _ + - only, at most {limit}, such as "1.0"',
        meaning="The version is a label in file names and addresses.",
    ),
    _error(
        "TE1112",
        "bad_instant",
        message="{found} is not an instant: {reason}",
        hint="write 2026-11-21T09:00:00Z or 2026-11-21T09:00:00+08:00",
        meaning="An instant is a date and a time of ISO 8601 with its distance from UTC.",
    ),
    _error(
        "TE1113",
        "not_json",
        message="{found} cannot be stored as JSON",
        hint="use text, numbers, booleans, null, lists, and mappings with text as keys",
        meaning="A definition made by a program holds a value that no document could hold.",
    ),
    _error(
        "TE1114",
        "bad_function",
        message="{found} does not name a function",
        hint='give the name it is registered under, or "package.module:function"',
        meaning="A function is named by its registered name or by module and qualified name. Templates are not allowed here.",
    ),
    _error(
        "TE1115",
        "one_way_to_wait",
        message="a wait step needs exactly one of duration, until, signal; found {found}",
        hint="{advice}",
        meaning="A wait step ends after a duration, at an instant, or when a signal arrives.",
    ),
    _error(
        "TE1116",
        "deadline_without_signal",
        message="a deadline only goes with a signal",
        hint="use duration to wait for a fixed time",
        meaning="The deadline bounds how long a wait step waits for its signal.",
    ),
    _error(
        "TE1117",
        "retry_intervals_swapped",
        message="initial_interval ({initial}) is longer than max_interval ({longest})",
        hint="raise max_interval or lower initial_interval",
        meaning="The first pause between attempts cannot be longer than the longest one.",
    ),
    _warning(
        "TE1118",
        "template_not_rendered",
        message="templates in {where} are not rendered",
        hint="{advice}",
        meaning="Variables are constants: what stands there is taken as it is.",
    ),
    _error(
        "TE1130",
        "bad_url",
        message="{found} cannot be called: {reason}",
        hint="write it as https://api.example.org/path",
        meaning="An http step calls an http or https URL that names a host, without name and password.",
    ),
    _error(
        "TE1131",
        "bad_header",
        message="{found} cannot be sent as a header: {reason}",
        meaning="The header's name or value cannot be part of a request, or the header is made from the URL and the body.",
    ),
    _error(
        "TE1132",
        "bad_script",
        message="{found} cannot be run as a script: {reason}",
        hint="write script: load.py (with runtime: bash where its ending does not tell), or inline: and the code",
        meaning="A script step names a file beside the document, or carries its code; its ending or `runtime` says what runs it.",
    ),
)

STEPS: Final = (
    _error(
        "TE1201",
        "bad_step_id",
        message="{found} cannot be a step id: {reason}",
        hint="{advice}",
        meaning="Expressions use the id as a name: letters, digits and _, no digit first, normal form C, at most 128 characters.",
    ),
    _error(
        "TE1202",
        "duplicate_step_id",
        message="the id {step} is used twice",
        hint="give each step an id of its own",
        meaning="Dependencies and expressions name steps by their id.",
    ),
    _error(
        "TE1203",
        "no_steps",
        message="a workflow needs at least one step",
        hint="steps: [{{id: greet, type: noop}}]",
        meaning="There is nothing to run.",
    ),
    _error(
        "TE1204",
        "unknown_dependency",
        message="step {step} depends on {dependency}, which {reason}",
        hint="{advice}",
        meaning="`depends_on` names a step that the document does not have.",
    ),
    _error(
        "TE1205",
        "too_many_steps",
        message="a workflow may have {limit} steps",
        hint="split it into several workflows",
        meaning="The number of steps is bounded; the limit is a setting.",
    ),
    _warning(
        "TE1206",
        "duplicate_dependency",
        message="step {step} names {dependency} twice in depends_on",
        hint="remove one of the two",
        meaning="The second one changes nothing.",
    ),
)

GRAPH: Final = (
    _error(
        "TE1301",
        "cycle",
        message="cycle: {cycle}",
        hint="remove one of these dependencies",
        meaning="Each of these steps waits for the one before it, so none can ever start.",
    ),
    _error(
        "TE1302",
        "self_dependency",
        message="step {step} depends on itself",
        hint="remove it from depends_on",
        meaning="It would wait for its own end.",
    ),
    _error(
        "TE1303",
        "not_surely_before",
        message="step {step} reads steps.{read}, which does not surely come before it",
        hint="add {read} to depends_on of {step}",
        meaning="Only steps that are reached through depends_on have ended when the expression is evaluated.",
    ),
    _error(
        "TE1304",
        "unknown_step",
        message="there is no step {read}",
        hint="{advice}",
        meaning="An expression reads a step that the document does not have.",
    ),
    _error(
        "TE1305",
        "unknown_step_field",
        message="a step has output, status and error; steps.{read}.{field} does not exist",
        hint="{advice}",
        meaning="What a step returned stands under steps.<id>.output.",
    ),
    _error(
        "TE1306",
        "unknown_input",
        message="the input has no property {property}",
        hint="{advice}",
        meaning="The input schema allows no properties but those it declares, and this is not one of them.",
    ),
    _warning(
        "TE1307",
        "undeclared_input",
        message="the input schema does not declare {property}",
        hint="{advice}",
        meaning="The schema is open, so the property may be there, but nobody promised it.",
    ),
    _error(
        "TE1308",
        "unknown_variable",
        message="there is no variable {variable}",
        hint="{advice}",
        meaning="Variables are declared under `variables` with their default.",
    ),
    _error(
        "TE1309",
        "name_not_available",
        message="{root} is not available here",
        hint="{advice}",
        meaning="The name belongs to a part of the language that this version does not run, or to another place.",
    ),
    _error(
        "TE1310",
        "never_starts",
        message="step {step} never starts: its join is {join} and it depends on nothing",
        hint="name what it waits for in depends_on, or remove the join",
        meaning="These joins ask for at least one dependency that ended in a certain way; without any the step is always skipped.",
    ),
    _error(
        "TE1311",
        "secret_exposed",
        message="a secret may not be read here",
        hint="only the config and input_mapping of a step that does work may hold one",
        meaning="Conditions, outputs and waits are written into the history, and no secret ever is.",
    ),
    _error(
        "TE1312",
        "secret_computed",
        message="nothing can be made of a secret",
        hint="write {{{{ {secret} }}}} with nothing else between the braces",
        meaning="A secret takes its place after the rendering, when the work begins; before that there is only a mark.",
    ),
)

RUNNING: Final = (
    _warning(
        "TE1401",
        "wait_without_timeout",
        message="step {step} may wait for the signal {signal} forever",
        hint="give it a deadline: {{signal: {signal}, deadline: 1d}}",
        meaning="Neither the step nor the execution has a bound, so a lost signal is never noticed.",
    ),
    _warning(
        "TE1402",
        "handles_without_join",
        message="handles has no effect: the join of step {step} is {join}",
        hint="set join to any_failed or all_done",
        meaning="Failures are handled by a step that starts after them; with this join it never does.",
    ),
    _warning(
        "TE1403",
        "may_be_skipped",
        message="steps.{read} may be skipped, and then its output is none",
        hint="test it first: steps.{read}.status == 'completed'",
        meaning="A step with a condition, or behind such a step, has no output when it is skipped; a field of none is an error.",
    ),
    _warning(
        "TE1404",
        "optional_input",
        message="the condition of step {step} reads input.{property}, which may be left out",
        hint="write input.{property} is defined and …, or name it under `required` of the input schema",
        meaning="The input schema does not require the property. Without it the condition is an error and the step fails.",
    ),
    _warning(
        "TE1405",
        "function_not_found",
        message="the function {found} cannot be found: {reason}",
        hint="{advice}",
        meaning="The sources beside the document and on the import path do not define it. `run` would refuse to start.",
    ),
    _warning(
        "TE1406",
        "unknown_parameter",
        message="the function {function} takes no parameter {found}",
        hint="{advice}",
        meaning="Its source says which parameters it has, and it has no `**kwargs`. Each attempt would fail with a TypeError.",
    ),
    _warning(
        "TE1407",
        "missing_parameter",
        message="the function {function} has {what}",
        hint="add params: {{{example}}}, or name the parameter after a dependency",
        meaning="Neither `params` nor a dependency gives it. Unless a service of the program does, each attempt would fail.",
    ),
)

EXPRESSIONS: Final = (
    _error(
        "TE2000",
        "expression_refused",
        message="{problem}",
        hint="{advice}",
        meaning="An expression or template cannot be read. The finding has the name that the expression language gives the fault.",
    ),
    _error(
        "TE2001",
        "template_too_large",
        message="a text with expressions may have {characters} characters and {marks} expressions",
        hint="pass a reference, such as a file's name, instead of the text",
        meaning="Every expression of a text is read when the workflow is checked and when it starts, so their number is bounded.",
    ),
)

CODES: Final = (*READING, *SHAPE, *STEPS, *GRAPH, *RUNNING, *SCHEMA, *BLOCKS, *EXPRESSIONS)
BY_NAME: Final = {code.name: code for code in CODES}
