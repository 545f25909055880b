"""Functions by name. A name with a colon is an import path and is found without being registered.

``module:qualname`` is looked for as a file beside the workflow document first, then as an ordinary import. What was found is kept.
"""

from __future__ import annotations

import importlib
import inspect
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from taskengine.adapters.function.binding import Convert, converters_of
from taskengine.errors import NotFoundError

__all__ = ["Function", "FunctionRegistry"]

_CONTEXT: Final = "ctx"


class Function:
    """A callable with what binding needs to know of it, looked up once."""

    __slots__ = ("call", "context_parameter", "converters", "is_async", "name", "parameters")

    def __init__(self, name: str, call: Callable[..., Any]) -> None:
        self.name = name
        self.call = call = getattr(call, "__taskengine_function__", call)  # a decorated task is still a function
        self.converters: dict[str, Convert] = {}
        self.is_async = inspect.iscoroutinefunction(call) or inspect.iscoroutinefunction(getattr(call, "__call__", None))  # noqa: B004
        try:
            signature = inspect.signature(call)
        except (TypeError, ValueError):  # some builtins have none: they get exactly the params
            self.parameters: frozenset[str] = frozenset()
            self.context_parameter = ""
            return
        self.parameters = frozenset(
            one.name for one in signature.parameters.values() if one.kind not in {one.VAR_POSITIONAL, one.VAR_KEYWORD}
        )
        if getattr(call, "__annotations__", None):
            from taskengine.define.signature import annotations_of

            known = annotations_of(call)
            self.converters = converters_of({name: known[name] for name in self.parameters if name in known})
        annotated = [
            one.name
            for one in signature.parameters.values()
            if getattr(one.annotation, "__name__", one.annotation) == "TaskContext"
        ]
        self.context_parameter = annotated[0] if annotated else _CONTEXT if _CONTEXT in self.parameters else ""


class FunctionRegistry:
    """Registered functions, and those found by their import path."""

    def __init__(self) -> None:
        self._registered: dict[str, Function] = {}
        self._found: dict[tuple[str, str], Function] = {}

    def register(self, name: str, call: Callable[..., Any]) -> None:
        """Make a callable known under a name; a later registration takes the place of an earlier one."""
        self._registered[name] = Function(name, call)

    def find(self, name: str, source: str = "") -> Function:
        """The function. ``NotFoundError`` says what was looked for and where."""
        found = self._registered.get(name) or self._found.get((source, name))
        if found is None:
            if ":" not in name:
                import difflib

                close = difflib.get_close_matches(name, self._registered, n=1)
                hint = f'did you mean "{close[0]}"?' if close else "register it, or write module:function"
                raise NotFoundError("function_not_found", f'no function "{name}" is registered', hint=hint)
            found = self._found[(source, name)] = Function(name, _import(name, source))
        return found


def _import(name: str, source: str) -> Callable[..., Any]:
    module_name, _, qualname = name.partition(":")
    try:
        module = _beside(module_name, Path(source)) if source else None
        target: Any = module if module is not None else importlib.import_module(module_name)
        for part in qualname.split("."):
            target = getattr(target, part)
    except (ImportError, AttributeError) as error:
        if module_name == "__main__":
            raise NotFoundError(
                "function_not_found",
                f'"{name}" stands in the program that was started, and this is another one: nobody else can import it',
                hint=f"move {qualname} into a module that both import, or register it: engine.register({name!r}, {qualname})",
            ) from error
        raise NotFoundError(
            "function_not_found", f'"{name}" cannot be imported: {error}', hint="is the module installed, or beside the document?"
        ) from error
    except KeyboardInterrupt:
        raise  # somebody wants the process to stop
    except BaseException as error:  # whatever the user's module does when it is imported, also an exit
        reason = f"{type(error).__name__}: {error}"
        raise NotFoundError(
            "function_not_found", f'"{name}" cannot be imported: {reason}', hint=f"python -c 'import {module_name}' shows where"
        ) from error
    if not callable(target):
        raise NotFoundError("function_not_found", f'"{name}" is no function but {type(target).__name__}')
    return target


def _beside(module_name: str, directory: Path) -> Any:
    path = directory.joinpath(*module_name.split(".")).with_suffix(".py")
    if not path.is_file():
        return None
    unique = f"taskengine_document.{abs(hash(str(path.resolve()))):x}.{module_name}"
    if unique in sys.modules:
        return sys.modules[unique]
    from importlib.util import module_from_spec, spec_from_file_location

    spec = spec_from_file_location(unique, path)
    if spec is None or spec.loader is None:
        return None
    module = module_from_spec(spec)
    sys.modules[unique] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[unique]
        raise
    return module
