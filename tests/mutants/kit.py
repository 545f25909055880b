"""Mutants of the test kit for users: a kit that accepts everything would make every test of theirs green."""

from __future__ import annotations

from typing import Final

from tests.mutants.mutant import Mutant

__all__ = ["MUTANTS"]

REFUSED: Final = "tests/testing/test_history.py::test_what_is_not_so_is_refused_with_the_story"
CHANGED: Final = "tests/testing/test_replay.py::test_a_workflow_that_would_decide_otherwise_is_refused_at_the_first_event"
TIME: Final = "tests/testing/test_virtual_time.py"
STEPS: Final = "tests/testing/test_mocked_steps.py"
REPLAY: Final = "tests/testing/test_replay.py"
EXPLORER: Final = "tests/testing/test_explorer.py"

MUTANTS: Final = (
    # claims about histories
    Mutant(
        name="kit_claims_hold_always",
        breaks="no claim about a history is ever refused",
        file="testing/history.py",
        text="            if self.state.phase[number] != phase:\n",
        replacement="            if False:\n",
        test=REFUSED,
    ),
    Mutant(
        name="kit_any_error_matches",
        breaks="a failure is accepted whatever its error",
        file="testing/history.py",
        text="        if error and (found is None or not found.matches((error,))):\n",
        replacement="        if error and found is None:\n",
        test=REFUSED,
    ),
    Mutant(
        name="kit_times_are_not_counted",
        breaks="a step that ran is one that ran as often as was said",
        file="testing/history.py",
        text="        if (times is None and not found) or (times is not None and found != times):\n",
        replacement="        if not found:\n",
        test=REFUSED,
    ),
    Mutant(
        name="kit_never_ran_holds",
        breaks="a step that ran never ran",
        file="testing/history.py",
        text="            if self.attempts(step):\n",
        replacement="            if self.attempts(step) > 9:\n",
        test=REFUSED,
    ),
    Mutant(
        name="kit_order_of_beginnings",
        breaks="steps that overlap are in order",
        file="testing/history.py",
        text="            ended, began = self._first(earlier, _ENDS), self._first(later, _BEGINNINGS)\n",
        replacement="            ended, began = self._first(earlier, (*_ENDS, *_BEGINNINGS)), self._first(later, _BEGINNINGS)\n",
        test="tests/testing/test_history.py::test_steps_that_overlap_have_no_order",
    ),
    Mutant(
        name="kit_open_execution_ended",
        breaks="an execution that goes on has ended as it is said to have",
        file="testing/history.py",
        text="        if not state.is_finished or state.status != status:\n",
        replacement="        if state.is_finished and state.status != status:\n",
        test="tests/testing/test_history.py::test_an_execution_that_goes_on_has_not_ended",
    ),
    Mutant(
        name="kit_any_outcome",
        breaks="every outcome is the one that was said",
        file="testing/history.py",
        text="        if outcome is not None and state.outcome != outcome:\n",
        replacement="        if outcome is not None and state.outcome == outcome:\n",
        test=REFUSED,
    ),
    # time
    Mutant(
        name="kit_time_passes_beside_threads",
        breaks="time jumps while a plain function works",
        file="testing/virtual/engine.py",
        text="        if steps.in_threads or not (self._calls or self._waiting):\n",
        replacement="        if not (self._calls or self._waiting):\n",
        test=f"{TIME}::test_time_stands_still_while_a_thread_works",
    ),
    Mutant(
        name="kit_time_passes_beside_executors",
        breaks="time jumps while an async function waits for a thread of its own",
        file="testing/virtual/loop.py",
        text="        pace = Pace.STAND if self._loop.in_threads else self._loop.ask()\n",
        replacement="        pace = self._loop.ask()\n",
        test=f"{TIME}::test_time_stands_still_while_a_function_waits_for_a_thread_of_its_own",
    ),
    Mutant(
        name="kit_time_passes_behind_the_test",
        breaks="time jumps while the test does something else",
        file="testing/virtual/engine.py",
        text="        if steps.in_threads or not (self._calls or self._waiting):\n            return Pace.STAND\n",
        replacement="        if steps.in_threads:\n            return Pace.STAND\n",
        test=f"{TIME}::test_time_stands_still_between_the_calls_of_a_test",
    ),
    Mutant(
        name="kit_connections_are_not_waited_for",
        breaks="time jumps while an async function waits for a connection",
        file="testing/virtual/loop.py",
        text="        if len(self._inner.get_map()) > 1:",
        replacement="        if len(self._inner.get_map()) > 99:",
        test=f"{TIME}::test_a_connection_takes_the_time_it_takes",
    ),
    Mutant(
        name="kit_standstill_is_not_noticed",
        breaks="a test that waits for what nobody will do lets ten years pass",
        file="testing/virtual/engine.py",
        text="        return bool(is_busy) or resident.state.wake_at is not None\n",
        replacement="        return True\n",
        test=f"{TIME}::test_waiting_for_what_nobody_will_do_is_an_error_that_says_what_it_is",
    ),
    Mutant(
        name="kit_calls_return_too_early",
        breaks="a call returns before everything at its instant has happened",
        file="testing/virtual/engine.py",
        text="            await self._loop.quiet()\n",
        replacement="            pass\n",
        test=f"{TIME}::test_a_call_returns_when_all_that_can_happen_at_this_instant_has_happened",
    ),
    # mocked steps
    Mutant(
        name="kit_unknown_steps_may_be_mocked",
        breaks="a step that no workflow has may be mocked, to no effect",
        file="testing/virtual/steps.py",
        text='            if step is None:\n                raise NotFoundError("unknown_step"',
        replacement='            if step is None and not name:\n                raise NotFoundError("unknown_step"',
        test=f"{STEPS}::test_a_name_that_no_workflow_has_is_an_error_with_the_one_that_was_meant",
    ),
    Mutant(
        name="kit_last_typo_is_not_noticed",
        breaks="what is said after the last start is not checked",
        file="testing/virtual/engine.py",
        text="        if is_checked:\n            self._steps.must_fit()\n",
        replacement="",
        test=f"{STEPS}::test_a_name_that_is_wrong_to_the_end_fails_the_test",
    ),
    Mutant(
        name="kit_failures_never_end",
        breaks="a step that should fail so often fails for ever",
        file="testing/virtual/steps.py",
        text="_raising(self._failures.popleft())",
        replacement="_raising(self._failures[0])",
        test=f"{STEPS}::test_a_step_fails_so_often_and_then_does_what_it_does",
    ),
    Mutant(
        name="kit_steps_take_no_time",
        breaks="what a step takes is not waited for",
        file="testing/virtual/steps.py",
        text="            takes += duration\n",
        replacement="",
        test=f"{STEPS}::test_a_step_takes_virtual_time",
    ),
    # replay
    Mutant(
        name="kit_nothing_is_decided_again",
        breaks="a replay only folds",
        file="testing/replaying.py",
        text="    if not folds_only:\n",
        replacement="    if folds_only:\n",
        test=CHANGED,
    ),
    Mutant(
        name="kit_differences_are_not_compared",
        breaks="the kernel may decide whatever it likes",
        file="testing/replaying.py",
        text="            if event != following[offset]:\n",
        replacement="            if type(event) is not type(following[offset]):\n",
        test=CHANGED,
    ),
    Mutant(
        name="kit_final_state_is_not_compared",
        breaks="a history may fold to another state than when it was recorded",
        file="testing/replaying.py",
        text="    if state_hash(final) != recording.sha256:\n",
        replacement="    if not recording.sha256:\n",
        test=f"{REPLAY}::test_a_history_that_folds_to_another_state_says_what_differs",
    ),
    Mutant(
        name="kit_empty_folder_is_fine",
        breaks="a folder without a history is replayed happily",
        file="testing/replaying.py",
        text="    if not found:\n        raise FileNotFoundError",
        replacement="    if found is None:\n        raise FileNotFoundError",
        test=f"{REPLAY}::test_a_folder_without_histories_is_an_error",
    ),
    # the explorer
    Mutant(
        name="kit_no_crash_before_a_commit",
        breaks="engines crash after commits only",
        file="testing/explorer.py",
        text="            await self._pass(point)\n",
        replacement="            await self._pass(point) if point.is_after else None\n",
        test=f"{EXPLORER}::test_a_function_that_books_twice_is_found_at_the_first_point",
    ),
    Mutant(
        name="kit_effects_are_not_copied",
        breaks="effects that are written to go on being the first run's",
        file="testing/explorer.py",
        text="deepcopy(self._effects())",
        replacement="self._effects()",
        test=f"{EXPLORER}::test_effects_may_be_what_the_functions_go_on_writing_to",
    ),
    Mutant(
        name="kit_once_is_not_asked",
        breaks="work that must be done once may be done twice",
        file="testing/explorer.py",
        text="            if seen.performed[step] > max(1, plain.performed[step]):",
        replacement="            if seen.performed[step] > max(2, plain.performed[step]):",
        test=f"{EXPLORER}::test_work_that_must_be_done_once_is_found_without_effects",
    ),
    Mutant(
        name="kit_failing_runs_are_explored",
        breaks="a workflow that fails without a crash is explored as if that were meant",
        file="testing/explorer.py",
        text="        plain.history.ended(self._status)\n",
        replacement="",
        test=f"{EXPLORER}::test_a_workflow_that_fails_anyway_is_not_explored_unless_that_is_meant",
    ),
    Mutant(
        name="kit_ends_come_together",
        breaks="steps beside each other end in one commit, and no crash falls between them",
        file="testing/virtual/steps.py",
        text="timedelta(milliseconds=0 if self._has_threads else attempt.task)",
        replacement="timedelta()",
        test=f"{EXPLORER}::test_steps_beside_each_other_are_crashed_one_after_the_other",
    ),
)
