"""``workflow graph`` and ``workflow schema``."""

from __future__ import annotations

import json
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from click.testing import CliRunner

from taskengine.cli.main import cli

HELLO = "name: hello\nsteps:\n  - {id: greet, type: noop}\n  - {id: wave, type: noop, depends_on: [greet]}\n"


def run(*words: str) -> tuple[int, str, str]:
    ended = CliRunner().invoke(cli, words)
    return ended.exit_code, ended.stdout, ended.stderr


@pytest.fixture
def hello(tmp_path: Path) -> str:
    file = tmp_path / "hello.yaml"
    file.write_text(HELLO)
    return str(file)


def test_a_document_is_drawn_as_text(hello: str) -> None:
    code, shown, said = run("workflow", "graph", hello)
    assert (code, said) == (0, "")
    assert shown.startswith("hello - 2 steps\n")
    assert "| greet |" in shown


def test_a_document_is_drawn_in_mermaid_and_as_a_picture(hello: str) -> None:
    assert run("workflow", "graph", hello, "--format", "mermaid")[1].startswith("flowchart TD\n")
    _, picture, _ = run("workflow", "graph", hello, "--format", "svg")
    assert ET.fromstring(picture).tag.endswith("svg")


def test_a_broken_document_is_not_drawn_and_its_fault_is_shown(tmp_path: Path) -> None:
    file = tmp_path / "broken.yaml"
    file.write_text(HELLO.replace("[greet]", "[gret]"))
    code, shown, said = run("workflow", "graph", str(file))
    assert (code, shown) == (8, "")
    assert 'did you mean "greet"?' in said
    assert "^" in said


def test_a_file_that_is_not_there_and_a_format_that_does_not_exist(hello: str) -> None:
    assert run("workflow", "graph", hello.replace("hello.yaml", "helo.yaml"))[0] == 3
    assert run("workflow", "graph", hello, "--format", "png")[0] == 2


def test_the_schema_is_printed() -> None:
    code, shown, _ = run("workflow", "schema")
    assert code == 0
    assert json.loads(shown)["$schema"].endswith("2020-12/schema")
