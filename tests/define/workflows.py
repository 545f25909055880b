"""Random workflows as a program could make them, most of them sound: ids, graphs, configs and every attribute of the model."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from taskengine.model.duration import MAX_DURATION_MS
from taskengine.model.workflow import Join, Limits, OnError, RetryPolicy, Step, Workflow

__all__ = ["json_values", "names", "texts", "workflows"]

texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20)
names = st.from_regex(r"[a-zA-Z_äöü漢字][a-zA-Z0-9_äöü漢字]{0,10}", fullmatch=True)
durations = st.integers(1, MAX_DURATION_MS)
bounds = st.none() | durations
numbers = st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False, allow_infinity=False)
json_values = st.recursive(
    st.none() | st.booleans() | numbers | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=6,
)
objects = st.dictionaries(texts, json_values, max_size=3)
tags = st.lists(texts, max_size=2).map(tuple)


@st.composite
def policies(draw: st.DrawFn) -> RetryPolicy:
    first, longest = sorted((draw(durations), draw(durations)))
    return RetryPolicy(
        max_attempts=draw(st.integers(1, 10_000)),
        initial_interval_ms=first,
        max_interval_ms=longest,
        backoff_coefficient=draw(st.floats(1, 1_000)),
        jitter=draw(st.floats(0, 1)),
        non_retryable_errors=draw(tags),
    )


@st.composite
def configs(draw: st.DrawFn, kind: str) -> dict[str, Any]:
    if kind == "function":
        return {"function": draw(st.sampled_from(["extract", "package.module:Class.method"])), "params": draw(objects)}
    if kind == "wait":
        ways = [{"duration": "1h30m"}, {"duration": 1.5}, {"until": "2026-11-21T09:00:00+08:00"}, {"signal": "go", "deadline": 60}]
        return draw(st.sampled_from(ways))
    return {}


@st.composite
def steps(draw: st.DrawFn, step_id: str, before: list[str]) -> Step:
    kind = draw(st.sampled_from(["function", "wait", "noop"]))
    depends_on = tuple(draw(st.lists(st.sampled_from(before), max_size=3, unique=True))) if before else ()
    return Step(
        id=step_id,
        type=kind,
        name=draw(texts),
        config=draw(configs(kind)),
        depends_on=depends_on,
        when=draw(st.none() | st.sampled_from(["input.x > 1", "true", "variables == {}"])),
        join=draw(st.sampled_from(Join if depends_on else [Join.ALL_SUCCESS, Join.ALL_DONE, Join.NONE_FAILED])),
        handles=draw(tags),
        input_mapping=draw(objects),
        output_mapping=draw(objects),
        retry=draw(st.just(RetryPolicy()) | policies()),
        timeout_ms=draw(bounds),
        total_timeout_ms=draw(bounds),
        queue_timeout_ms=draw(bounds),
        priority=draw(st.none() | st.integers(0, 9)),
        is_idempotent=draw(st.booleans()),
        on_error=draw(st.sampled_from(OnError)),
        tags=draw(tags),
    )


@st.composite
def workflows(draw: st.DrawFn) -> Workflow:
    ids = draw(st.lists(names, min_size=1, max_size=4, unique=True))
    return Workflow(
        name=draw(names),
        version=draw(st.sampled_from(["", "1", "1.10", "2026-11-21", "1.0.0-rc.1+b5"])),
        description=draw(texts),
        owner=draw(texts),
        tags=draw(tags),
        input_schema=draw(st.none() | objects),
        output=draw(json_values),
        variables=draw(objects),
        limits=draw(
            st.builds(
                Limits,
                timeout_ms=bounds,
                max_concurrency=st.none() | st.integers(1, 100_000),
                priority=st.integers(0, 9),
            )
        ),
        steps=tuple(draw(steps(step_id, ids[:place])) for place, step_id in enumerate(ids)),
    )
