"""The findings about the schema of a workflow's input: TE15. The rest of the table is `codes.py`, which holds these too."""

from __future__ import annotations

from typing import Final

from taskengine.define.code import a_warning, an_error

__all__ = ["SCHEMA"]

SCHEMA: Final = (
    an_error(
        "TE1501",
        "bad_schema",
        message="this is no JSON Schema: {problem}",
        hint="{advice}",
        meaning="The input is described in JSON Schema, draft 2020-12; a keyword has a value that it cannot have.",
    ),
    an_error(
        "TE1502",
        "remote_reference",
        message="a schema refers to itself only: {found} is refused",
        hint='write the definition under $defs and refer to it as "#/$defs/name"',
        meaning="Nothing is fetched and no file is read for a schema, so that it means the same everywhere and for ever.",
    ),
    an_error(
        "TE1503",
        "unknown_reference",
        message="nothing in the schema is called {found}",
        hint='refer to a definition as "#/$defs/name"',
        meaning="A `$ref` points to a place in the same schema, and there is nothing at that place.",
    ),
    an_error(
        "TE1504",
        "circular_reference",
        message="this schema is made of itself: {found}",
        hint="go through a property or an item on the way, as a tree does",
        meaning="A reference that leads back to itself without looking into the value says nothing, and never ends.",
    ),
    an_error(
        "TE1505",
        "bad_pattern",
        message="the pattern {found} is refused: {reason}",
        hint="{advice}",
        meaning="Patterns run in linear time: no look-around, no back-references, nothing that grows beyond bounds when compiled.",
    ),
    an_error(
        "TE1506",
        "schema_too_large",
        message="the schema is larger than allowed: {found}, {limit} are allowed",
        hint="describe what must be right for the workflow to begin, and check the rest in a step",
        meaning="A schema is compiled in every process that starts the workflow, so its size is bounded.",
    ),
    an_error(
        "TE1507",
        "schema_too_costly",
        message="one value may have to be looked at more than {limit} times",
        hint="let every value belong to one branch of anyOf or oneOf; branches with the same properties multiply",
        meaning="Nested choices multiply: twenty levels of two are a million looks at one value, and nothing could stop them.",
    ),
    an_error(
        "TE1508",
        "bound_never_met",
        message="no input can meet {keyword} {found}",
        hint="an input has at most {limit} bytes",
        meaning="The schema asks for more items, properties or characters than any input may have.",
    ),
    an_error(
        "TE1509",
        "schema_of_another_draft",
        message="schemas are read as JSON Schema draft 2020-12, not as {found}",
        hint="remove $schema; mind that prefixItems was items, and $defs was definitions, in earlier drafts",
        meaning="The same words mean other things in other drafts, so one that names another draft is not guessed at.",
    ),
    an_error(
        "TE1510",
        "default_does_not_fit",
        message="the default of {property} does not fit its own schema: {problem}",
        meaning="A default is filled in where an input leaves the property out, and is checked like what was given.",
    ),
    a_warning(
        "TE1511",
        "unknown_keyword",
        message="{found} is no keyword of JSON Schema and has no effect",
        hint="did you mean {meant}?",
        meaning="JSON Schema ignores what it does not know; this one is spelled almost like a keyword.",
    ),
)
