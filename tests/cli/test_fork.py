"""``instance fork``: a new execution from the middle of one, as people ask for it."""

from __future__ import annotations

import json

from tests.cli.programs import Folder

DOCUMENT = """\
name: sum
version: "{version}"
input: {{type: object, properties: {{n: {{type: integer}}, m: {{type: integer, default: 1}}}}, required: [n]}}
steps:
  - {{id: one, type: function, config: {{function: "steps:mark", params: {{one: "{{{{ input.n }}}}"}}}}}}
  - id: two
    type: function
    depends_on: [one]
    config: {{function: "steps:{function}"}}
output: {{sum: "{{{{ steps.one.output.one + input.n + input.m }}}}"}}
"""


def write(folder: Folder, text: str) -> None:
    (folder.path / "sum.yaml").write_text(text, encoding="utf-8")


def test_a_fork_goes_on_from_a_step_with_an_edited_input_and_a_newer_version(folder: Folder) -> None:
    write(folder, DOCUMENT.format(version="1", function="fail"))
    assert folder.run("run", "sum.yaml", "--input", "n=1").code == 10
    write(folder, DOCUMENT.format(version="2", function="mark"))
    assert folder.run("workflow", "upload", "sum.yaml").code == 0
    origin = folder.run("instance", "list", "-o", "name").stdout.strip()
    done = folder.run("instance", "fork", "@failed", "--from", "two", "--input", "n=5", "--version", "latest")
    assert done.code == 0
    fork = done.stdout.split()[0]
    assert done.stdout == f"{fork} is a fork of {origin}, from /two/ on\n"
    assert f"run --resume {fork}" in done.stderr
    assert folder.run("run", "--resume", fork).code == 0
    assert folder.marks == ["one 1", "two 1", "two 1"]
    view = json.loads(folder.run("instance", "status", fork, "-o", "json").stdout)
    assert (view["output"], view["input"]) == ({"sum": 7}, {"n": 5, "m": 1})
    assert (view["forked_from"], view["forked_at"], view["workflow_version"]) == (origin, "/two/", "2")
    assert f"fork of {origin}, from /two/ on\n" in folder.run("instance", "status", fork).stdout
    assert f"taken over from {origin}, completed" in folder.run("instance", "status", fork, "--task", "one").stdout


def test_what_cannot_be_forked_is_refused_with_a_hint(folder: Folder) -> None:
    write(folder, DOCUMENT.format(version="1", function="mark"))
    assert folder.run("run", "sum.yaml", "--input", "n=1").code == 0
    for words, said in (
        (("--from", "three"), "there is no task /three/"),
        (("--from", "two", "--version", "9"), 'has no version "9"\n  hint: it has 1'),
        (("--from", "two", "--input", "n=x"), "input.n"),
        ((), "Missing option '--from'"),
    ):
        refused = folder.run("instance", "fork", "@latest", *words)
        assert refused.code != 0
        assert said in refused.stderr, refused.stderr
    assert len(folder.run("instance", "list", "-o", "name").stdout.split()) == 1


def test_two_executions_are_compared(past: Folder) -> None:
    waiting, failing, hello = past.run("instance", "list", "-o", "name").stdout.split()
    told = past.run("instance", "diff", hello, failing)
    assert told.code == 0
    head, *lines = told.stdout.splitlines()
    assert head.split() == ["PATH", "WHAT", hello[-8:], failing[-8:]]
    rows = {tuple(line.split()[:2]): line for line in lines}
    assert rows["/", "status"].split()[2:] == ["completed", "failed"]
    assert rows["/", "input.who"].split()[2:] == ["Ada", "-"]
    assert rows["/greet/", "status"].split()[2:] == ["completed", "-"]
    assert "/greet/" in past.run("instance", "diff", hello, failing, "-o", "name").stdout.splitlines()
    same = past.run("instance", "diff", hello, hello)
    assert (same.stdout, same.stderr) == ("", "no differences\n")
    every = past.run("instance", "diff", waiting, waiting, "--all", "-o", "json").data
    assert every["is_same"]
    assert {one["path"] for one in every["differences"]} > {"/"}
    assert past.run("instance", "diff", waiting, "ex_nobody").code != 0
