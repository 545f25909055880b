"""What a right document means: every key, every spelling, and what is normalised on the way to the model."""

from __future__ import annotations

from textwrap import dedent
from typing import Any

import pytest

from taskengine.define import load_text
from taskengine.model.workflow import Join, Limits, OnError, RetryPolicy, Step, Workflow


def load(text: str) -> Workflow:
    checked = load_text(dedent(text), file="a.yaml")
    assert checked.findings == ()
    assert checked.workflow is not None
    return checked.workflow


def step(keys: str) -> Step:
    """The one step of a workflow, a function with these further keys."""
    return load(f"name: a\nsteps:\n  - {{id: a, type: function, config: {{function: f}}, {keys}}}\n").steps[0]


WHOLE = """\
name: daily-report
version: "1.0"
description: What happened yesterday
owner: data team
tags: [daily, report]
kind: graph
input: {type: object, properties: {day: {type: string}}}
output: {rows: "{{ steps.fetch.output.rows | default(none) }}"}
variables: {batch_size: 1000, nested: {list: [1, 2.5, null, true, text]}}
limits: {timeout: 1h, max_concurrency: 20, priority: 9}
steps:
  - id: fetch
    name: Fetch data
    type: function
    config:
      function: package.module:fetch
      params: {day: "{{ input.day }}", size: "{{ variables.batch_size }}"}
    retry:
      max_attempts: 5
      initial_interval: 200ms
      max_interval: 5s
      backoff_coefficient: 1.5
      jitter: 0
      non_retryable_errors: [ValueError]
    timeout: 30s
    total_timeout: 5m
    queue_timeout: 1h30m
    priority: 0
    idempotent: false
    on_error: continue
    tags: io
  - id: pause
    type: wait
    config: {signal: approved, deadline: 2d}
    depends_on: fetch
    when: steps.fetch.status == "completed"
  - id: clean
    type: noop
    depends_on: [fetch, pause]
    join: all_done
    handles: [HttpError, Timeout]
    input_mapping: {rows: "{{ steps.fetch.output | default(none) }}"}
    output_mapping: {day: "{{ input.day }}"}
    is_parallel: true
"""

MEANT = Workflow(
    name="daily-report",
    version="1.0",
    description="What happened yesterday",
    owner="data team",
    tags=("daily", "report"),
    input_schema={"type": "object", "properties": {"day": {"type": "string"}}},
    output={"rows": "{{ steps.fetch.output.rows | default(none) }}"},
    variables={"batch_size": 1000, "nested": {"list": [1, 2.5, None, True, "text"]}},
    limits=Limits(timeout_ms=3_600_000, max_concurrency=20, priority=9),
    steps=(
        Step(
            id="fetch",
            name="Fetch data",
            type="function",
            config={
                "function": "package.module:fetch",
                "params": {"day": "{{ input.day }}", "size": "{{ variables.batch_size }}"},
            },
            retry=RetryPolicy(
                max_attempts=5,
                initial_interval_ms=200,
                max_interval_ms=5_000,
                backoff_coefficient=1.5,
                jitter=0.0,
                non_retryable_errors=("ValueError",),
            ),
            timeout_ms=30_000,
            total_timeout_ms=300_000,
            queue_timeout_ms=5_400_000,
            priority=0,
            is_idempotent=False,
            on_error=OnError.CONTINUE,
            tags=("io",),
        ),
        Step(
            id="pause",
            type="wait",
            config={"signal": "approved", "deadline": "2d"},
            depends_on=("fetch",),
            when='steps.fetch.status == "completed"',
        ),
        Step(
            id="clean",
            type="noop",
            depends_on=("fetch", "pause"),
            join=Join.ALL_DONE,
            handles=("HttpError", "Timeout"),
            input_mapping={"rows": "{{ steps.fetch.output | default(none) }}"},
            output_mapping={"day": "{{ input.day }}"},
        ),
    ),
)


def test_every_key_of_the_language_reaches_the_model() -> None:
    assert load(WHOLE) == MEANT


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("retry: {retry_count: 0}", RetryPolicy(max_attempts=1)),
        ("retry: {retry_count: 3}", RetryPolicy(max_attempts=4)),
        ("retry: {max_retries: 3}", RetryPolicy(max_attempts=4)),
        (
            "retry: {initial_delay: 2, max_delay: 8, backoff_factor: 3}",
            RetryPolicy(initial_interval_ms=2_000, max_interval_ms=8_000, backoff_coefficient=3.0),
        ),
        ("retry: {initial_interval: 10m}", RetryPolicy(initial_interval_ms=600_000, max_interval_ms=600_000)),
        ("retry: {non_retryable_errors: Timeout}", RetryPolicy(non_retryable_errors=("Timeout",))),
        ("retry: null", RetryPolicy()),
    ],
)
def test_the_other_spellings_of_a_retry_policy_mean_the_same(written: str, expected: RetryPolicy) -> None:
    assert step(written).retry == expected


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("500ms", 500),
        ("30s", 30_000),
        ("5m", 300_000),
        ("1h30m", 5_400_000),
        ("2d", 172_800_000),
        ("3650d", 315_360_000_000),
        ("0.5", 500),
        ("45", 45_000),
        ("1.5h", 5_400_000),
    ],
)
def test_a_duration_is_seconds_or_text_with_units(written: str, expected: int) -> None:
    assert step(f"timeout: {written}").timeout_ms == expected


@pytest.mark.parametrize(
    ("timeout", "in_config", "expected"),
    [("10s", "20s", 10_000), ("20s", "10s", 10_000), ("null", "7s", 7_000), ("7s", "null", 7_000)],
)
def test_of_the_two_attempt_timeouts_the_smaller_holds(timeout: str, in_config: str, expected: int) -> None:
    workflow = load(
        f"name: a\nsteps: [{{id: a, type: function, timeout: {timeout}, config: {{function: f, timeout: {in_config}}}}}]"
    )
    assert workflow.steps[0].timeout_ms == expected
    assert workflow.steps[0].config == {"function": "f"}


def test_defaults_hold_where_a_step_says_nothing_key_by_key_and_never_for_control_steps() -> None:
    workflow = load(
        """
        name: a
        defaults: {timeout: 5m, retry: {max_attempts: 3, jitter: 0.5}}
        limits: {timeout: 1h}
        steps:
          - {id: plain, type: function, config: {function: f}}
          - {id: own, type: function, config: {function: f}, timeout: 1s, retry: {max_attempts: 9}}
          - {id: inner, type: function, config: {function: f, timeout: 10m}}
          - {id: pause, type: wait, config: {signal: x}}
        """
    )
    plain, own, inner, pause = workflow.steps
    assert (plain.timeout_ms, plain.retry) == (300_000, RetryPolicy(max_attempts=3, jitter=0.5))
    assert (own.timeout_ms, own.retry) == (1_000, RetryPolicy(max_attempts=9, jitter=0.5))
    assert inner.timeout_ms == 600_000
    assert (pause.timeout_ms, pause.retry) == (None, RetryPolicy())


@pytest.mark.parametrize(
    ("written", "expected"),
    [("1.10", "1.10"), ("1", "1"), ("'2'", "2"), ("2026-11-21", "2026-11-21"), ("1e3", "1e3"), ("null", "")],
)
def test_a_version_keeps_the_digits_that_were_written(written: str, expected: str) -> None:
    assert load(f"name: a\nversion: {written}\nsteps: [{{id: a, type: noop}}]\n").version == expected


@pytest.mark.parametrize(("written", "expected"), [("false", "false"), ("true", "true"), ("input.x > 1", "input.x > 1")])
def test_a_condition_may_be_a_plain_boolean(written: str, expected: str) -> None:
    assert step(f"when: {written}").when == expected


def test_nothing_written_is_the_same_as_the_key_left_out() -> None:
    keys = "depends_on: , when: , join: , handles: , retry: , timeout: , priority: , idempotent: , on_error: , tags: , name: "
    assert step(keys) == Step(id="a", type="function", config={"function": "f"})


def test_nothing_written_in_a_config_is_the_key_left_out_as_well() -> None:
    text = (
        "name: a\nlimits: {timeout: 1h}\nsteps: [{id: a, type: wait, config: {duration: , signal: go, deadline: null, until: ~}}]\n"
    )
    assert load(text).steps[0].config == {"signal": "go"}


@pytest.mark.parametrize("step_id", ["a", "_x", "été", "步骤1", "हिन्दी", "a" * 128, "class", "None", "steps"])
def test_any_unicode_identifier_is_a_step_id(step_id: str) -> None:
    assert load(f"name: a\nsteps: [{{id: '{step_id}', type: noop}}]").steps[0].id == step_id


@pytest.mark.parametrize(
    "config",
    [
        {"duration": "30s"},
        {"duration": 0.25},
        {"duration": "{{ input.pause }}"},
        {"until": "2026-11-21T09:00:00Z"},
        {"until": "2026-11-21T09:00:00+08:00"},
        {"until": "{{ input.at }}"},
        {"signal": "approved", "deadline": "1d"},
        {"signal": "{{ input.name }}", "deadline": "{{ input.deadline }}"},
    ],
    ids=str,
)
def test_a_wait_step_takes_what_it_waits_for_as_it_was_written(config: dict[str, Any]) -> None:
    pairs = ", ".join(f"{key}: '{value}'" if isinstance(value, str) else f"{key}: {value}" for key, value in config.items())
    assert load(f"name: a\nsteps: [{{id: a, type: wait, config: {{{pairs}}}}}]").steps[0].config == config


def test_texts_may_stand_on_several_lines_and_hold_anything() -> None:
    workflow = load(
        """
        name: a
        description: |
          first line
            indented: yes # no comment
        variables:
          folded: >-
            one
            line
          single: 'it''s'
          double: "tab\\t quote\\" \\u263a \\x41"
        steps: [{id: a, type: noop}]
        """
    )
    assert workflow.description == "first line\n  indented: yes # no comment\n"
    assert workflow.variables == {"folded": "one line", "single": "it's", "double": 'tab\t quote" ☺ A'}
