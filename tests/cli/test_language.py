"""Two languages: Chinese where it is asked for, English as the source of every text, data and codes the same in both."""

# ruff: noqa: RUF001 -- Chinese has punctuation of its own

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator
from inspect import cleandoc
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

import taskengine
from taskengine.cli.chinese import TEXTS, translated
from taskengine.cli.command import LazyGroup
from taskengine.cli.language import given_in
from taskengine.cli.main import cli
from tests.cli.programs import Folder

CHINESE = re.compile(r"[\u4e00-\u9fff]")
FACT = re.compile(r"\{(\w+)\}")
# What document 001 asks of the command line.
COVERED = {"run", "version", "workflow", "instance"}
UNCOVERED: tuple[str, ...] = ()  # commands whose help is English only


def shape(text: str) -> str:
    """A text without the names of its facts."""
    return FACT.sub("{}", text)


def said_in_sources() -> set[str]:
    """Every text of the sources, facts of f-strings left open; help as click cleans it."""
    found: set[str] = set()
    for path in Path(taskengine.__file__).parent.rglob("*.py"):
        if path.name == "chinese.py":
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                found |= {shape(node.value), shape(cleandoc(node.value))}
            elif isinstance(node, ast.JoinedStr):
                parts = [one.value if isinstance(one, ast.Constant) else "{}" for one in node.values]
                found.add("".join(str(part) for part in parts))
    return found | {"Show this message and exit."}  # click's own


def test_every_english_text_of_the_catalogue_is_said_somewhere() -> None:
    said = said_in_sources()
    assert [english for english in TEXTS if shape(english) not in said] == []


def test_both_sides_have_the_same_facts_and_the_right_side_is_chinese() -> None:
    for english, chinese in TEXTS.items():
        assert sorted(FACT.findall(english)) == sorted(FACT.findall(chinese)), english
        assert CHINESE.search(chinese), english
        assert not CHINESE.search(english), english


def texts_of_help(command: click.Command, words: tuple[str, ...] = ()) -> Iterator[tuple[str, str]]:
    """What the help of the covered commands says, each text with the command that says it."""
    name = " ".join(words)
    yield cleandoc(command.help or ""), name
    for option in command.get_params(click.Context(command)):
        text = getattr(option, "help", None)
        if text:
            yield text, name
    if isinstance(command, LazyGroup):
        for below in command.list_commands(click.Context(command)):
            found = command.get_command(click.Context(command), below)
            assert found is not None
            if words or below in COVERED:
                yield from texts_of_help(found, (*words, below))


def test_every_text_in_the_help_of_the_covered_commands_has_its_chinese() -> None:
    missing = [(name, text) for text, name in texts_of_help(cli) if text not in TEXTS and name not in UNCOVERED]
    assert missing == []


def te(*words: str, **environment: str) -> Result:
    plain = {"LC_ALL": "", "LC_MESSAGES": "", "LANG": "", "TASK_ENGINE_LANG": ""}
    return CliRunner().invoke(cli, words, env=plain | environment)


@pytest.mark.parametrize(
    ("words", "environment"),
    [
        (["--lang", "zh", "instance", "--help"], {}),
        (["instance", "--help", "--lang=zh"], {}),
        (["instance", "--lang", "zh", "--help"], {}),
        (["instance", "--help"], {"TASK_ENGINE_LANG": "zh"}),
        (["instance", "--help"], {"LANG": "zh_CN.UTF-8"}),
        (["instance", "--help"], {"LANG": "en_US.UTF-8", "LC_ALL": "zh_TW.UTF-8"}),
    ],
)
def test_help_is_chinese_where_it_is_asked_for(words: list[str], environment: dict[str, str]) -> None:
    shown = te(*words, **environment).stdout
    assert shown.startswith("用法: ")
    assert "暂停" in shown


@pytest.mark.parametrize(
    ("words", "environment"),
    [
        (["instance", "--help"], {}),
        (["instance", "--help"], {"LANG": "de_DE.UTF-8"}),
        (["--lang", "en", "instance", "--help"], {"LANG": "zh_CN.UTF-8"}),
        (["instance", "--help"], {"LANG": "zh_CN.UTF-8", "TASK_ENGINE_LANG": "en"}),
    ],
)
def test_help_is_english_otherwise(words: list[str], environment: dict[str, str]) -> None:
    assert not CHINESE.search(te(*words, **environment).stdout)


def test_an_error_is_chinese_with_the_same_code(past: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(past.path)
    english, chinese = te("instance", "status", "ZZZZ"), te("instance", "status", "ZZZZ", "--lang", "zh")
    assert (english.exit_code, chinese.exit_code) == (3, 3)
    assert chinese.stderr.startswith("错误[TE3000]: 没有执行 ZZZZ\n  提示: 最近的: ex_")
    assert english.stderr.startswith("error[TE3000]: there is no execution ZZZZ\n  hint: the newest: ex_")


def test_data_is_the_same_in_every_language(past: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(past.path)
    for words in (
        ("instance", "list", "-o", "json"),
        ("instance", "events", "@latest", "-o", "yaml"),
        ("workflow", "list", "-o", "name"),
    ):
        assert te(*words).stdout == te(*words, "--lang", "zh").stdout
    refused = te("instance", "status", "ZZZZ", "-o", "json", "--lang", "zh")
    assert json.loads(refused.stderr)["error"]["message"] == "there is no execution ZZZZ"


def test_statuses_are_chinese_where_people_read_them(past: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(past.path)
    listed = te("instance", "list", "--lang", "zh").stdout
    assert [word for word in ("✔ 已完成", "✖ 失败", "◌ 等待中 (无进程)") if word not in listed] == []
    shown = te("instance", "status", "@failed", "--lang", "zh").stdout
    assert "进度: 0/2 (0%)  1 失败, 1 已跳过" in shown
    assert re.search(r"» report +已跳过", shown)
    assert re.search(r"approval +等待中", te("instance", "explain", "@latest", "--lang", "zh").stdout)
    refused = te("instance", "pause", "@failed", "--lang", "zh").stderr
    assert "失败" in refused
    assert "failed" not in refused


def test_a_control_speaks_chinese(past: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(past.path)
    assert "进度: 0/2 (0%)" in te("instance", "status", "@latest", "--lang", "zh").stdout
    assert "没有进程在运行它；继续执行: task-engine run --resume ex_" in te("instance", "status", "@latest", "--lang", "zh").stdout


def test_a_message_that_is_not_in_the_catalogue_stays_as_it_is() -> None:
    assert translated("something else happened") == "something else happened"
    assert translated("there is no execution {} of braces") == "没有执行 {} of braces"


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ([], None),
        (["--lang"], None),
        (["run", "--lang", "zh"], "zh"),
        (["--lang=en", "--lang=zh"], "en"),
        (["--", "--lang", "zh"], None),
    ],
)
def test_the_language_is_found_among_words_that_were_not_parsed(words: list[str], found: str | None) -> None:
    assert given_in(words) == found


@pytest.mark.processes
def test_a_usage_error_is_chinese_and_keeps_its_code(past: Folder) -> None:
    ended = past.run("run", "--lang", "zh")
    assert ended.code == 2
    first, *_, message, hint = ended.stderr.splitlines()
    assert first.startswith("用法: task-engine run")
    assert message.startswith("错误: 缺少参数 FILE")
    assert hint == "  提示: task-engine run --help"
    assert past.run("instance", "statsu", LANG="zh_CN.UTF-8", LC_ALL="").stderr.startswith("用法: ")


def test_a_language_that_is_not_spoken_is_a_usage_error() -> None:
    assert te("--lang", "fr", "version").exit_code == 2
