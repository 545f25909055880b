"""What failures of tasks mean that the engine makes itself. It owns these words; whoever makes a failure owns its message.

A failure's type, or one of its bases, is what ``handles`` and ``non_retryable_errors`` name. What a function raises is a failure of
the class's name, with its base classes as bases.
"""

from __future__ import annotations

from typing import Final

__all__ = ["FAILURES"]

_DOCUMENT: Final = (
    "correct the document; a retry would fail in the same way: task-engine instance fork ID --from STEP --version latest"
)
_SMALLER: Final = "keep the data in a file and give its path, or give less of it"
_ADDRESS: Final = "look at the URL and at the other side; task-engine instance logs ID"
_CALL: Final = "correct the step's config; another attempt would meet the same, so none is made"

# type → (what happened, what to do, other names that match it)
FAILURES: Final[dict[str, tuple[str, str, tuple[str, ...]]]] = {
    "Cancelled": (
        "The execution that a `workflow` step waited for was cancelled, or an attempt was stopped from outside.",
        "task-engine instance explain CHILD says who did it; task-engine instance retry ID",
        (),
    ),
    "ChildNotStarted": (
        "A `workflow` step could not start its execution: no such workflow or version, or an input that does not fit.",
        "the message says which; task-engine workflow upload FILE, then task-engine instance retry ID",
        (),
    ),
    "CompensationFailed": (
        "Something that was done could not be undone; the message names it.",
        "repair the cause, then task-engine instance retry ID; or undo it by hand, then task-engine task skip ID/STEP/[undo]",
        (),
    ),
    "ConnectionLost": ("A call ended before there was a whole answer.", _ADDRESS, ("HttpError",)),
    "CallTimedOut": ("A call took longer than its timeout.", "give it more time, or retry it", ("Timeout", "HttpError")),
    "ConnectFailed": ("Nobody took the call at that address.", _ADDRESS, ("HttpError",)),
    "EgressDenied": ("The engine may not call that address.", "task-engine doctor; docs: call-an-api", ("HttpError",)),
    "ExecutorUnavailable": (
        "No process could be started for the step.",
        "task-engine doctor; look at memory, and at the number of processes",
        (),
    ),
    "ExpressionError": ("An expression of the document could not be evaluated; the message says which.", _DOCUMENT, ()),
    "Failed": ("A `fail` step ended it, without a type of its own.", "its message says why", ()),
    "ForgedSecret": ("Data holds what looks like a secret's mark and is none of the engine's.", "look where it comes from", ()),
    "HttpError": (
        "A call was answered with a status that is no success, or `success_when` is false.",
        "look at the status and the excerpt in the message",
        ("Http404", "Http4xx", "Http503", "Http5xx"),
    ),
    "InternalError": ("The engine itself broke down while it performed the step: a bug.", "report it, with the message", ()),
    "InvalidHeader": ("A header of the call cannot be sent.", _CALL, ("HttpError",)),
    "InvalidMethod": ("The method of the call is none.", _CALL, ("HttpError",)),
    "InvalidResponse": ("The other side answered with what is no HTTP, or cannot be kept.", _ADDRESS, ("HttpError",)),
    "InvalidUrl": ("The URL of the call is none.", _CALL, ("HttpError",)),
    "LimitReached": (
        "A loop made all the iterations that it may without coming to its end.",
        "look at its condition, or give it a larger `max_iterations`",
        (),
    ),
    "NameNotResolved": ("The host of the URL has no address.", _ADDRESS, ("HttpError",)),
    "NotFoundError": (
        "A `signal` step names a business key that no open execution has, or that several have.",
        "task-engine instance list --business-key KEY; give the step a `retry` when the other one may begin later",
        ("TaskEngineError",),
    ),
    "PayloadTooDeep": ("A result is nested deeper than what is kept.", _SMALLER, ("ValidationError",)),
    "PayloadTooLarge": ("A result is larger than what is kept.", _SMALLER, ("ValidationError",)),
    "ProcessDied": (
        "The process of a function or a script ended before the work did: killed, out of memory, or crashed.",
        "task-engine instance logs ID; look at memory",
        (),
    ),
    "Quarantined": (
        "Its process died again and again while the task ran alone: it is not tried any more.",
        "find out what kills the process, then task-engine task retry ID/STEP",
        (),
    ),
    "RedirectRefused": ("The call was sent on to where it may not go.", _CALL, ("HttpError",)),
    "Rejected": (
        "A person rejected an approval; the message is the comment.",
        "a step with `join: any_failed` and `handles: [Rejected]` goes on after it",
        (),
    ),
    "ResponseTooDeep": ("The answer is nested too deep.", _SMALLER, ("HttpError",)),
    "ResponseTooLarge": ("The answer is larger than what is read.", _SMALLER, ("HttpError",)),
    "ScriptError": (
        "A script ended with an exit code that is no success, was killed, could not be started, or left no valid result.",
        "the message holds the end of stderr; task-engine instance logs ID",
        (),
    ),
    "SecretNotFound": ("A secret that the step reads is not there.", "task-engine doctor; docs: keep-secrets", ()),
    "SecretUnavailable": ("The program's source of secrets raised an error.", "repair it; task-engine instance retry ID", ()),
    "SuccessRuleBroken": (
        "Too few of the steps, branches or items completed for the rule under `success`, and none of them failed by itself.",
        "task-engine instance status ID shows what was cancelled or skipped",
        (),
    ),
    "Timeout": (
        "A time ran out: of an attempt, of all attempts, of the wait for a slot, a signal or a person, or of the execution.",
        "give it more time, or find out what takes so long: task-engine instance status ID --task STEP",
        (),
    ),
    "TlsFailed": ("The other side could not prove who it is.", _ADDRESS, ("HttpError",)),
    "TooManyRedirects": ("The call was sent on too often.", _CALL, ("HttpError",)),
    "ValidationError": (
        "A step's rendered config or its result does not fit what is declared.",
        "the message names the place; correct the document, or what the step before gave",
        (),
    ),
}
