"""What people are told so that they need not guess: what decided, what is asked, what is inside, what helps."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

import taskengine
from taskengine.app.engine import Engine
from taskengine.cli.failures import FAILURES
from taskengine.cli.main import cli
from taskengine.cli.pages import NAMES, page_of
from taskengine.errors import NotFoundError
from taskengine.model.status import Status
from taskengine.model.value import TaskError, raw
from taskengine.runtime.resident import Result as Result_
from taskengine.runtime.settings import NodeSettings

Ask = Callable[..., Result]
ROOT = Path(taskengine.__file__).parent
GARDEN = """
name: garden
steps:
  - id: beds
    type: map
    config: {items: [1, 0, 2]}
    success: any
    steps:
      - id: work
        type: parallel
        branches:
          dig: [{id: dig, type: fail, config: {message: dry}, when: "item == 0"}]
          rest: [{id: rest, type: noop}]
  - {id: too_much, type: fail, depends_on: [beds], config: {type: TooHeavy, message: 2100 grams}}
"""
ASKING = """
name: asking
steps:
  - id: ok
    type: approval
    config:
      approvers: [ann, bob]
      message: pay {{ 1 + 2 }}?
      form: {type: object, required: [amount], properties: {amount: {type: integer}, note: {type: string}}}
"""
PARTIAL = """
name: partial
steps:
  - id: each
    type: map
    config: {items: [1, 2]}
    success: any
    steps:
      - id: inner
        type: map
        config: {items: [1, 0]}
        success: any
        steps: [{id: f, type: fail, config: {message: dry}, when: "item == 0"}]
  - id: choose
    type: condition
    depends_on: [each]
    cases: [{name: small, when: "true", steps: [{id: one, type: noop}]}]
    else: [{id: two, type: noop}]
  - {id: side, type: parallel, branches: {left: [{id: l, type: noop}], right: [{id: r, type: noop}]}}
"""
OWN_OUTPUT = """
name: own
steps: [{id: a, type: fail, config: {message: m}}, {id: b, type: noop, depends_on: a, join: any_failed, handles: [Failed]}]
output: "{{ steps.a.output }}"
"""
FILTERED = """
name: filtered
input: {type: object, properties: {box: {type: string}}}
steps: [{id: letter, type: wait, config: {signal: letter, filter: "event.to == input.box"}}]
"""


@pytest.fixture
def ask(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Ask:
    monkeypatch.chdir(tmp_path)
    for name in ("TASK_ENGINE_DB", "TASK_ENGINE_BY", "TASK_ENGINE_ASCII"):
        monkeypatch.delenv(name, raising=False)
    documents = {"garden": GARDEN, "asking": ASKING, "partial": PARTIAL, "own": OWN_OUTPUT, "filtered": FILTERED}
    for name, text in documents.items():
        (tmp_path / f"{name}.yaml").write_text(text)
    return lambda *words: CliRunner().invoke(cli, words)


def data(result: Result) -> Any:
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def rows_of(table: str) -> dict[str, str]:
    """Each line of a tree by the name behind its mark."""
    return {words[1]: line for line in table.splitlines() if len(words := line.split()) > 1}


# ── what decided ─────────────────────────────────────────────────────────────────────────────────────────────────────


def test_what_decided_is_named_first_and_what_was_tolerated_apart(ask: Ask) -> None:
    ran = ask("run", "garden.yaml", "--no-watch")
    assert ran.exit_code == 10
    lines = ran.stderr.splitlines()
    assert lines[1:4] == [
        "  too_much: TooHeavy: 2100 grams",
        "  failed too, but did not decide it:",
        "    beds/[1]/work/dig/dig: Failed: dry",
    ]
    assert re.search(r"see why: task-engine instance status ex_\w+ --task too_much\n", ran.stderr)


def test_what_was_tolerated_in_a_completed_execution_is_listed(ask: Ask) -> None:
    ran = ask("run", "partial.yaml", "--no-watch")
    assert ran.exit_code == 12
    assert "  failed, and was tolerated or handled:\n    each/[0]/inner/[1]/f: Failed: dry\n" in ran.stderr


def test_counts_are_of_steps_and_all_of_them_are_told(ask: Ask) -> None:
    ran = ask("run", "partial.yaml", "--no-watch", "-o", "json")
    progress = json.loads(ran.stdout)["progress"]
    # each, choose, side; two inner; four f; one, l, r
    assert progress == {
        "total": 12,
        "completed": 8,
        "failed": 2,
        "running": 0,
        "waiting": 0,
        "pending": 0,
        "cancelled": 0,
        "skipped": 2,
    }
    assert re.search(r"  10/12 steps, 2 failed, 2 skipped in ", ran.stderr)
    status = ask("instance", "status", "@latest").stdout
    assert "Progress: 10/12 (83%)  8 completed, 2 failed, 2 skipped\n" in status
    assert "10/12" in ask("instance", "list").stdout


# ── what is inside ───────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_container_that_is_not_quite_well_does_not_look_whole(ask: Ask) -> None:
    assert ask("run", "partial.yaml", "--no-watch").exit_code == 12
    rows = rows_of(ask("instance", "status", "@latest").stdout)
    assert rows["each"].endswith("2/2 done, 2 of them partial")
    tasks = {one["path"]: one for one in data(ask("instance", "tasks", "@latest", "-o", "json"))["items"]}
    assert [tasks[path]["outcome"] for path in ("/each/", "/each/[0]/", "/each/[0]/inner/", "/side/")] == ["partial"] * 3 + [None]
    assert [tasks[path]["type"] for path in ("/each/[0]/", "/choose/small/", "/side/left/")] == ["item", "case", "branch"]


def test_one_container_names_what_it_has_opened(ask: Ask) -> None:
    assert ask("run", "partial.yaml", "--no-watch").exit_code == 12
    side = ask("instance", "status", "@latest", "--task", "side").stdout
    assert re.search(r"PART +STATUS\nleft +✔ completed\nright +✔ completed\n", side)
    assert "opens left, right" in side
    assert "opens small" in ask("instance", "status", "@latest", "--task", "choose").stdout
    each = data(ask("instance", "status", "@latest", "--task", "each", "-o", "json"))
    assert each["inputs"] == {"items": [1, 2]}
    assert [(part["name"], part["outcome"]) for part in each["parts"]] == [("[0]", "partial"), ("[1]", "partial")]


def test_the_output_of_an_execution_is_part_of_its_status(ask: Ask, tmp_path: Path) -> None:
    (tmp_path / "said.yaml").write_text("name: said\nsteps: [{id: a, type: noop}]\noutput: {city: Graz}\n")
    assert ask("run", "said.yaml", "--no-watch").exit_code == 0
    assert 'Output: {"city":"Graz"}\n' in ask("instance", "status", "@latest").stdout


# ── what is asked ────────────────────────────────────────────────────────────────────────────────────────────────────


def test_who_is_asked_sees_the_message_the_form_and_who_may_decide(ask: Ask) -> None:
    assert ask("run", "asking.yaml", "--no-watch", "--timeout", "0.1s").exit_code == 124
    told = ask("instance", "status", "@latest", "--task", "ok").stdout
    assert "asks      pay 3?\nof        ann, bob\nform      amount: integer, note: string or nothing\n" in told
    detail = data(ask("instance", "status", "@latest", "--task", "ok", "-o", "json"))
    assert detail["inputs"]["message"] == "pay 3?"
    assert (detail["asks"]["message"], detail["asks"]["approvers"]) == ("pay 3?", ["ann", "bob"])
    assert detail["asks"]["form"]["required"] == ["amount"]
    explained = ask("instance", "explain", "@latest")
    assert "tasks: 1 waiting for a decision\n" in explained.stdout
    assert "decision of ann, bob: pay 3? (asks for amount: integer, note: string or nothing)\n" in explained.stdout


def test_the_command_that_is_suggested_is_taken_once_its_data_is_filled_in(ask: Ask) -> None:
    assert ask("run", "asking.yaml", "--no-watch", "--timeout", "0.1s").exit_code == 124
    approve = data(ask("instance", "explain", "@latest", "-o", "json"))["next"][0]
    found = re.fullmatch(r"""task-engine task approve (ex_\w+/ok) --by ann --data '(.*)'""", approve)
    assert found is not None
    assert ask("task", "approve", found[1], "--by", "ann", "--data", found[2]).exit_code == 8  # nobody approves by accident
    filled = found[2].replace("<integer>", "3")
    assert ask("task", "approve", found[1], "--by", "ann", "--data", filled).exit_code == 0


def test_a_pair_that_is_no_json_is_told_as_an_object(ask: Ask) -> None:
    refused = ask("task", "approve", "@latest/ok", "--data", "iban=NL1 by=ann")
    assert """--data '{"iban": "NL1", "by": "ann"}'""" in refused.stderr


TRIP = """
name: trip
steps:
  - {id: book, type: noop, compensate: {type: wait, config: {signal: undone, deadline: 1h}}}
  - {id: asked, type: wait, depends_on: [book], config: {signal: go, deadline: 1h}}
"""


def test_what_the_undoing_cut_off_lasts_no_longer(ask: Ask, tmp_path: Path) -> None:
    (tmp_path / "trip.yaml").write_text(TRIP)
    assert ask("run", "trip.yaml", "--no-watch", "--timeout", "0.1s").exit_code == 124
    assert ask("instance", "cancel", "@latest", "--compensate").exit_code == 0
    begun = data(ask("instance", "tasks", "@latest", "-o", "json"))["items"]
    (asked,) = [one for one in begun if one["path"] == "/asked/"]
    events = data(ask("instance", "events", "@latest", "-o", "json"))
    (undoing,) = [one for one in events if one["type"] == "CompensationStarted"]
    assert asked["finished_at"] == undoing["at"]
    detail = data(ask("instance", "status", "@latest", "--task", "asked", "-o", "json"))
    assert detail["task"]["finished_at"] == undoing["at"]
    assert ask("instance", "signal", "@latest", "undone").exit_code == 0
    ended = data(ask("instance", "tasks", "@latest", "-o", "json"))["items"]
    assert [one["duration"] for one in ended if one["path"] == "/asked/"] == [asked["duration"]]


def test_a_fork_does_not_look_as_if_it_had_lost_what_is_inside_of_a_container(ask: Ask) -> None:
    assert ask("run", "partial.yaml", "--no-watch", "-o", "name").exit_code == 12
    origin = data(ask("instance", "status", "@latest", "-o", "json"))["id"]
    assert ask("instance", "fork", origin, "--from", "choose").exit_code == 0
    found = data(ask("instance", "diff", origin, "@latest", "-o", "json"))["differences"]
    assert [one["path"] for one in found if one["path"].startswith("/each/[")] == []


def test_a_new_round_is_said_in_the_same_words_everywhere(ask: Ask) -> None:
    assert ask("run", "garden.yaml", "--no-watch").exit_code == 10
    assert ask("instance", "retry", "@latest", "--task", "too_much").stdout.endswith(" has a new round: /too_much/\n")


def test_nobody_who_decides_in_time_is_said_so(ask: Ask, tmp_path: Path) -> None:
    (tmp_path / "late.yaml").write_text("name: late\nsteps: [{id: ok, type: approval, config: {deadline: 10ms}}]\n")
    ran = ask("run", "late.yaml", "--no-watch")
    assert (ran.exit_code, "  ok: Timeout: nobody decided before the deadline\n" in ran.stderr) == (10, True)


def test_an_instant_that_is_none_is_said_to_be_none(ask: Ask, tmp_path: Path) -> None:
    (tmp_path / "day.yaml").write_text(
        "name: day\ninput: {type: object}\nsteps: [{id: w, type: wait, config: {until: '{{ input.day }}'}}]\n"
    )
    ran = ask("run", "day.yaml", "--no-watch", "--input", "day=morgen")
    assert "w: ValidationError: config: 'morgen' is no date and time of ISO 8601, such as 2026-01-31T12:00:00Z\n" in ran.stderr


# ── what helps ───────────────────────────────────────────────────────────────────────────────────────────────────────


def test_what_would_fail_in_the_same_way_is_not_advised(ask: Ask, tmp_path: Path) -> None:
    ran = ask("run", "own.yaml", "--no-watch")
    execution = re.search(r"ex_\w+", ran.stderr)
    assert execution is not None
    fork = f"task-engine instance fork {execution[0]} --from b --version latest"
    assert f"correct the document, then: task-engine workflow upload own.yaml && {fork}\n" in ran.stderr
    assert "instance retry" not in ran.stderr
    explained = data(ask("instance", "explain", "@latest", "-o", "json"))
    assert explained["next"] == [fork]
    (tmp_path / "own.yaml").write_text(OWN_OUTPUT.replace("steps.a.output", "steps.b.output"))
    assert ask("workflow", "upload", "own.yaml").exit_code == 0
    forked = ask(*fork.split()[1:])
    assert forked.exit_code == 0
    assert "it has ended already: completed\n" in forked.stderr
    assert "No process runs it" not in forked.stderr
    assert data(ask("instance", "status", "@latest", "-o", "json"))["status"] == "completed"


def test_a_map_whose_rule_is_wrong_is_forked_and_not_retried(ask: Ask, tmp_path: Path) -> None:
    (tmp_path / "rule.yaml").write_text(
        "name: rule\nsteps:\n  - id: each\n    type: map\n    config: {items: [1]}\n"
        '    success: {when: "children.results[7].status == 1"}\n    steps: [{id: a, type: noop}]\n'
    )
    ran = ask("run", "rule.yaml", "--no-watch")
    assert ran.exit_code == 10
    assert "--from each --version latest" in ran.stderr


def test_a_paused_step_says_what_it_waits_for_when_the_pause_is_over(ask: Ask) -> None:
    assert ask("run", "filtered.yaml", "--no-watch", "--timeout", "0.1s", "--input", "box=7").exit_code == 124
    assert ask("instance", "pause", "@latest").exit_code == 0
    assert "the execution is paused; after that it waits for signal letter\n" in ask("instance", "explain", "@latest").stdout


def test_a_filter_that_refuses_a_signal_is_named(ask: Ask) -> None:
    assert ask("run", "filtered.yaml", "--no-watch", "--timeout", "0.1s", "--input", "box=7").exit_code == 124
    sent = ask("instance", "signal", "@latest", "letter", "--data", '{"to": "8"}')
    assert "/letter/ waits for letter, but its filter does not take what is kept: event.to == input.box" in sent.stderr
    told = ask("instance", "explain", "@latest").stdout
    assert "waits for signal letter; its filter has refused 1: event.to == input.box\n" in told
    taken = ask("instance", "signal", "@latest", "letter", "--data", '{"to": "7"}')
    assert "filter" not in taken.stderr


def test_a_path_that_is_not_there_is_answered_with_those_that_end_so(ask: Ask) -> None:
    assert ask("run", "garden.yaml", "--no-watch").exit_code == 10
    refused = ask("instance", "status", "@latest", "--task", "dig")
    assert refused.exit_code == 3
    assert "did you mean /beds/[0]/work/dig/dig/ or /beds/[1]/work/dig/dig/ or /beds/[2]/work/dig/dig/?" in refused.stderr


def test_a_version_that_is_not_there_is_answered_with_those_there_are(ask: Ask) -> None:
    assert ask("run", "garden.yaml", "--no-watch").exit_code == 10
    refused = ask("instance", "fork", "@latest", "--from", "beds", "--version", "7")
    assert (refused.exit_code, "hint: it has 1\n" in refused.stderr) == (3, True)


def test_who_waits_for_another_execution_is_told_how_that_is(ask: Ask, tmp_path: Path) -> None:
    (tmp_path / "kid.yaml").write_text("name: kid\nsteps: [{id: nap, type: wait, config: {duration: 1h}}]\n")
    (tmp_path / "mum.yaml").write_text("name: mum\nsteps: [{id: k, type: workflow, config: {workflow: kid}}]\n")
    assert ask("workflow", "upload", "kid.yaml").exit_code == 0
    ran = ask("run", "mum.yaml", "--no-watch", "--timeout", "0.5s")
    assert ran.exit_code == 124
    mum = re.search(r"ex_\w+", ran.stderr)
    assert mum is not None
    explained = ask("instance", "explain", mum[0])
    child = re.search(r"waits for the execution (ex_\w+), which is waiting\n", explained.stdout)
    assert child is not None
    assert f"next: task-engine instance explain {child[1]}\n" in explained.stderr


def test_an_id_where_a_path_belongs_is_answered_with_the_path(ask: Ask) -> None:
    assert ask("run", "asking.yaml", "--no-watch", "--timeout", "0.1s").exit_code == 124
    execution = data(ask("instance", "status", "@latest", "-o", "json"))["id"]
    with Engine(".task-engine/engine.db", settings=NodeSettings(can_run=False)) as engine, pytest.raises(NotFoundError) as caught:
        engine.decide(execution, "ok", by="ann", data={"amount": 3})
    assert caught.value.hint == "did you mean /ok/?"


def test_a_result_is_printed_as_what_it_holds() -> None:
    failed = Result_("ex_1", Status.FAILED, None, error=TaskError(type="Boom", message="no"))
    assert repr(failed) == "Result('ex_1', failed, error='Boom: no')"
    assert repr(Result_("ex_1", Status.COMPLETED, None, raw({"a": 1}))) == "Result('ex_1', completed, output={'a': 1})"


# ── names ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def sources(*rooms: str) -> str:
    return "\n".join(path.read_text(encoding="utf-8") for room in rooms for path in sorted((ROOT / room).rglob("*.py")))


def test_every_failure_that_the_engine_makes_is_explained() -> None:
    text = sources("kernel", "runtime", "adapters", "app")
    made = set(re.findall(r'TaskError\(\s*type="(\w+)"', text))
    made |= {"".join(word.capitalize() for word in name.split("_")) for name in re.findall(r'OutboundError\(\s*"(\w+)"', text)}
    made |= {"NotFoundError"}  # what a signal by business key ends with
    assert len(made) > 25
    assert made - FAILURES.keys() == set()


@pytest.mark.parametrize("kind", FAILURES)
def test_a_failure_is_explained_with_what_matches_it(kind: str) -> None:
    page = page_of(kind)
    assert page is not None
    assert (page.severity, f"`{kind}`" in page.why, bool(page.fix)) == ("failure", True, True)


def test_every_refusal_of_the_kernel_has_a_page_of_its_own() -> None:
    refused = set(re.findall(r'(?:CommandRefusedError|LimitError)\(\s*"(\w+)"', sources("kernel")))
    assert len(refused) > 15
    assert refused - NAMES.keys() == set()


def test_a_refusal_without_a_hint_of_its_own_points_to_its_page(ask: Ask) -> None:
    assert ask("run", "garden.yaml", "--no-watch").exit_code == 10
    refused = ask("task", "approve", "@latest/too_much")
    assert "hint: task-engine explain not_waiting_for_approval\n" in refused.stderr


# ── Chinese ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_heads_of_a_status_are_chinese_too(ask: Ask) -> None:
    assert ask("run", "partial.yaml", "--no-watch").exit_code == 12
    told = ask("instance", "status", "@latest", "--lang", "zh").stdout
    assert "任务" in told
    assert not {"TASK", "STATUS", "DURATION", "started", "took"} & set(re.findall(r"\w+", told))
