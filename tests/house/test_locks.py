"""The lock files install the same thing everywhere: every package has its hashes, and no address or path of a machine gets in."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
LOCKS = ["requirements.lock", "requirements-dev.lock"]
PIN = re.compile(r"^(?P<name>[a-z0-9-]+)==(?P<version>\S+)", re.MULTILINE)
MARKER = r"\(?[a-z_]+ (==|!=|<|>=) '[\w.]+'\)?"
LINE = re.compile(rf"[a-z0-9-]+==[0-9][\w.+!]*( ; {MARKER}( (and|or) {MARKER})*)? \\")
HASH = re.compile(r"    --hash=sha256:[0-9a-f]{64}( \\)?")


def read(lock: str) -> str:
    return (ROOT / lock).read_text(encoding="utf-8")


def pins(lock: str) -> set[tuple[str, str]]:
    return {(match["name"], match["version"]) for match in PIN.finditer(read(lock))}


def declared(requirements: list[str]) -> set[str]:
    """Return the names in a list of requirements, written as the lock files write them."""
    return {re.split(r"[\[<>=;, ]", requirement)[0].lower().replace("_", "-") for requirement in requirements}


@pytest.mark.parametrize("lock", LOCKS)
def test_a_lock_holds_pins_and_hashes_and_nothing_else(lock: str) -> None:
    strange = [line for line in read(lock).splitlines() if not LINE.fullmatch(line) and not HASH.fullmatch(line)]
    assert strange == []


@pytest.mark.parametrize("lock", LOCKS)
def test_every_pin_has_a_hash(lock: str) -> None:
    lines = read(lock).splitlines()
    bare = [line for line, following in zip(lines, [*lines[1:], ""], strict=True) if PIN.match(line) and "--hash" not in following]
    assert bare == []


def test_every_declared_dependency_is_in_its_lock() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    core = declared(project["project"]["dependencies"])
    extras = declared(project["project"]["optional-dependencies"]["plot"] + project["dependency-groups"]["dev"])
    assert core <= {name for name, _ in pins("requirements.lock")}
    assert core | extras <= {name for name, _ in pins("requirements-dev.lock")}


def test_tests_run_on_the_versions_that_users_get() -> None:
    assert pins("requirements.lock") <= pins("requirements-dev.lock")


def test_there_is_no_lock_with_addresses() -> None:
    assert not (ROOT / "uv.lock").exists()
