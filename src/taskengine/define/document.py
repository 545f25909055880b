"""Loading a document: bytes → text → tree → model → findings with places. It owns the order of the passes and what ends them early.

Whatever the bytes are, the answer is a ``Checked``: never a traceback, no more time than a bounded text can cost.
"""

from __future__ import annotations

from collections.abc import Collection
from itertools import islice
from os import PathLike
from pathlib import Path
from typing import Any, Final

import msgspec

from taskengine.define.called import check_absent
from taskengine.define.checks import examine
from taskengine.define.finding import Checked, Problem, Problems
from taskengine.define.given import Doubts
from taskengine.define.json_reader import read_json
from taskengine.define.phrase import nearest, visible
from taskengine.define.place import findings_of
from taskengine.define.rules import MAX_STEPS
from taskengine.define.shape import read_workflow
from taskengine.define.source import MAX_BYTES, Source, decode
from taskengine.define.tree import Listing, Mapping, Node, Scalar, plain
from taskengine.errors import NotFoundError
from taskengine.model.value import decode as decode_json

__all__ = ["load_file", "load_text"]

# Keys of a document below which no steps stand.
_VALUES: Final = frozenset({"variables", "input", "output", "config", "input_mapping", "output_mapping"})
_LISTED: Final = 200  # entries of a folder that are compared with a mistyped file name


def load_file(
    path: str | PathLike[str], *, max_steps: int = MAX_STEPS, finds_functions: bool = False, absent: Collection[str] = ()
) -> Checked:
    """Read and check a YAML or JSON file, told apart by content. Raises ``NotFoundError`` when there is no such file.

    At most the document limit and one byte is read. A folder, a device or a file without permission is a finding.
    ``finds_functions``: warn of those that cannot be found from the file's folder.
    ``absent``: and of steps that start one of these.
    """
    place = Path(path)
    file = str(path)
    try:
        if not place.is_file():  # looked at before it is opened, because opening a pipe waits for its other end
            place.stat()
            return _unreadable(file, "it is a folder" if place.is_dir() else "it is not a regular file")
        with place.open("rb") as stream:
            data = stream.read(MAX_BYTES + 1)
    except FileNotFoundError:
        raise _not_found(place) from None
    except OSError as error:
        return _unreadable(file, (error.strerror or "it cannot be opened").lower())
    except ValueError:
        return _unreadable(file, "its name holds a character that no file name can hold")
    folder = place.absolute().parent if finds_functions else None
    return load_text(data, file=file, max_steps=max_steps, folder=folder, absent=absent)


def load_text(
    text: str | bytes, *, file: str, max_steps: int = MAX_STEPS, folder: Path | None = None, absent: Collection[str] = ()
) -> Checked:
    """Read and check a YAML or JSON document; ``file`` is the name that findings carry, functions are looked for in ``folder``.

    ``absent``: workflows that are not where the document's steps would look for them.
    """
    problems = Problems()
    decoded = decode(text, problems)
    source = Source(decoded, file=file)
    root = None if problems.found else _read(decoded, problems, max_steps=max_steps)
    workflow = None
    if root is not None:
        doubts = Doubts()
        workflow = read_workflow(_data(root, decoded), problems, doubts=doubts)
        if workflow is not None and not problems.is_full:
            examine(workflow, problems, doubts=doubts, max_steps=max_steps)
            if folder is not None:
                from taskengine.define.lookup import check_functions  # noqa: PLC0415 -- parses Python, which only checking needs

                check_functions(workflow, problems, folder=folder)
            if absent:
                check_absent(workflow, problems, absent=absent)
    findings = findings_of(problems, source, root=root)
    has_errors = any(finding.severity == "error" for finding in findings)
    return Checked(workflow=None if has_errors else workflow, findings=findings, text=decoded, file=file)


def _read(text: str, problems: Problems, *, max_steps: int) -> Node | None:
    """The tree, or None when there is none worth checking."""
    if _is_json(text):
        return read_json(text, problems, max_steps=max_steps)
    # Here, because a definition that comes as JSON, from a builder or from the store needs no YAML parser.
    from taskengine.define.yaml_reader import read_yaml  # noqa: PLC0415

    root = read_yaml(text, problems, max_steps=max_steps)
    if problems.found:
        return root
    if root is None or (isinstance(root, Scalar) and root.value is None):
        problems.add(Problem(name="empty_document", keys=(), facts={}, span=(0, 1)))
        return None
    return root


def _is_json(text: str) -> bool:
    """Whether this is strict JSON. What is not is read as YAML, whose findings have places."""
    if not text.lstrip(" \t\r\n").startswith(("{", "[")):
        return False
    try:
        decode_json(text.encode())
    except (msgspec.DecodeError, RecursionError):
        return False
    return True


def _data(root: Node, text: str) -> object:
    """The plain data; a version keeps the digits that were written, so that 1.10 is not 1.1."""
    data = plain(root)
    _keep_digits(root, data, text=text)
    left = [(root, data)] if "version" in text and "workflow" in text else []
    while left:
        node, value = left.pop()
        if isinstance(node, Listing):
            left += zip(node.items, value, strict=True)
        elif isinstance(node, Mapping):
            left += [(entry.node, value[key]) for key, entry in node.entries.items() if key not in _VALUES]
            config = node.entries.get("config")
            if config is not None and value.get("type") == "workflow":
                _keep_digits(config.node, value["config"], text=text)
    return data


def _keep_digits(node: Node, value: Any, *, text: str) -> None:
    """Where a mapping has a version that is a number, it becomes the text that was written."""
    version = node.entries.get("version") if isinstance(node, Mapping) else None
    held = version.node if version is not None else None
    if isinstance(held, Scalar) and isinstance(held.value, int | float) and not isinstance(held.value, bool):
        value["version"] = text[held.start : held.end]


def _unreadable(file: str, reason: str) -> Checked:
    problems = Problems()
    problems.add(Problem(name="unreadable_file", keys=(), facts={"reason": reason}))
    findings = tuple(msgspec.structs.replace(finding, file=file) for finding in findings_of(problems))
    return Checked(workflow=None, findings=findings, text="", file=file)


def _not_found(place: Path) -> NotFoundError:
    try:
        names = [entry.name for entry in islice(place.parent.iterdir(), _LISTED)]
        meant = nearest(place.name, names)
        hint = f"did you mean {visible(str(place.with_name(meant)))}?" if meant else ""
    except OSError:
        hint = f"there is no folder {visible(str(place.parent))}"
    return NotFoundError("file_not_found", f"there is no file {visible(str(place))}", hint=hint, file=str(place))
