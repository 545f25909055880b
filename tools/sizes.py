"""The ratchet: what the house says about sizes, broad excepts and words, counted in the sources.

It owns the limits and the named exceptions to them. It reads files and parses them; it imports nothing of the product.
`make lint` calls it; each finding is one line: ``file:line: what it is, what the limit is``.
"""

from __future__ import annotations

import ast
import re
import sys
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

Function: TypeAlias = ast.FunctionDef | ast.AsyncFunctionDef

BANNED_WORDS = frozenset({"activity", "common", "handler", "helper", "instance", "job", "manager", "misc", "util"})
BROAD_EXCEPTIONS = frozenset({"Exception", "BaseException"})


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One thing that breaks the house's rules, with its place."""

    path: str
    line: int
    what: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.what}"


@dataclass(frozen=True, kw_only=True)
class Rules:
    """Every limit in one place. Paths are relative to the root of the checkout and written with ``/``."""

    # The first prefix that fits decides; a folder that is not listed is not read.
    file_lines: Mapping[str, int] = field(
        default_factory=lambda: {
            "src/taskengine/kernel/": 300,
            "src/": 500,
            "tests/": 600,
            "bench/": 500,
            "examples/": 500,
            "tools/": 500,
        }
    )
    function_lines: int = 80

    # ``path`` or ``path::function`` → the lines it has, where that is more than its limit. It may only shrink.
    exceptions: Mapping[str, int] = field(default_factory=dict[str, int])

    # ``path`` → how many broad excepts it has. They are right around user code, around plugin hooks, in the service supervisor.
    broad_excepts: Mapping[str, int] = field(default_factory=dict[str, int])

    # The documents' other words (instance, activity, job) appear only where their paths and DTOs are served.
    free_words: tuple[str, ...] = (
        "src/taskengine/api/",
        "src/taskengine/cli/",
        "src/taskengine/client/",
        "src/taskengine/wire/",
        "src/taskengine/app/engine.py",  # the SDK's method names
        "src/taskengine/define/task_builder.py",  # likewise: with_job_function
    )


HOUSE = Rules(
    exceptions={},
    broad_excepts={
        "src/taskengine/adapters/function/executor.py": 4,  # around the user's code: binding, awaiting, calling in a thread
        "src/taskengine/adapters/function/records.py": 1,  # what a log call of the user cannot format
        "src/taskengine/adapters/function/worker.py": 1,  # around the user's code: the same, in a process of its own
        "src/taskengine/adapters/function/registry.py": 1,  # around the user's code: importing its module
        "src/taskengine/runtime/commit.py": 1,  # the supervisor of the writer
        "src/taskengine/runtime/node.py": 4,  # a turn, what follows a commit, or a source of secrets breaks: the others go on
        "src/taskengine/runtime/residency.py": 1,  # one damaged history must not end the reading of all
        "src/taskengine/runtime/services.py": 2,  # the supervisor of the periodic looks
        "src/taskengine/adapters/lanes.py": 1,  # hands what a call raises to its caller in another thread
    },
)


def check(root: Path, rules: Rules) -> list[Finding]:
    """Return every finding under ``root``, in the order of paths and lines; an empty list when the rules hold."""
    findings: list[Finding] = []
    sizes: dict[str, int] = {}
    for path, limit in sources(root, rules):
        text = (root / path).read_text(encoding="utf-8")
        tree = ast.parse(text, filename=path)
        lines = len(text.splitlines())
        sizes[path] = lines
        if lines > rules.exceptions.get(path, limit):
            findings.append(Finding(path=path, line=1, what=f"file has {lines} lines, the limit is {limit}"))
        findings += check_functions(path, tree, rules=rules, sizes=sizes)
        if path.startswith("src/"):
            findings += check_broad_excepts(path, tree, allowed=rules.broad_excepts.get(path, 0))
            if not path.startswith(rules.free_words):
                findings += check_words(path, tree)
    findings += check_exceptions(sizes, rules)
    return sorted(findings, key=lambda finding: (finding.path, finding.line))


def sources(root: Path, rules: Rules) -> Iterator[tuple[str, int]]:
    """Each Python file that a limit applies to, once, with that limit."""
    seen: set[str] = set()
    for prefix, limit in rules.file_lines.items():
        for file in sorted((root / prefix).rglob("*.py")):
            path = file.relative_to(root).as_posix()
            if path not in seen:
                seen.add(path)
                yield path, limit


def check_functions(path: str, tree: ast.Module, *, rules: Rules, sizes: dict[str, int]) -> Iterator[Finding]:
    """Functions over the limit, from ``def`` to the last line of the body; fills ``sizes`` with what it measured."""
    for function in walk_functions(tree):
        lines = (function.end_lineno or function.lineno) - function.lineno + 1
        key = f"{path}::{function.name}"
        sizes[key] = max(lines, sizes.get(key, 0))
        if lines > rules.exceptions.get(key, rules.function_lines):
            what = f"function {function.name} has {lines} lines, the limit is {rules.function_lines}"
            yield Finding(path=path, line=function.lineno, what=what)


def check_exceptions(sizes: Mapping[str, int], rules: Rules) -> Iterator[Finding]:
    """Exceptions that are no longer needed or leave room to grow: the ratchet turns one way only."""
    for path in sorted(rules.broad_excepts.keys() - sizes.keys()):
        yield Finding(path=path, line=1, what="broad excepts are allowed here and the file is gone: remove the allowance")
    for key, recorded in rules.exceptions.items():
        actual = sizes.get(key, 0)
        if actual < recorded:
            what = f"the exception for {key} records {recorded} lines and it has {actual}: lower or remove it"
            yield Finding(path=key.partition("::")[0], line=1, what=what)


def check_broad_excepts(path: str, tree: ast.Module, *, allowed: int) -> list[Finding]:
    """Handlers of everything, unless there are exactly as many as allowed; one that ends in a bare ``raise`` is none."""
    lines = sorted(broad_lines(tree))
    if len(lines) < allowed:
        what = f"{allowed} broad excepts are allowed here and there are {len(lines)}: lower or remove the allowance"
        return [Finding(path=path, line=1, what=what)]
    if len(lines) == allowed:
        return []
    what = f"broad except, {len(lines)} in this file, the limit is {allowed}: catch the named errors"
    return [Finding(path=path, line=line, what=what) for line in lines]


def broad_lines(tree: ast.Module) -> Iterator[int]:
    """Lines of each ``except`` that swallows everything, and of ``suppress(Exception)``, the same thing by another name."""
    for node in ast.walk(tree):
        match node:
            case ast.ExceptHandler(type=caught, body=[*_, last], lineno=line):
                is_raised_again = isinstance(last, ast.Raise) and last.exc is None
                if not is_raised_again and (caught is None or names_broad(caught)):
                    yield line
            case ast.Call(func=ast.Name(id="suppress") | ast.Attribute(attr="suppress"), args=arguments, lineno=line):
                if any(names_broad(argument) for argument in arguments):
                    yield line
            case _:
                pass


def names_broad(node: ast.expr) -> bool:
    """Whether the expression after ``except`` names one of the broad classes, alone or in a tuple."""
    parts = node.elts if isinstance(node, ast.Tuple) else [node]
    return any(isinstance(part, ast.Name) and part.id in BROAD_EXCEPTIONS for part in parts)


def check_words(path: str, tree: ast.Module) -> Iterator[Finding]:
    """Words that the glossary does not have, in the names this file gives: the module's own and all it defines."""
    for part in Path(path).with_suffix("").parts:
        for word in banned_words(part):
            yield Finding(path=path, line=1, what=f"module name {part!r} holds the word {word!r}, which the glossary bans")
    for name, line in sorted(set(walk_names(tree)), key=lambda pair: pair[1]):
        for word in banned_words(name):
            yield Finding(path=path, line=line, what=f"name {name!r} holds the word {word!r}, which the glossary bans")


def banned_words(name: str) -> list[str]:
    """The banned words inside a snake_case or CamelCase name, in the singular."""
    words = [word.lower() for word in re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+", name)]
    singular = [word.removesuffix("s") if word.removesuffix("s") in BANNED_WORDS else word for word in words]
    return [word for word in ("activity" if word == "activities" else word for word in singular) if word in BANNED_WORDS]


def walk_functions(tree: ast.Module) -> Iterator[Function]:
    """Every function, however deep."""
    for node in ast.walk(tree):
        if isinstance(node, Function):
            yield node


def walk_names(tree: ast.Module) -> Iterator[tuple[str, int]]:
    """Every name that the file itself gives, with its line: what it only uses from elsewhere does not count."""
    for node in ast.walk(tree):
        match node:
            case ast.ClassDef(name=name, lineno=line) | ast.FunctionDef(name=name, lineno=line):
                yield name, line
            case ast.AsyncFunctionDef(name=name, lineno=line) | ast.arg(arg=name, lineno=line):
                yield name, line
            case ast.Name(id=name, ctx=ast.Store(), lineno=line) | ast.Attribute(attr=name, ctx=ast.Store(), lineno=line):
                yield name, line
            case ast.alias(asname=str(name), lineno=line) | ast.ExceptHandler(name=str(name), lineno=line):
                yield name, line
            case ast.MatchAs(name=str(name), lineno=line) | ast.MatchStar(name=str(name), lineno=line):
                yield name, line
            case _:
                pass


def main(arguments: Sequence[str], *, rules: Rules = HOUSE) -> int:
    """Check the checkout (or the folder given), print the findings, and return the exit code."""
    root = Path(arguments[0]) if arguments else Path(__file__).resolve().parent.parent
    findings = check(root, rules)
    for finding in findings:
        print(finding)
    if findings:
        files = Counter(finding.path for finding in findings)
        print(f"sizes: {len(findings)} findings in {len(files)} files (limits and named exceptions: tools/sizes.py)")
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
