"""The findings about blocks, the steps that hold them, and the steps that the engine performs itself: a part of `codes.py`."""

from __future__ import annotations

from typing import Final

from taskengine.define.code import a_warning as _warning
from taskengine.define.code import an_error as _error

__all__ = ["BLOCKS"]

BLOCKS: Final = (
    _error(
        "TE1601",
        "key_of_other_type",
        message="{key} means nothing on a {kind} step",
        hint="{advice}",
        meaning="cases and else belong to a condition, branches to parallel, steps and output to map and loop, success to all.",
    ),
    _error(
        "TE1602",
        "nested_too_deep",
        message="steps may be nested in at most {limit} others",
        hint="move the inner steps to a workflow of their own and call it: type: workflow",
        meaning="Conditions, branches, maps and loops may stand in each other up to a limit.",
    ),
    _error(
        "TE1603",
        "empty_block",
        message="{where} has no steps",
        hint="{advice}",
        meaning="A case, a branch or a body without steps does nothing. A noop step says that nothing is what was meant.",
    ),
    _error(
        "TE1604",
        "id_used_around",
        message="the id {step} is also that of a step around it",
        hint="give one of the two another id",
        meaning="Steps inside of others see those around them by their ids, so none may be hidden.",
    ),
    _error(
        "TE1605",
        "bad_branch_name",
        message="{found} cannot be the name of a branch: {reason}",
        hint="{advice}",
        meaning="Expressions read a branch's output by its name: letters, digits and _, no digit first.",
    ),
    _error(
        "TE1606",
        "duplicate_branch",
        message="the name {branch} is used for two branches",
        hint="give each branch a name of its own",
        meaning="The output of a parallel step holds what each branch gave, by name.",
    ),
    _error(
        "TE1607",
        "one_way_to_loop",
        message="a loop needs exactly one of items, while, until; found {found}",
        hint="{advice}",
        meaning="A loop goes through a list, goes on while a condition holds, or goes on until one does.",
    ),
    _error(
        "TE1608",
        "key_needs_other",
        message="{key} only goes with {other}",
        hint="add the one, or leave the other out",
        meaning="The key says more about another one, which is not there.",
    ),
    _error(
        "TE1609",
        "one_receiver",
        message="a signal step needs exactly one of execution, business_key; found {found}",
        hint="{advice}",
        meaning="A signal goes to the execution with that id, or to the one with that business key.",
    ),
    _error(
        "TE1610",
        "bad_compensation",
        message="a {kind} step cannot compensate",
        hint="{advice}",
        meaning="A compensation is one piece of work that undoes what its step did; it holds no steps of its own.",
    ),
    _error(
        "TE1611",
        "success_out_of_reach",
        message="step {step} has {count} of {least} children that must complete",
        hint="lower at_least, or write success: all",
        meaning="The rule asks for more children than the step has, so it always fails.",
    ),
    _error(
        "TE1612",
        "inner_step",
        message="step {read} is inside {container} and cannot be read from here",
        hint="{advice}",
        meaning="From outside of a condition, a parallel, a map or a loop only its own output is seen.",
    ),
    _error(
        "TE1613",
        "bad_variable_name",
        message="{found} cannot be the name of a variable: {reason}",
        hint="{advice}",
        meaning="Expressions read a variable by its name: letters, digits and _, no digit first.",
    ),
    _error(
        "TE1614",
        "calls_itself",
        message="step {step} calls the workflow that it belongs to",
        hint="give the step a when, so that it ends somewhere",
        meaning="Each execution starts the next one, and nothing but a failure ends that.",
    ),
    _warning(
        "TE1615",
        "unbounded_loop",
        message="step {step} may go round 1,000 times before it fails: nothing else bounds it",
        hint="say how often it may: config: {{max_iterations: 50}}",
        meaning="A loop with a condition ends when the condition says so. Without max_iterations it fails after the 1,000th round.",
    ),
    _warning(
        "TE1616",
        "approval_without_deadline",
        message="step {step} may wait for a decision forever",
        hint="give it a deadline: config: {{deadline: 2d}}",
        meaning="Neither the step nor the execution has a bound, so a forgotten approval is never noticed.",
    ),
    _warning(
        "TE1617",
        "nothing_to_compensate",
        message="on_failure is compensate, but no step says how it is undone",
        hint="add compensate: {{type: …, config: …}} to the steps that change something outside",
        meaning="Compensation runs what the completed steps have under compensate. There is none.",
    ),
    _warning(
        "TE1618",
        "none_at_first",
        message="{read} is none before the first round",
        hint="test it first: {read} == none or …; or use until, which is judged after each round",
        meaning="while is also judged before the first round, when nothing has run yet; a field of none is an error.",
    ),
    _warning(
        "TE1619",
        "variable_may_be_unset",
        message="variables.{variable} is not declared, and {setter}, which sets it, does not surely come before",
        hint="declare it under `variables` with a default, or add the step to depends_on",
        meaning="A variable that only steps set is there when one of them has run; reading it before is an error.",
    ),
    _warning(
        "TE1620",
        "no_case_may_hold",
        message="steps.{read} gives none when no case holds",
        hint="give it an else, or test it first: steps.{read}.output == none or …",
        meaning="A condition without else has no output when none of its cases holds; a field of none is an error.",
    ),
    _warning(
        "TE1621",
        "retry_without_effect",
        message="retry does nothing on a {kind} step",
        hint="{advice}",
        meaning="Only work and workflow steps make attempts that can be made again; a container's own steps may.",
    ),
    _warning(
        "TE1622",
        "bound_without_effect",
        message="{key} does nothing on a {kind} step",
        hint="{advice}",
        meaning="The engine performs the step itself: it waits for no slot, has no executor and may take no time at all.",
    ),
    _error(
        "TE1630",
        "unknown_count",
        message="children has no {field}",
        hint="{advice}",
        meaning="A rule of success sees how many children ended how, and what each gave; another name fails when all have ended.",
    ),
    _warning(
        "TE1631",
        "variable_nobody_reads",
        message="variables.{variable}, which step {step} sets, is not declared, and no expression reads it",
        hint="{advice}",
        meaning="A set step makes a new variable where it names none that is declared. Another one has a name like it.",
    ),
    _warning(
        "TE1632",
        "may_have_failed",
        message="steps.{read} has no output when {read} failed, which does not keep this from being read",
        hint="say what to take then: steps.{read}.output | default(none); or test steps.{read}.status first",
        meaning="A step that failed has an error and no output: reading it fails. A skipped one's output is none.",
    ),
    _error(
        "TE1633",
        "items_of_other_type",
        message="{operation} takes {takes}, and item {place} is {found}",
        hint="{advice}",
        meaning="The items stand in the document, so the step fails whenever it runs.",
    ),
    _warning(
        "TE1634",
        "workflow_not_uploaded",
        message="step {step} starts the workflow {workflow}, which is not in the database",
        hint="task-engine workflow upload FILE",
        meaning="A workflow that another one starts is taken from the database. It may come later, but before the step begins.",
    ),
)
