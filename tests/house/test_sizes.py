"""The ratchet catches each kind of violation, says where it is, and lets what is right pass."""

from __future__ import annotations

from pathlib import Path

import pytest

from tools.sizes import Rules, banned_words, check, main

LAW = '"""What this module owns."""\n'
KERNEL = "src/taskengine/kernel/decide.py"
RUNTIME = "src/taskengine/runtime/loop.py"


def written(root: Path, files: dict[str, str]) -> Path:
    """Lay out a small checkout."""
    for path, text in files.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text, encoding="utf-8")
    return root


def findings(root: Path, rules: Rules | None = None) -> list[str]:
    return [str(finding) for finding in check(root, rules or Rules())]


def function(name: str, *, lines: int) -> str:
    """Source of a function that has so many lines, its ``def`` included."""
    return f"def {name}():\n" + "    pass\n" * (lines - 1)


@pytest.mark.parametrize(
    ("path", "limit"),
    [
        (KERNEL, 300),
        (RUNTIME, 500),
        ("tests/kernel/test_decide.py", 600),
        ("bench/run.py", 500),
        ("examples/weather/demo.py", 500),
        ("tools/sizes.py", 500),
    ],
)
def test_a_file_may_have_as_many_lines_as_its_folder_allows_and_no_more(path: str, limit: int, tmp_path: Path) -> None:
    assert findings(written(tmp_path, {path: "x = 1\n" * limit})) == []
    assert findings(written(tmp_path, {path: "x = 1\n" * (limit + 1)})) == [
        f"{path}:1: file has {limit + 1} lines, the limit is {limit}"
    ]


def test_a_function_may_have_eighty_lines_and_no_more(tmp_path: Path) -> None:
    assert findings(written(tmp_path, {KERNEL: LAW + function("settle", lines=80)})) == []
    assert findings(written(tmp_path, {KERNEL: LAW + function("settle", lines=81)})) == [
        f"{KERNEL}:2: function settle has 81 lines, the limit is 80"
    ]


def test_a_coroutine_inside_a_class_is_measured_too(tmp_path: Path) -> None:
    body = LAW + "class Loop:\n    async def turn(self):\n" + "        pass\n" * 80
    assert findings(written(tmp_path, {RUNTIME: body})) == [f"{RUNTIME}:3: function turn has 81 lines, the limit is 80"]


def test_a_named_exception_lets_exactly_its_size_pass(tmp_path: Path) -> None:
    root = written(tmp_path, {KERNEL: LAW + function("settle", lines=90)})
    assert findings(root, Rules(exceptions={f"{KERNEL}::settle": 90})) == []
    assert findings(root, Rules(exceptions={f"{KERNEL}::settle": 89})) == [
        f"{KERNEL}:2: function settle has 90 lines, the limit is 80"
    ]


@pytest.mark.parametrize("key", [KERNEL, f"{KERNEL}::settle"])
def test_an_exception_with_room_to_grow_is_a_finding(key: str, tmp_path: Path) -> None:
    root = written(tmp_path, {KERNEL: LAW + function("settle", lines=70)})
    [finding] = findings(root, Rules(exceptions={key: 350}))
    assert finding.startswith(f"{KERNEL}:1: the exception for {key} records 350 lines")
    assert finding.endswith("lower or remove it")


def test_an_exception_for_what_is_gone_is_a_finding(tmp_path: Path) -> None:
    assert findings(tmp_path, Rules(exceptions={"src/gone.py": 600})) == [
        "src/gone.py:1: the exception for src/gone.py records 600 lines and it has 0: lower or remove it"
    ]


@pytest.mark.parametrize(
    "caught",
    ["except Exception:", "except BaseException:", "except:", "except (OSError, Exception):", "except Exception as error:"],
)
def test_a_broad_except_is_found_in_each_of_its_forms(caught: str, tmp_path: Path) -> None:
    body = LAW + f"try:\n    pass\n{caught}\n    pass\n"
    assert findings(written(tmp_path, {RUNTIME: body})) == [
        f"{RUNTIME}:4: broad except, 1 in this file, the limit is 0: catch the named errors"
    ]


@pytest.mark.parametrize("call", ["suppress(Exception)", "contextlib.suppress(OSError, BaseException)"])
def test_a_broad_suppress_is_the_same_thing(call: str, tmp_path: Path) -> None:
    [finding] = findings(written(tmp_path, {RUNTIME: LAW + f"with {call}:\n    pass\n"}))
    assert finding.startswith(f"{RUNTIME}:2: broad except")


@pytest.mark.parametrize(
    "body",
    [
        "try:\n    pass\nexcept OSError:\n    pass\n",
        "try:\n    pass\nexcept BaseException:\n    x = 1\n    raise\n",
        "with suppress(FileNotFoundError):\n    pass\n",
    ],
)
def test_a_named_error_and_a_raise_again_are_no_broad_except(body: str, tmp_path: Path) -> None:
    assert findings(written(tmp_path, {RUNTIME: LAW + body})) == []


def test_an_allowed_place_holds_its_number_of_broad_excepts_and_no_more(tmp_path: Path) -> None:
    once = "try:\n    pass\nexcept Exception:\n    pass\n"
    assert findings(written(tmp_path, {RUNTIME: LAW + once}), Rules(broad_excepts={RUNTIME: 1})) == []
    assert findings(written(tmp_path, {RUNTIME: LAW + once * 2}), Rules(broad_excepts={RUNTIME: 1})) == [
        f"{RUNTIME}:4: broad except, 2 in this file, the limit is 1: catch the named errors",
        f"{RUNTIME}:8: broad except, 2 in this file, the limit is 1: catch the named errors",
    ]


def test_an_allowance_for_broad_excepts_that_are_gone_is_a_finding(tmp_path: Path) -> None:
    root = written(tmp_path, {RUNTIME: LAW})
    assert findings(root, Rules(broad_excepts={RUNTIME: 1, "src/gone.py": 1})) == [
        "src/gone.py:1: broad excepts are allowed here and the file is gone: remove the allowance",
        f"{RUNTIME}:1: 1 broad excepts are allowed here and there are 0: lower or remove the allowance",
    ]


def test_a_broad_except_in_a_test_is_not_counted(tmp_path: Path) -> None:
    assert findings(written(tmp_path, {"tests/test_x.py": LAW + "try:\n    pass\nexcept Exception:\n    pass\n"})) == []


@pytest.mark.parametrize(
    ("source", "name", "word"),
    [
        ("class TaskManager: ...", "TaskManager", "manager"),
        ("def on_activity(): ...", "on_activity", "activity"),
        ("async def load_instances(): ...", "load_instances", "instance"),
        ("def start(*, helper_name): ...", "helper_name", "helper"),
        ("handlers = []", "handlers", "handler"),
        ("self.job = 1", "job", "job"),
        ("import shutil as misc", "misc", "misc"),
        ("for util in []: ...", "util", "util"),
        ("match 1:\n    case common: ...", "common", "common"),
        ("try: ...\nexcept OSError as manager: ...", "manager", "manager"),
    ],
)
def test_a_banned_word_is_found_wherever_a_name_is_given(source: str, name: str, word: str, tmp_path: Path) -> None:
    assert len(findings(written(tmp_path, {KERNEL: LAW + source + "\n"}))) == 1
    [finding] = findings(tmp_path)
    assert finding.endswith(f": name {name!r} holds the word {word!r}, which the glossary bans")


def test_a_banned_word_in_the_name_of_a_module_is_found(tmp_path: Path) -> None:
    path = "src/taskengine/kernel/utils.py"
    assert findings(written(tmp_path, {path: LAW})) == [
        f"{path}:1: module name 'utils' holds the word 'util', which the glossary bans"
    ]


@pytest.mark.parametrize("room", ["api", "cli", "client", "wire"])
def test_the_rooms_that_serve_the_documents_may_use_their_words(room: str, tmp_path: Path) -> None:
    assert findings(written(tmp_path, {f"src/taskengine/{room}/instances.py": LAW + "def instance_list(): ...\n"})) == []


def test_a_name_that_comes_from_elsewhere_is_not_ours_to_choose(tmp_path: Path) -> None:
    body = LAW + "import logging\nif isinstance(1, int):\n    loop.add_signal_handler(logging.StreamHandler)\n"
    assert findings(written(tmp_path, {RUNTIME: body})) == []


def test_a_word_inside_another_word_is_no_banned_word() -> None:
    assert banned_words("utility_and_commonly_isinstance") == []
    assert banned_words("HTTPHandlers") == ["handler"]
    assert banned_words("activities") == ["activity"]


def test_findings_are_printed_one_a_line_with_a_red_exit_code(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    written(tmp_path, {KERNEL: LAW + function("settle", lines=81), RUNTIME: LAW + "def helper(): ...\n"})
    assert main([str(tmp_path)], rules=Rules()) == 1
    lines = capsys.readouterr().out.splitlines()
    assert [line.partition(":")[0] for line in lines] == [KERNEL, RUNTIME, "sizes"]
    assert lines[-1].startswith("sizes: 2 findings in 2 files")


def test_a_clean_checkout_prints_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    written(tmp_path, {KERNEL: LAW})
    assert main([str(tmp_path)], rules=Rules()) == 0
    assert capsys.readouterr().out == ""
