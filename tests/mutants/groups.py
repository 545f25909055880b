"""Mutants of the kernel's blocks: groups, scopes, and how control reaches into them."""

from __future__ import annotations

from typing import Final

from tests.mutants.mutant import Mutant

__all__ = ["MUTANTS"]

GROUPS: Final = "tests/kernel/test_groups.py::"
ENDS: Final = "tests/kernel/test_group_ends.py::"
NESTED: Final = "tests/kernel/test_nested.py::"
TAME: Final = f"{NESTED}test_nested_workflows_end_as_an_interpreter_says_whatever_the_order"

MUTANTS: Final = (
    # how groups open, go on and end
    Mutant(
        name="window_ignored",
        breaks="a map opens all its items at once",
        file="kernel/groups.py",
        text="min(group.total - opened, group.window - group.running)",
        replacement="group.total - opened",
        test=f"{GROUPS}test_a_map_opens_no_more_than_its_window",
    ),
    Mutant(
        name="loop_goes_on_after_a_failure",
        breaks="a sequential loop begins another iteration after one that failed",
        file="kernel/groups.py",
        text="group.failed + group.cancelled and _is_strict(step.success):",
        replacement="group.cancelled and _is_strict(step.success):",
        test=f"{GROUPS}test_a_loop_over_items_is_sequential_and_stops_at_the_first_failure",
    ),
    Mutant(
        name="loop_without_limit",
        breaks="a loop makes one iteration more than it may",
        file="kernel/groups.py",
        text="    if opened >= group.limit:\n",
        replacement="    if opened > group.limit:\n",
        test=TAME,
    ),
    Mutant(
        name="until_judged_first",
        breaks="until is judged before the first iteration",
        file="kernel/groups.py",
        text="(opened or not block.stops_when)",
        replacement="True",
        test=TAME,
    ),
    Mutant(
        name="results_in_the_order_of_their_ends",
        breaks="a map gives its results in the order in which they came",
        file="kernel/groups.py",
        text='for index in range(group.opened)) + b"]")',
        replacement='for index in outputs) + b"]")',
        test=f"{GROUPS}test_a_map_gives_the_results_in_the_order_of_its_items",
    ),
    Mutant(
        name="blame_the_last",
        breaks="a block's failure is that of its last failed step",
        file="kernel/groups.py",
        text="        first = min(scope.failures)\n",
        replacement="        first = max(scope.failures)\n",
        test=TAME,
    ),
    Mutant(
        name="share_of_nothing",
        breaks="a share of children that must complete is too small by one child",
        file="kernel/groups.py",
        text="return completed * _WHOLE >= rule.percent * len(found)",
        replacement="return completed * _WHOLE >= rule.percent * (len(found) - 1)",
        test=TAME,
    ),
    Mutant(
        name="partial_children_forgotten",
        breaks="a group of children that are partial completes as if nothing had been wrong",
        file="kernel/groups.py",
        text="    outcome = Outcome.PARTIAL if group.is_partial else None\n",
        replacement="    outcome = None\n",
        test=f"{GROUPS}test_a_failure_that_is_to_be_gone_on_from_makes_everything_around_it_partial",
    ),
    Mutant(
        name="batch_cut_short",
        breaks="a batch loses its last item",
        file="kernel/scope.py",
        text="(index + 1) * self.batch]",
        replacement="(index + 1) * self.batch - 1]",
        test=TAME,
    ),
    Mutant(
        name="condition_takes_the_last",
        breaks="a condition takes the last case that holds",
        file="kernel/begin.py",
        text="            case = place\n            break\n",
        replacement="            case = place\n",
        test=f"{GROUPS}test_a_condition_takes_the_first_case_that_holds_and_gives_what_it_gave",
    ),
    Mutant(
        name="empty_block_never_closes",
        breaks="a block without steps never ends",
        file="kernel/fold_group.py",
        text="        if not block.size:\n",
        replacement="        if block.size < 0:\n",
        test=TAME,
    ),
    Mutant(
        name="outer_item_seen",
        breaks="inside a loop without items the item of the map around it is seen",
        file="kernel/scope.py",
        text="        while around is not None and not around.block.is_repeated:",
        replacement="        while around is not None and around.up is not None and around.up.block.is_repeated:",
        test=TAME,
    ),
    # memory and reading back
    Mutant(
        name="failed_iteration_forgotten",
        breaks="a loop forgets what a retry of its failed iteration reads",
        file="kernel/fold_group.py",
        text=" and state.phase[group.bases[-1]] == Phase.COMPLETED:",
        replacement=":",
        test=f"{ENDS}test_a_failed_iteration_of_a_loop_that_goes_on_keeps_what_a_retry_of_it_reads",
    ),
    Mutant(
        name="read_last_read_looked_at_first",
        breaks="a state that was read back opens scopes in another order",
        file="kernel/fold_group.py",
        text="        state.spreading.pop(number, None)\n        state.spreading[number] = None\n",
        replacement="        state.spreading[number] = None\n",
        test=f"{ENDS}test_a_state_that_was_read_back_goes_on_in_the_same_order",
    ),
    Mutant(
        name="snapshot_without_case",
        breaks="after a snapshot a condition has forgotten its case",
        file="kernel/snapshot.py",
        text="begun_group(state.steps[number], task.input, kept.case)",
        replacement="begun_group(state.steps[number], task.input, -1)",
        test=TAME,
    ),
    Mutant(
        name="snapshot_opens_closed_loops",
        breaks="after a snapshot a loop that was closed opens another iteration",
        file="kernel/snapshot.py",
        text="        group.is_closed = kept.is_closed\n",
        replacement="        group.is_closed = False\n",
        test=TAME,
    ),
    # control of a subtree
    Mutant(
        name="pause_stops_at_its_path",
        breaks="a pause of a group does not reach what is in it",
        file="kernel/state.py",
        text="            yield number\n            scope = self.scopes[number]\n",
        replacement="            yield number\n            break\n",
        test=f"{GROUPS}test_a_pause_of_a_group_reaches_what_is_opened_later_and_a_resume_lets_it_go_on",
    ),
    Mutant(
        name="resume_ends_every_pause",
        breaks="the resume of a group ends the pauses of tasks in it",
        file="kernel/subtree.py",
        text="        if state.is_held(one):\n            continue\n",
        replacement="",
        test=f"{NESTED}test_every_promise_holds_for_nested_workflows_under_control",
    ),
    Mutant(
        name="cancel_does_not_wait",
        breaks="a cancelled group ends before its last attempt has",
        file="kernel/subtree.py",
        text="    state.sweeps[number] = running\n",
        replacement="    state.sweeps[number] = 0\n",
        test=f"{GROUPS}test_a_cancel_of_a_group_waits_for_what_runs_and_nothing_more_begins",
    ),
    Mutant(
        name="swept_attempts_lost",
        breaks="a wider cancel does not find the attempts of one further in",
        file="kernel/subtree.py",
        text="        if one in state.sweeps:\n            found.update",
        replacement="        if one in state.closing:\n            found.update",
        test=f"{ENDS}test_a_wider_cancel_takes_over_the_attempts_of_one_further_in",
    ),
    Mutant(
        name="swept_scope_goes_on",
        breaks="what ends in a scope that was cut off makes other steps of it ready",
        file="kernel/subtree.py",
        text="scope.is_swept, scope.failures, scope.flaws = True, None, 0",
        replacement="scope.failures, scope.flaws = None, 0",
        test=f"{ENDS}test_what_ends_in_a_scope_that_was_cut_off_is_read_back_alike",
    ),
    Mutant(
        name="terminate_leaves_attempts",
        breaks="what runs in a terminated group is not told to stop",
        file="kernel/subtree.py",
        text="            effects.append(Halt(one, task.attempt, is_final=True))\n",
        replacement="            pass\n",
        test=f"{GROUPS}test_a_terminate_of_a_group_ends_it_at_once",
    ),
    Mutant(
        name="sweeps_outlive_the_end",
        breaks="a finished execution still waits for the attempts of a cancelled group",
        file="kernel/fold_execution.py",
        text="    state.sweeps.clear()\n",
        replacement="",
        test=f"{ENDS}test_the_timeout_of_the_execution_ends_a_cancel_of_a_group",
    ),
    # a new round
    Mutant(
        name="completed_parts_retried",
        breaks="a part of a group that has completed is retried after the end",
        file="kernel/rounds.py",
        text="        if number > 0 and state.phase[number] == Phase.COMPLETED:\n",
        replacement="        if number > len(state.phase):\n",
        test=f"{ENDS}test_a_task_of_a_group_that_has_completed_is_not_retried_after_the_end",
    ),
    Mutant(
        name="retry_leaves_the_group_closed",
        breaks="a loop that is retried begins no further iteration",
        file="kernel/reopen.py",
        text="        state.groups[number].is_closed = False\n",
        replacement="",
        test=f"{GROUPS}test_a_retry_of_a_loop_goes_on_where_it_stopped",
    ),
)
