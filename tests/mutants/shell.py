"""Mutants of the shell: what the simulation of the whole engine must notice, in the seeds that are kept or in a story."""

from __future__ import annotations

from typing import Final

from tests.mutants.mutant import Mutant

__all__ = ["MUTANTS"]

TEST: Final = "tests/simulation/test_simulation.py::test_a_promise_that_was_broken_once_holds"

TELLING: Final = "tests/runtime/test_task_context.py"
STORIES: Final = "tests/simulation/test_stories.py"
SUPERVISION: Final = "tests/runtime/test_supervision.py"
SLOTS: Final = "tests/runtime/test_slots.py"

MUTANTS: Final = (
    # slots
    Mutant(
        name="slots_of_a_turn_not_paid",
        breaks="attempts that begin in the turn that made them ready take no slots",
        file="runtime/node.py",
        text="            self.admission.take(turn.begun)\n",
        replacement="            pass\n",
        test=f"{SLOTS}::test_no_more_work_at_once_than_there_are_slots_and_all_come_back",
    ),
    Mutant(
        name="slots_of_others_taken",
        breaks="a turn takes free slots for which others wait",
        file="runtime/admission.py",
        text="        return 0 if self._waiting or self._is_serving or self.is_closed else self.free\n",
        replacement="        return 0 if self._is_serving or self.is_closed else self.free\n",
        test=f"{SLOTS}::test_who_has_waited_longer_comes_before_the_next_step_of_who_had_its_turn",
    ),
    # commits
    Mutant(
        name="conflict_verdict_ignored",
        breaks="a state whose append conflicted goes on as if it had been written",
        file="runtime/node.py",
        text="            if fate is Verdict.COMMITTED and not resident.is_dropped:\n",
        replacement="            if not resident.is_dropped:\n",
        test=TEST,
    ),
    Mutant(
        name="effect_before_commit",
        breaks="attempts are launched in the turn that decides them, before their commit",
        file="runtime/node.py",
        text="            pending.effects.extend(turn.effects)\n",
        replacement="            self._perform(resident, turn.effects)\n",
        test=TEST,
    ),
    Mutant(
        name="unknown_commit_assumed_committed",
        breaks="a commit of unknown outcome counts as one that took place",
        file="runtime/commit.py",
        text="                is_unknown = True\n                continue\n",
        replacement="                known = [Verdict.COMMITTED] * len(tried)\n",
        test=TEST,
    ),
    Mutant(
        name="unknown_commit_assumed_failed",
        breaks="a commit of unknown outcome is tried again at once and conflicts with itself",
        file="runtime/commit.py",
        text="                is_unknown = True\n                continue\n",
        replacement="                continue\n",
        test=TEST,
    ),
    Mutant(
        name="overtaken_commit_assumed_failed",
        breaks="a commit of unknown outcome is not found when others went on from it",
        file="runtime/commit.py",
        text="        is_passed = head.seq > summary.seq or head.token > summary.token\n",
        replacement="        is_passed = False\n",
        test=f"{STORIES}::test_a_commit_whose_answer_got_lost_is_found_under_what_another_node_wrote_on_top_of_it",
    ),
    Mutant(
        name="overtaken_commit_performed",
        breaks="what another node did in the same moment is performed here too",
        file="runtime/commit.py",
        text="return Verdict.COMMITTED if is_there else OVERTAKEN if is_passed else Verdict.CONFLICT",
        replacement="return Verdict.COMMITTED if is_there or is_passed else Verdict.CONFLICT",
        test=f"{STORIES}::test_two_nodes_that_do_the_same_in_the_same_moment_perform_it_once",
    ),
    Mutant(
        name="slot_not_released_after_conflict",
        breaks="the slots of an append that was refused stay taken",
        file="runtime/node.py",
        text="                self._release(pending.effects)\n",
        replacement="",
        test=TEST,
    ),
    Mutant(
        name="effect_ends_the_writer",
        breaks="an attempt that cannot be begun ends the writer of all",
        file="runtime/node.py",
        text="                self._release(effects[index + 1 :])\n                return\n",
        replacement="                raise\n",
        test=f"{SUPERVISION}::test_an_attempt_that_cannot_be_begun_is_the_trouble_of_its_execution_alone",
    ),
    Mutant(
        name="slot_not_freed_where_nothing_was_begun",
        breaks="the slot of an attempt that could not be begun stays taken",
        file="runtime/node.py",
        text="            attempt.free()  # nothing was begun\n",
        replacement="",
        test=f"{SUPERVISION}::test_an_attempt_that_cannot_be_begun_is_the_trouble_of_its_execution_alone",
    ),
    Mutant(
        name="batch_forgotten_before_it_is_settled",
        breaks="whoever waits for the rest of a batch is not told when the writer breaks in the middle of it",
        file="runtime/commit.py",
        text="            self.commits += 1\n",
        replacement="            self.commits += 1\n            self._closed = []\n",
        test=f"{SUPERVISION}::test_when_what_follows_a_commit_breaks_everybody_of_the_batch_is_told_and_the_engine_stops",
    ),
    # deduplication
    Mutant(
        name="duplicate_mark_ignored",
        breaks="a command is written without its mark, so that repeating it repeats its effect",
        file="runtime/operations.py",
        text='marks=(Mark(mark, b"", now),) if mark else ())',
        replacement="marks=())",
        test=TEST,
    ),
    Mutant(
        name="mark_lost_in_the_inbox",
        breaks="a command that goes through the inbox loses its mark",
        file="runtime/inbox.py",
        text="encode(Letter(command, mark))",
        replacement="encode(Letter(command))",
        test=TEST,
    ),
    # coming and going
    Mutant(
        name="dropped_resident_still_performs",
        breaks="the attempts of a state that was dropped go on",
        file="runtime/node.py",
        text="            attempt.forget()\n            attempt.stop()\n        resident.running.clear()\n",
        replacement="            attempt.forget()\n        resident.running.clear()\n",
        test=f"{STORIES}::test_what_runs_for_a_state_that_is_dropped_is_stopped",
    ),
    Mutant(
        name="dropped_resident_not_read_again",
        breaks="an execution that was dropped while the store has it as ours is forgotten",
        file="runtime/node.py",
        text="                    self.on_lost(resident.execution_id)\n",
        replacement="                    pass\n",
        test=f"{STORIES}::test_an_owner_whose_append_was_refused_reads_the_execution_again_and_goes_on",
    ),
    Mutant(
        name="lost_attempts_not_declared_on_load",
        breaks="attempts of a node that died are taken for running when their execution is read",
        file="runtime/residency.py",
        text="        if lost:\n",
        replacement="        if lost and not lost:\n",
        test=TEST,
    ),
    Mutant(
        name="judged_step_not_judged_on_load",
        breaks="a step whose condition was found true before a crash waits for ever after it",
        file="runtime/residency.py",
        text="if state.is_moving and not state.is_finished:",
        replacement="if state.is_moving and state.is_finished:",
        test=f"{STORIES}::test_a_step_that_had_its_condition_judged_before_a_crash_runs_after_it",
    ),
    Mutant(
        name="wake_at_of_a_parked_execution_forgotten",
        breaks="a parked execution's row does not say when somebody must wake it",
        file="runtime/node.py",
        text="            wake_at = state.wake_at\n        if owner and",
        replacement="            wake_at = None\n        if owner and",
        test=TEST,
    ),
    Mutant(
        name="token_not_raised",
        breaks="an execution changes its owner under the same token",
        file="runtime/node.py",
        text="            resident.token += 1\n",
        replacement="            pass\n",
        test=TEST,
    ),
    Mutant(
        name="seized_execution_kept_as_it_was",
        breaks="what a node has in memory of an execution that it seizes is not read again",
        file="runtime/residency.py",
        text="                self._node.drop(older, Verdict.CONFLICT)\n",
        replacement="                pass\n",
        test=f"{STORIES}::test_a_node_that_seizes_what_it_remembers_from_before_reads_it_again",
    ),
    Mutant(
        name="news_forgotten_on_failure",
        breaks="what others wrote is not looked at again when the look failed",
        file="runtime/services.py",
        text="                node.has_news = True  # the store says it once; what was not dealt with is looked at again\n",
        replacement="                pass\n",
        test=f"{STORIES}::test_a_waiter_is_told_although_the_look_at_what_others_wrote_failed_once",
    ),
    Mutant(
        name="stop_forgets_what_is_on_its_way",
        breaks="a graceful stop leaves attempts behind whose commit was still on its way",
        file="runtime/services.py",
        text="for task, live in resident.state.live.items() if live.is_launched)",
        replacement="for task, live in resident.state.live.items() if live.is_launched and not resident.unsettled)",
        test=f"{STORIES}::test_a_graceful_stop_gives_attempts_back_uncounted",
    ),
    Mutant(
        name="idle_execution_stays_owned",
        breaks="an execution whose last attempt had to be stopped is not parked",
        file="runtime/node.py",
        text="            self.append_nothing(resident)  # this commit",
        replacement="            pass  # this commit",
        test=f"{STORIES}::test_an_execution_is_parked_also_when_its_last_attempt_had_to_be_stopped",
    ),
    Mutant(
        name="control_node_keeps_what_it_seized",
        breaks="a node that begins no attempts owns an execution whose command it refused",
        file="runtime/operations.py",
        text="        kept = keep if node.settings.can_run else ()\n",
        replacement="        kept = keep\n",
        test=f"{STORIES}::test_a_node_that_begins_no_attempts_keeps_nothing_that_it_seized",
    ),
    # what attempts tell
    Mutant(
        name="result_not_redacted",
        breaks="a secret in a result or an error is written into the history",
        file="runtime/attempt.py",
        text="end if self._redactor is None else self._redactor.end(end)",
        replacement="end",
        test=f"{TELLING}::test_a_secret_reaches_the_function_and_is_written_down_nowhere",
    ),
    Mutant(
        name="line_not_redacted",
        breaks="a secret in a line of a log is kept",
        file="runtime/attempt.py",
        text="            message, source = self._redactor.text(message), self._redactor.text(source)",
        replacement="            source = self._redactor.text(source)",
        test=f"{TELLING}::test_a_secret_reaches_the_function_and_is_written_down_nowhere",
    ),
    Mutant(
        name="beat_not_heard",
        breaks="an attempt that beats is ended by its heartbeat",
        file="runtime/attempt.py",
        text="            self._signs.heard()\n",
        replacement="            pass\n",
        test=f"{TELLING}::test_an_attempt_that_beats_lives_longer_than_its_heartbeat",
    ),
    Mutant(
        name="output_forgives_losses",
        breaks="a script that prints before it kills the engine is never quarantined",
        file="adapters/process/heard.py",
        text="        self._attempt.heard()\n",
        replacement="        self._attempt.beat()\n",
        test="tests/process/test_heard.py::test_what_work_prints_forgives_no_losses",
    ),
    Mutant(
        name="last_progress_lost",
        breaks="what an attempt said in its last second is not written down with its end",
        file="runtime/attempt.py",
        text="            self._signs.write_last()  # a turn of its own, in the same commit\n",
        replacement="",
        test=f"{TELLING}::test_the_last_progress_is_written_down_with_the_end_of_the_attempt",
    ),
    Mutant(
        name="last_lines_lost",
        breaks="a graceful stop does not write the lines that are still gathered",
        file="runtime/services.py",
        text="        await node.book.close()\n",
        replacement="",
        test=f"{TELLING}::test_what_is_logged_anywhere_below_a_function_is_in_the_log_of_its_task",
    ),
    Mutant(
        name="late_result_unsaid",
        breaks="a result that came too late is dropped without a word",
        file="runtime/attempt.py",
        text="            if isinstance(end, Succeeded | Failed):\n",
        replacement="            if False:\n",
        test=f"{TELLING}::test_a_late_result_is_dropped_and_the_log_says_so",
    ),
)
