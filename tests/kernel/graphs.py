"""Random workflows: 1 to 12 steps with everything that the kernel knows. Numbers off a tape, so that a failing one shrinks."""

from __future__ import annotations

from typing import Any

from taskengine.model.value import Json
from taskengine.model.workflow import Join, Limits, OnError, RetryPolicy, Step, Workflow
from tests.kernel.tape import Tape

START_AT = 1_000_000
INPUT: dict[str, Json] = {"flag": True, "pause": "2s", "n": 3}
SIGNALS = ("go", "stop")
ERRORS = ("Boom", "Timeout", "Fatal")

_DURATIONS: list[tuple[int, Json]] = [(4, "1s"), (2, 0), (3, "5s"), (2, "{{ input.pause }}"), (1, "30s")]
_ENDED = (Join.ALL_SUCCESS, Join.ALL_DONE, Join.NONE_FAILED)


def workflow(tape: Tape) -> Workflow:
    """A graph without cycles; in some the order of the document is not the order of the graph."""
    size = 1 + max(tape.below(12), tape.below(12))
    names = [chr(ord("a") + index) for index in range(size)]
    steps = [_step(tape, names[: index + 1]) for index in range(size)]
    if tape.chance(30):
        steps.reverse()
    if tape.chance(20):
        steps.sort(key=lambda step: (ord(step.id) * 7) % 13)
    return Workflow(
        name="random",
        version="1",
        variables={},
        output=_output(tape, names),
        limits=Limits(
            timeout_ms=tape.pick((None, None, 20_000, 90_000)),
            max_concurrency=tape.pick((None, None, 1, 2)),
            priority=tape.pick((5, 9)),
        ),
        steps=tuple(steps),
    )


def _step(tape: Tape, names: list[str]) -> Step:
    name, earlier = names[-1], names[:-1]
    count = min(len(earlier), tape.weighted([(3, 1), (3, 0), (4, 2), (1, 3)]))
    depends_on = tuple(dict.fromkeys(earlier[-1 - tape.below(min(4, len(earlier)))] for _ in range(count)))
    join = tape.weighted(
        [(7, Join.ALL_SUCCESS), (5, Join.ALL_DONE), (4, Join.ANY_SUCCESS), (2, Join.ANY_FAILED), (3, Join.NONE_FAILED)]
    )
    if not depends_on and not tape.chance(3):
        join = Join.ALL_SUCCESS  # of nothing, any_* never holds
    kind = tape.weighted([(12, "function"), (3, "noop"), (5, "wait")])
    is_timed = kind == "function"
    return Step(
        id=name,
        type=kind,
        config=_wait(tape) if kind == "wait" else _params(tape, depends_on),
        depends_on=depends_on,
        when=_when(tape, depends_on, join),
        join=join,
        handles=("Boom", "Base") if join in {Join.ALL_DONE, Join.ANY_FAILED} and tape.chance(60) else (),
        output_mapping=tape.pick(({}, {}, {}, {}, {"x": "{{ output.x }}"}, {"x": "{{ output|default(0) }}"})),
        retry=_retry(tape),
        timeout_ms=tape.pick((None, None, 1_000, 5_000)) if is_timed else None,
        total_timeout_ms=tape.pick((None, None, None, 8_000)) if is_timed else None,
        queue_timeout_ms=tape.pick((None, None, None, 3_000)) if is_timed else None,
        priority=tape.pick((None, None, 0, 9)),
        is_idempotent=not tape.chance(15),
        on_error=OnError.CONTINUE if tape.chance(20) else OnError.FAIL,
    )


def _retry(tape: Tape) -> RetryPolicy:
    return RetryPolicy(
        max_attempts=tape.pick((1, 1, 2, 4)),
        initial_interval_ms=tape.pick((1_000, 0, 100)),
        backoff_coefficient=tape.pick((2.0, 1.0)),
        max_interval_ms=3_000,
        jitter=tape.pick((0.0, 0.5)),
        non_retryable_errors=tape.pick(((), ("Fatal",), ("Timeout", "Base"))),
    )


def _params(tape: Tape, depends_on: tuple[str, ...]) -> dict[str, Any]:
    if not depends_on:
        return tape.pick(({}, {"params": {"n": "{{ input.n }}"}}, {"params": {"n": "{{ execution.priority }}"}}))
    dependency = tape.pick(depends_on)
    return tape.weighted(
        [
            (4, {}),
            (4, {"params": {"x": f"{{{{ steps.{dependency}.output|default(none) }}}}"}}),
            (1, {"params": {"x": f"{{{{ steps.{dependency}.output.x }}}}"}}),
            (3, {"params": {"x": f"{{{{ steps.{dependency}.status }}}}"}}),
        ]
    )


def _when(tape: Tape, depends_on: tuple[str, ...], join: Join) -> str | None:
    """A condition. One that reads a dependency is only given where all of them have ended: else it could change its mind."""
    if not tape.chance(30):
        return None
    if not depends_on or join not in _ENDED:
        return tape.pick(("input.flag", "variables.n > 0", "variables.n < 3"))
    dependency = tape.pick(depends_on)
    return tape.pick(
        (
            f'steps.{dependency}.status != "skipped"',
            f'steps.{dependency}.status == "completed"',
            f"steps.{dependency}.output.x > 1",
            f"steps.{dependency}.error == none",
        )
    )


def _wait(tape: Tape) -> dict[str, Any]:
    return tape.weighted(
        [
            (4, {"duration": tape.weighted(_DURATIONS)}),
            (2, {"until": tape.pick(("1970-01-01T00:16:50Z", "1970-01-01T00:17:10Z", "1970-01-01T00:00:00Z"))}),
            (3, {"signal": tape.pick(SIGNALS)}),
            (6, {"signal": tape.pick(SIGNALS), "deadline": tape.weighted(_DURATIONS)}),
            (1, tape.pick(({}, {"duration": "soon"}, {"signal": ""}, {"signal": "go", "duration": "1s"}))),
        ]
    )


def _output(tape: Tape, names: list[str]) -> Any:
    name = tape.pick(names)
    return tape.weighted(
        [(5, None), (3, {"last": f"{{{{ steps.{name}.output|default(none) }}}}"}), (1, f"{{{{ steps.{name}.output }}}}")]
    )
