"""What every error code means and what to do about it: findings from ``define.codes``, errors from the table here.

``NAMES`` tells the names apart that share a class's code. It owns these words; whoever raises an error owns its message.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from taskengine import errors
from taskengine.cli.failures import FAILURES
from taskengine.define.codes import CODES
from taskengine.errors import TaskEngineError
from taskengine.ports.store import CommitUnknownError

__all__ = ["NAMES", "Page", "page_of", "pages"]


class Page(msgspec.Struct, frozen=True, kw_only=True):
    """One code, one name under a code, or one type of failure, which is its own code."""

    code: str
    name: str
    severity: str
    what: str
    why: str
    fix: str
    names: tuple[str, ...] = ()  # of the errors that share the code


# Of each class: who has to act, and what usually helps.
_FIX_OF_CLASS: Final[dict[str, str]] = {
    "DefinitionError": "correct the document or the input that the message names; `task-engine workflow check FILE` says where",
    "LimitError": "make it smaller, or pass a reference (a path, a key) instead of the data",
    "ExpressionError": "correct the expression; what it may read is in the message",
    "NotFoundError": "give another id or name; `task-engine instance list` and `workflow list` show what there is",
    "ConflictError": "look at what is there first, then decide; nothing was changed",
    "CommandRefusedError": "look at the execution's state: `task-engine instance explain ID`; nothing was written",
    "OutboundError": "look at the address, the other side, and what this engine may reach; the message says which",
    "StorageError": "`task-engine doctor` looks at the file, its place, the disk and the locks",
    "OverloadedError": "try again later, or start less at a time",
    "UnknownEventError": "use the version of task-engine that wrote the database, or a newer one",
    "CommitUnknownError": "look whether it took place (`task-engine instance status ID`) before doing it again",
    "InternalError": "report it with what the same command prints with -vv",
}

_IN_THE_HINT: Final = "the hint under the message says it for the place at hand"
# name → (class, what happened, what to do). A test looks each of them up in the sources.
NAMES: Final[dict[str, tuple[str, str, str]]] = {
    "execution_not_found": (
        "NotFoundError",
        "No execution has that id, or an id that begins or ends so.",
        "task-engine instance list",
    ),
    "no_executions": (
        "NotFoundError",
        "The database holds no execution that @latest or @failed could mean.",
        "task-engine run FILE",
    ),
    "id_too_short": ("NotFoundError", "Fewer than four characters of an id may mean anything.", "give more of it, or @latest"),
    "ambiguous_id": (
        "NotFoundError",
        "Several ids begin or end so.",
        "give more characters; the hint names the candidates",
    ),
    "unknown_path": ("NotFoundError", "The execution has no task of that path.", "task-engine instance tasks ID"),
    "workflow_not_found": ("NotFoundError", "The database keeps no workflow of that name or id.", "task-engine workflow list"),
    "version_not_found": ("NotFoundError", "The workflow has no such version.", "task-engine workflow versions NAME"),
    "file_not_found": ("NotFoundError", "There is no such file.", "look at the path; it is relative to where you are"),
    "database_not_found": (
        "NotFoundError",
        "There is no database at that path, and a command that only looks does not make one.",
        "name the right one with --db or TASK_ENGINE_DB, or make one: task-engine run FILE",
    ),
    "function_not_found": (
        "NotFoundError",
        "A step names a function that cannot be imported here, or that nobody registered.",
        "put the module beside the document, install it, or register the function; task-engine instance explain ID says which",
    ),
    "unknown_step_type": ("NotFoundError", "Nothing here performs steps of that type.", "task-engine workflow check FILE"),
    "nothing_to_resume": ("NotFoundError", "No execution is left unfinished.", "task-engine instance list"),
    "version_exists": (
        "ConflictError",
        "The same version label stands for another document already; versions never change.",
        "give the changed document a new version, leave the version out, or run it with --draft",
    ),
    "owned_elsewhere": ("ConflictError", "Another living process runs the execution.", "task-engine instance watch ID"),
    "other_workflow": (
        "ConflictError",
        "The execution runs another workflow than the file describes.",
        "task-engine run --resume ID",
    ),
    "execution_already_finished": (
        "CommandRefusedError",
        "The execution has ended; what was asked for makes no sense any more.",
        "task-engine instance retry ID begins a new round where something failed",
    ),
    "execution_not_finished": (
        "CommandRefusedError",
        "A whole execution is retried after it ended; while it goes on, one of its tasks can be.",
        "task-engine task retry ID/STEP",
    ),
    "nothing_to_retry": (
        "CommandRefusedError",
        "Nothing in it failed or was cancelled, or what did was handled: a new round would begin with nothing.",
        "task-engine instance explain ID says what helps; often instance fork ID --from STEP --version latest",
    ),
    "task_already_finished": (
        "CommandRefusedError",
        "The task has ended, so it cannot be paused, cancelled or skipped.",
        "task-engine instance status ID --task STEP",
    ),
    "task_running": (
        "CommandRefusedError",
        "The task is at work, and what works cannot be skipped.",
        "task-engine task cancel ID/STEP, or wait for its end",
    ),
    "not_a_step": (
        "CommandRefusedError",
        "The path means a whole item, branch, case or iteration, or the execution; only a step can be skipped.",
        "name a step inside of it, or the container: task-engine instance tasks ID",
    ),
    "group_completed": (
        "CommandRefusedError",
        "The container around it has completed without it: what failed in it was good enough for its rule.",
        "task-engine instance fork ID --from CONTAINER does the whole container anew",
    ),
    "group_skipped": (
        "CommandRefusedError",
        "A person skipped the container around it, and everything in it with it.",
        "task-engine instance fork ID --from CONTAINER",
    ),
    "compensating": (
        "CommandRefusedError",
        "What was done is being undone, or has been; until that has ended nothing else of it can be changed.",
        "task-engine instance watch ID; task-engine instance terminate ID stops the undoing",
    ),
    "compensates_all": (
        "CommandRefusedError",
        "Only a whole execution is cancelled with compensation.",
        "task-engine instance cancel ID --compensate",
    ),
    "not_an_approver": (
        "CommandRefusedError",
        "The approval names who may decide, and --by names somebody else.",
        "task-engine instance explain ID says who may",
    ),
    "not_waiting_for_approval": (
        "CommandRefusedError",
        "The task is no approval, or does not ask anybody now.",
        "task-engine instance explain ID lists the approvals that wait",
    ),
    "paused": (
        "CommandRefusedError",
        "The approval is paused, or what is around it is: the question stands still.",
        "task-engine instance resume ID",
    ),
    "fork_inside_group": (
        "CommandRefusedError",
        "A container is taken over whole or not at all; a fork cannot begin inside of one.",
        "task-engine instance fork ID --from CONTAINER",
    ),
    "fork_too_large": (
        "LimitError",
        "What the steps before gave is more than a fork can take over.",
        "fork from an earlier step",
    ),
    "unknown_variable": (
        "CommandRefusedError",
        "The workflow has no variable of that name.",
        "declare it under `variables`; the hint names those there are",
    ),
    "signal_queue_full": (
        "LimitError",
        "So many signals wait in the execution that no more are kept.",
        "let the workflow take some of them first",
    ),
    "bad_business_key": (
        "CommandRefusedError",
        "The business key that the workflow makes of its input cannot be made.",
        "correct `business_key` in the document, or give one",
    ),
    "bad_priority": ("ValidationError", "A priority is a whole number from 0 to 9.", "9 is the most urgent"),
    "already_started": (
        "CommandRefusedError",
        "An execution with that id has been started before.",
        "task-engine instance status ID",
    ),
    "not_started": ("CommandRefusedError", "The execution has not been started.", "task-engine instance list"),
    "stale_attempt": (
        "CommandRefusedError",
        "What was reported is about an attempt that nobody waits for any more; nothing is lost.",
        "task-engine instance status ID --task STEP",
    ),
    "task_not_failed": (
        "CommandRefusedError",
        "The task has not failed, so there is nothing to try again.",
        "task-engine instance explain ID",
    ),
    "already_paused": ("CommandRefusedError", "It is paused already.", "task-engine instance resume ID"),
    "not_paused": (
        "CommandRefusedError",
        "It is not paused; a pause of a task is ended at that task.",
        "task-engine instance explain ID",
    ),
    "already_cancelling": ("CommandRefusedError", "It is being cancelled.", "task-engine instance terminate ID does not wait"),
    "invalid_input": (
        "ValidationError",
        "What was given does not fit the document's input schema; the message names each place.",
        "give what the document's `input` says; with --input the hint says what to add",
    ),
    "not_json": (
        "ValidationError",
        "An input, variable or signal holds what is not kept: NaN, infinity, over 64 bits, half a character, an object, a cycle.",
        "hand in texts, finite numbers of 64 bits, true, false, None, lists and dicts",
    ),
    "bad_label": (
        "ValidationError",
        "A business key, an idempotency key, a signal's name, `by` or a reason is no text, is too long, or cannot be stored.",
        "give text of at most 1,000 characters without NUL",
    ),
    "input_too_costly": (
        "LimitError",
        "The input is so large, and its schema looks at each value so often, that judging it would stop the engine for seconds.",
        "pass a reference to the data, or describe less of it in the schema",
    ),
    "payload_too_large": (
        "LimitError",
        "An input, a signal or a result is larger than what is kept.",
        "keep it in a file, pass its path",
    ),
    "not_ours": ("StorageError", "The file is a database of something else, or no database at all.", "name another file with --db"),
    "database_newer": ("StorageError", "A newer task-engine wrote the database.", "use that version or a newer one"),
    "database_not_accessible": ("StorageError", "The database cannot be opened or made.", "look at the path and its permissions"),
    "network_file_system": ("StorageError", "File locks do not hold across machines.", "put the database on a local disk"),
    "disk_full": (
        "StorageError",
        "There is no room left; what runs may still be finished.",
        "make room, then go on; task-engine db prune",
    ),
    "store_busy": ("StorageError", "Another process kept the database locked for long.", "try again; task-engine doctor"),
}


def pages() -> list[Page]:
    """Every code there is by code, classes of errors and findings of documents; then the failures of tasks by type."""
    known = [_of_class(kind) for kind in _classes()]
    for one in CODES:
        what, fix = _unescaped(one.message), _unescaped(one.hint)
        fix = _IN_THE_HINT if fix in {"", "{advice}"} else fix.replace("; {advice}", "").replace("{advice}", _IN_THE_HINT)
        known.append(Page(code=one.code, name=one.name, severity=one.severity, what=what, why=one.meaning, fix=fix))
    failures = [_of_failure(kind) for kind in sorted(FAILURES)]
    return [*sorted(known, key=lambda page: page.code), *failures]


def _of_failure(kind: str) -> Page:
    what, fix, others = FAILURES[kind]
    takes = f"`handles` and `non_retryable_errors` take {', '.join(f'`{name}`' for name in (kind, *others))}."
    code = next((one.code for one in _classes() if one.__name__ == kind), "")
    takes += f" In a program, the error class of that name has the code {code}." if code else ""
    return Page(code=kind, name=kind, severity="failure", what=what, why=takes, fix=fix)


def _unescaped(template: str) -> str:
    """A message as it is said; what depends on the place stays in braces."""
    return template.replace("{{", "{").replace("}}", "}")


def page_of(word: str) -> Page | None:
    """The page of a code (any case) or of a name; None when there is none."""
    kind = next((one for one in FAILURES if one.lower() == word.lower()), "")
    if kind:
        return _of_failure(kind)
    for page in pages():
        if word.upper() == page.code or word.lower() == page.name.lower():
            return page
    if word in NAMES:
        kind, what, fix = NAMES[word]
        code = next(one.code for one in _classes() if one.__name__ == kind)
        return Page(code=code, name=word, severity="error", what=what, why=_law(kind), fix=fix)
    return None


def _classes() -> list[type[TaskEngineError]]:
    found: list[Any] = [getattr(errors, name) for name in errors.__all__]
    return [one for one in (*found, CommitUnknownError) if one is not TaskEngineError]


def _of_class(kind: type[TaskEngineError]) -> Page:
    name = kind.__name__
    names = tuple(one for one, (owner, *_) in NAMES.items() if owner == name)
    return Page(
        code=kind.code,
        name=name,
        severity="error",
        what=_law(name),
        why="Errors that say it in more detail share this code; the word after `name` in -o json tells them apart.",
        fix=_FIX_OF_CLASS.get(name, "the message and its hint say what to do"),
        names=names,
    )


def _law(name: str) -> str:
    """What a class of errors promises: the first line of its docstring."""
    kind = next(one for one in _classes() if one.__name__ == name)
    return (kind.__doc__ or "").partition("\n")[0].replace("``", "`")
