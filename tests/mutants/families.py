"""Mutants of what executions tell each other, and of what simulated families must notice."""

from __future__ import annotations

from typing import Final

from tests.mutants.mutant import Mutant

__all__ = ["MUTANTS"]

SEEDS: Final = "tests/simulation/test_simulation.py::test_a_promise_that_was_broken_once_holds_in_families"
UNDO_ORDER: Final = "tests/kernel/test_undo_order.py"
CHILDREN: Final = "tests/kernel/test_children.py::"
PINS: Final = "tests/runtime/test_pins.py::"
STORIES: Final = "tests/simulation/test_stories.py::"

MUTANTS: Final = (
    # letters
    Mutant(
        name="letter_overtakes",
        breaks="a letter is applied although one before it, for the same execution, has to stay",
        file="runtime/inbox.py",
        text="                        is_through = False\n                        break\n",
        replacement="                        is_through = False\n                        continue\n",
        test=f"{STORIES}test_a_letter_that_has_to_wait_keeps_those_behind_it",
    ),
    Mutant(
        name="refused_letter_leaves_no_mark",
        breaks="whoever waits for a letter that is refused waits for nothing",
        file="runtime/inbox.py",
        text="        if is_between_executions(mark):\n",
        replacement="        if is_between_executions(mark) and not mark:\n",
        test="tests/runtime/test_messages.py::test_a_letter_that_is_refused_leaves_its_mark_for_whoever_waits_for_it",
    ),
    Mutant(
        name="child_begun_over_itself",
        breaks="a child that another node began, and that was read here meanwhile, is begun over what runs for it",
        file="runtime/operations.py",
        text="        if execution_id in node.residents:  # another",
        replacement="        if execution_id in node.residents and not start.seed:  # another",
        test=f"{STORIES}test_a_child_that_another_node_began_in_the_same_moment_is_left_as_it_is",
    ),
    Mutant(
        name="undoing_tells_nobody",
        breaks="a workflow that calls another one only to undo something never calls it",
        file="kernel/compile.py",
        text="_posts(undo) or ",
        replacement="",
        test="tests/runtime/test_children.py::test_a_workflow_that_calls_another_one_only_to_undo_something_is_undone[memory]",
    ),
    Mutant(
        name="parent_not_told_of_a_cancel",
        breaks="whoever waits for an execution that is cancelled is not told so",
        file="kernel/fold_execution.py",
        text="    post.tell_parent(state, status, effects)\n",
        replacement="    if status is not Status.CANCELLED:\n        post.tell_parent(state, status, effects)\n",
        test=SEEDS,
    ),
    # which version begins
    Mutant(
        name="pin_not_looked_at",
        breaks="a child has the version that is the latest when it begins",
        file="kernel/post.py",
        text='config.version or state.pins.get(config.workflow, "")',
        replacement="config.version",
        test=f"{CHILDREN}test_a_step_that_names_no_version_starts_the_one_that_its_execution_began_with",
    ),
    Mutant(
        name="pin_beats_what_is_named",
        breaks="a step that names a version starts another one",
        file="kernel/post.py",
        text='config.version or state.pins.get(config.workflow, "")',
        replacement="state.pins.get(config.workflow, config.version)",
        test=f"{CHILDREN}test_a_step_that_names_no_version_starts_the_one_that_its_execution_began_with",
    ),
    Mutant(
        name="pins_lost_in_a_snapshot",
        breaks="children that begin after a restart have another version",
        file="kernel/snapshot.py",
        text="            pins=state.pins,\n",
        replacement="",
        test=f"{CHILDREN}test_a_child_that_begins_later_has_the_same_version_in_a_retry_in_an_item_and_in_what_undoes",
    ),
    Mutant(
        name="fork_pins_anew",
        breaks="a fork of the same version starts other versions than its origin",
        file="app/forking.py",
        text="origin.pins if is_same else ",
        replacement="",
        test=f"{PINS}test_a_fork_keeps_the_versions_of_its_origin_unless_it_runs_another_version_itself[memory]",
    ),
    Mutant(
        name="fork_keeps_all_pins",
        breaks="a fork that runs a newer version starts what the origin has started",
        file="app/forking.py",
        text="origin.pins if is_same else await catalog.pins(known.plan)",
        replacement="origin.pins",
        test=f"{PINS}test_a_fork_keeps_the_versions_of_its_origin_unless_it_runs_another_version_itself[memory]",
    ),
    Mutant(
        name="versions_are_not_looked_up",
        breaks="in worlds where newer versions come, children of one execution run several",
        file="runtime/catalog.py",
        text="if stored is not None}",
        replacement="if stored is None}",
        test=SEEDS,
    ),
    Mutant(
        name="child_pins_nothing",
        breaks="a child starts whatever is the latest at that time",
        file="runtime/operations.py",
        text="                pins=pins,\n",
        replacement="",
        test=f"{PINS}test_a_child_that_goes_on_starts_what_was_the_latest_when_it_began[memory]",
    ),
    # when a control is true
    Mutant(
        name="pause_elsewhere_true_too_early",
        breaks="a control through another node is acknowledged when the parent has it",
        file="runtime/operations.py",
        text="return now if isinstance(command, _CONTROLS) else None",
        replacement="return None",
        test=f"{STORIES}test_a_pause_through_another_node_is_true_when_the_child_has_it_too",
    ),
    Mutant(
        name="pause_true_before_the_child_has_it",
        breaks="a control is acknowledged before the children have dealt with it",
        file="runtime/reach.py",
        text="            await self._heard(execution_id, post)\n",
        replacement="",
        test=SEEDS,
    ),
    Mutant(
        name="pause_true_before_the_grandchild_has_it",
        breaks="a control is acknowledged when the children have it, and not theirs",
        file="runtime/reach.py",
        text="            await self.everywhere(post.execution_id, post.letter.at)\n",
        replacement="",
        test=f"{STORIES}test_a_pause_is_true_when_the_childs_own_child_has_it_too",
    ),
    Mutant(
        name="pause_of_a_part_not_told",
        breaks="a pause of a part does not reach the executions that were started there",
        file="kernel/subtree.py",
        text="        post.pause(state, one, effects)\n",
        replacement="        pass\n",
        test=SEEDS,
    ),
    Mutant(
        name="resume_of_a_part_not_told",
        breaks="a resume of a part does not reach the executions that were started there",
        file="kernel/subtree.py",
        text="            post.resume(state, one, effects)\n",
        replacement="            pass\n",
        test=SEEDS,
    ),
    Mutant(
        name="swept_child_left_alone",
        breaks="the child of a step that ended from outside goes on",
        file="kernel/subtree.py",
        text="            post.terminate(state, task, effects)\n",
        replacement="            pass\n",
        test="tests/kernel/test_children.py::test_a_terminate_and_a_timeout_end_the_child_and_wait_for_nothing",
    ),
    Mutant(
        name="cancel_not_told",
        breaks="a cancel does not reach the child of a step",
        file="kernel/fold_execution.py",
        text="    if task.child:\n        post.stop(state, number, task, effects)\n",
        replacement="    if task.child:\n        task.is_cancelling = True\n",
        test=SEEDS,
    ),
    Mutant(
        name="one_of_two_lets_go",
        breaks="what both people and the starting execution hold goes on when one of them lets it",
        file="kernel/fold_execution.py",
        text="        state.pauses &= ~(INHERITED if event.is_inherited else BY_PERSON)\n",
        replacement="        state.pauses = 0\n",
        test="tests/runtime/test_children.py::test_a_resume_of_a_child_leaves_it_held_with_its_parent_and_a_persons_pause_stays[memory]",
    ),
    # people, and undoing
    Mutant(
        name="stranger_decides",
        breaks="anybody decides what only some may",
        file="kernel/approval.py",
        text="    if names and command.by not in names:\n",
        replacement="    if names and command.by in names and not command.by:\n",
        test=SEEDS,
    ),
    Mutant(
        name="undone_too_early",
        breaks="a step is undone before what came after it",
        file="kernel/saga.py",
        text="        if left == 0:\n            following.append(before)\n",
        replacement="        if left >= 0:\n            following.append(before)\n",
        test=SEEDS,
    ),
    Mutant(
        name="overtaken_not_noted",
        breaks="a step that ended after one that did not wait for it is undone after that",
        file="kernel/graph.py",
        text="            state.unordered.add(scope.base)\n        else:\n",
        replacement="            pass\n        else:\n",
        test=f"{UNDO_ORDER}::test_what_ended_after_a_step_that_did_not_wait_for_it_is_undone_before_it",
    ),
    Mutant(
        name="overtaken_forgotten",
        breaks="a snapshot forgets in which order steps ended",
        file="kernel/snapshot.py",
        text="    state.early, state.unordered = set(kept.early), set(kept.unordered)\n",
        replacement="",
        test=f"{UNDO_ORDER}::test_the_order_outlives_the_process",
    ),
    Mutant(
        name="late_iteration_not_noted",
        breaks="an iteration that was done again is undone by its index",
        file="kernel/fold_group.py",
        text="        state.unordered.add(scope.container)\n",
        replacement="        pass\n",
        test=f"{UNDO_ORDER}::test_an_iteration_that_is_done_again_is_undone_by_when_it_ended",
    ),
)
