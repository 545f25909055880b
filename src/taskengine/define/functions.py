"""Functions as workflows name them: ``module:qualname`` where another process can import that, else a name to register.

It owns which of the two a function gets. It calls and imports nothing.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any, Final

from taskengine.define.phrase import described, quoted
from taskengine.define.rules import function_fits
from taskengine.errors import DefinitionError

__all__ = ["Named", "body_of", "is_context", "name_of", "together"]

Named = Mapping[str, Callable[..., Any]]  # registered name or import path → the function
_LOCAL: Final = ".<locals>"


def body_of(function: object) -> Callable[..., Any]:
    """The function itself, without what ``@task`` put around it. ``DefinitionError("not_a_function")`` for anything else."""
    body = getattr(function, "__taskengine_function__", function)
    if not callable(body) or isinstance(body, type):
        hint = "pass a function, or the name it is registered under"
        raise DefinitionError("not_a_function", f"expected a function, found {described(function)}", hint=hint)
    return body


def name_of(function: Callable[..., Any], *, register_as: str = "") -> str:
    """The name that a workflow records: the given one, else the import path, else where the function was made.

    A function made inside of another cannot be imported: every process registers it anew. ``DefinitionError("bad_function")``: it
    has no name at all, as a lambda.
    """
    name = register_as or _path_of(function)
    if not function_fits(name):
        hint = 'give it a name: task(register_as="clean") or with_job_function("clean")'
        raise DefinitionError("bad_function", f"{quoted(name)} does not name a function", hint=hint)
    return name


def _path_of(function: Callable[..., Any]) -> str:
    module, qualname = getattr(function, "__module__", None), getattr(function, "__qualname__", "")
    if not isinstance(module, str) or not isinstance(qualname, str):
        return ""
    if _LOCAL not in qualname:
        return f"{module}:{qualname}"
    return f"{module}.{qualname.replace(_LOCAL, '')}"


def together(known: dict[str, Callable[..., Any]], more: Named) -> None:
    """Add functions to those known. ``DefinitionError("ambiguous_function")``: one name stands for two of them."""
    for name, function in more.items():
        if known.setdefault(name, function) is not function:
            hint = "give one of them another name: register_as=..."
            raise DefinitionError("ambiguous_function", f"two functions are named {quoted(name)}", hint=hint)


def is_context(parameter: inspect.Parameter) -> bool:
    """Whether the engine gives this parameter: named ``ctx``, or annotated ``TaskContext``."""
    annotation = parameter.annotation
    return parameter.name == "ctx" or getattr(annotation, "__name__", annotation) == "TaskContext"
