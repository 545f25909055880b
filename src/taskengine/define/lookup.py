"""Whether the functions that a document names are there, and get what they take, told from the sources alone.

Nothing is imported, nothing is run.

``module:name`` is looked for as the engine does: as a file beside the document, then along the import path. Where the sources do
not tell (a compiled module, names made when it is imported) nothing is claimed.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterable, Iterator, Sequence
from importlib.machinery import ModuleSpec, PathFinder
from itertools import islice
from pathlib import Path
from typing import Final, NamedTuple

from taskengine.define.arguments import Signature, check_arguments, signatures_in
from taskengine.define.blocks import every_step
from taskengine.define.finding import Problems, Spot
from taskengine.define.given import Keys
from taskengine.define.phrase import quoted
from taskengine.define.rules import function_fits
from taskengine.define.scopes import ITERATING
from taskengine.model.workflow import ITERATED, Workflow

__all__ = ["check_functions"]

_LARGEST: Final = 1_048_576  # bytes of a source that is read
_FILES: Final = 50  # files beside the document whose functions are suggested


def check_functions(workflow: Workflow, problems: Problems, *, folder: Path) -> None:
    """Warn of each function that cannot be found from this folder, and of parameters that one that is found does not take."""
    lookup = _Lookup(folder)
    repeated: dict[Keys, tuple[str, ...]] = {}  # maps and loops → what the steps inside of them are given besides
    for keys, step in every_step(workflow):
        if step.type in ITERATING:
            has_items = step.type == "map" or step.config.get("items") is not None
            repeated[keys] = ITERATED if has_items else ("index",)
        name = step.config.get("function")
        if problems.is_full:
            return
        if step.type != "function" or not isinstance(name, str) or not function_fits(name):
            continue
        reason, known = lookup.fault(name)
        if reason:
            at = Spot(problems, (*keys, "config", "function"))
            advice = _advice(name, known)
            at.report("function_not_found", found=quoted(name), reason=reason, word=name, known=known, advice=advice)
            continue
        signature = lookup.signature(name)
        if signature is not None:
            around = next((repeated[keys[:end]] for end in range(len(keys), 0, -1) if keys[:end] in repeated), ())
            check_arguments(step, signature, at=Spot(problems, keys), iterated=around)


def _advice(name: str, known: Sequence[str]) -> str:
    if ":" in name:
        return "is the file beside the document, or the module installed?"
    meant = next((found for found in known if found.partition(":")[2] == name), "")
    if meant:
        return f"write {quoted(meant)}"
    return "write module:function, with module.py beside the document; a program registers it by this name"


class _Module(NamedTuple):
    """What a module's own text binds, and what those of its functions take of which it tells."""

    names: tuple[str, ...]
    signatures: dict[str, Signature]


class _Lookup:
    """The functions that one folder and the import path hold, each file read once."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._modules: dict[Path, _Module | None] = {}
        self._faults: dict[str, tuple[str, Sequence[str]]] = {}

    def fault(self, name: str) -> tuple[str, Sequence[str]]:
        """Why the function is not there (empty: it is, or it cannot be told), and the names that may have been meant."""
        if name not in self._faults:
            self._faults[name] = self._looked_for(name)
        return self._faults[name]

    def signature(self, name: str) -> Signature | None:
        """What the function takes; nothing where the sources do not tell."""
        module, colon, qualname = name.partition(":")
        source = self._source_of(module) if colon else None
        known = self._read(source) if source is not None and source.suffix == ".py" else None
        return known.signatures.get(qualname) if known is not None else None

    def _looked_for(self, name: str) -> tuple[str, Sequence[str]]:
        module, colon, qualname = name.partition(":")
        if not colon:
            return "nothing registers it here", list(self._beside())
        source = self._source_of(module)
        if source is None:
            return f"there is no module {quoted(module)}", list(self._beside())
        names = self._names_in(source) if source.suffix == ".py" else None
        if names is None or qualname.partition(".")[0] in names:  # what a class holds is for the import to say
            return "", ()
        return f"{source.name} has no {quoted(qualname)}", [f"{module}:{found}" for found in names]

    def _source_of(self, module: str) -> Path | None:
        """The module's file; a path without the suffix of Python for what has no source to read."""
        beside = self._folder.joinpath(*module.split(".")).with_suffix(".py")
        if beside.is_file():
            return beside
        where: Sequence[str] | None = None
        spec: ModuleSpec | None = None
        walked = ""
        for part in module.split("."):
            walked = f"{walked}.{part}".strip(".")
            spec = PathFinder.find_spec(walked, where)
            if spec is None:
                return Path(module) if walked in sys.stdlib_module_names else None
            where = spec.submodule_search_locations
            if where is None and walked != module:
                return Path(module)  # no package, so the rest is made when it is imported, as os.path is
        return Path(spec.origin) if spec is not None and spec.origin is not None else Path(module)

    def _beside(self) -> Iterator[str]:
        """The functions of the files beside the document, as a step would name them."""
        try:
            files = sorted(islice(self._folder.glob("*.py"), _FILES))
        except OSError:
            return
        for file in files:
            for name in self._names_in(file) or ():
                yield f"{file.stem}:{name}"

    def _names_in(self, file: Path) -> tuple[str, ...] | None:
        """What the module's own text binds; nothing when it cannot be told."""
        known = self._read(file)
        return known.names if known is not None else None

    def _read(self, file: Path) -> _Module | None:
        if file not in self._modules:
            self._modules[file] = _module_of(file)
        return self._modules[file]


def _module_of(file: Path) -> _Module | None:
    try:
        with file.open("rb") as stream:
            source = stream.read(_LARGEST + 1)
        tree = None if len(source) > _LARGEST else ast.parse(source)
    except (OSError, SyntaxError, ValueError, RecursionError, MemoryError):
        return None
    if tree is None:
        return None
    statements = list(_statements(tree.body))
    names = _bound_by(statements)
    if "*" in names or "__getattr__" in names:
        return None
    return _Module(tuple(dict.fromkeys(names)), signatures_in(statements, names))


def _bound_by(statements: Iterable[ast.stmt]) -> list[str]:
    """The names, each as often as it is bound."""
    names: list[str] = []
    for node in statements:
        match node:
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
                names.append(name)
            case ast.Import(names=aliases) | ast.ImportFrom(names=aliases):
                names += [(alias.asname or alias.name).partition(".")[0] for alias in aliases]
            case ast.Assign(targets=targets):
                names += [one.id for target in targets for one in ast.walk(target) if isinstance(one, ast.Name)]
            case ast.AnnAssign(target=ast.Name(id=name)):
                names.append(name)
            case _:
                pass
    return names


def _statements(body: Sequence[ast.stmt]) -> Iterator[ast.stmt]:
    """The statements of a module, those in its branches with them."""
    for node in body:
        yield node
        match node:
            case ast.If(body=inner, orelse=other) | ast.Try(body=inner, orelse=other):
                yield from _statements(inner)
                yield from _statements(other)
                if isinstance(node, ast.Try):
                    for caught in node.handlers:
                        yield from _statements(caught.body)
            case ast.With(body=inner):
                yield from _statements(inner)
            case _:
                pass
