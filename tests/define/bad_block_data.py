"""More of ``bad_blocks.py``: documents with blocks that are wrong in what they say of data, names and rules."""

from __future__ import annotations

from typing import Final

__all__ = ["WRITTEN"]

WRITTEN: Final = {
    "compensations that are no single piece of work": (
        "unknown_key unknown_key missing_key bad_compensation wrong_type unknown_key",
        "a compensation has no id; it is known by its step",
        """
        name: a
        steps:
          - {id: a, type: noop, compensate: {▸id: b, type: noop, ▸depends_on: [c]}}
          - {id: d, type: noop, ▸compensate: {config: {}}}
          - {id: e, type: noop, compensate: {type: ▸parallel}}
          - {id: f, type: noop, compensate: ▸undo}
          - {id: g, type: noop, ▸rollback: {type: noop}}
        """,
    ),
    "the config of a compensation": (
        "missing_key bad_duration",
        "for example config: {function: extract}",
        """
        name: a
        steps:
          - {id: a, type: noop, ▸compensate: {type: function}}
          - {id: d, type: noop, compensate: {type: noop, timeout: ▸soon}}
        """,
    ),
    "compensation of nothing": (
        "nothing_to_compensate",
        "add compensate: {type: …, config: …} to the steps that change something outside",
        "name: a\non_failure: ▸compensate\nsteps: [{id: a, type: noop}]\n",
    ),
    "an end that is not known": (
        "unknown_choice wrong_type",
        'did you mean "compensate"?',
        "name: a\non_failure: ▸compensat\nbusiness_key: ▸5\nsteps: [{id: a, type: noop}]\n",
    ),
    "loops that do not say how": (
        "one_way_to_loop one_way_to_loop unbounded_loop key_needs_other key_needs_other",
        'for example config: {until: "steps.ask.output.done", max_iterations: 50}',
        """
        name: a
        steps:
          - ▸{id: a, type: loop, steps: [{id: x, type: noop}]}
          - {id: b, type: loop, config: ▸{items: [1], until: "true"}, steps: [{id: x, type: noop}]}
          - {id: c, type: loop, config: {until: ▸"true", ▸max_concurrency: 5}, steps: [{id: x, type: noop}]}
          - {id: d, type: loop, config: {items: [1], ▸max_iterations: 5}, steps: [{id: x, type: noop}]}
        """,
    ),
    "values of loops": (
        "wrong_type wrong_type wrong_type out_of_range out_of_range",
        'for example items: "{{ steps.list.output }}"',
        """
        name: a
        steps:
          - {id: a, type: map, config: {items: ▸steps.list.output}, steps: [{id: x, type: noop}]}
          - {id: b, type: loop, config: {until: ▸true, max_iterations: ▸many}, steps: [{id: x, type: noop}]}
          - {id: c, type: map, config: {items: [1], max_concurrency: ▸0, batch_size: ▸1.5}, steps: [{id: x, type: noop}]}
        """,
    ),
    "a loop that only its condition bounds": (
        "unbounded_loop unbounded_loop none_at_first",
        "say how often it may: config: {max_iterations: 50}",
        """
        name: a
        steps:
          - {id: a, type: loop, config: {until: ▸steps.x.output.done}, steps: [{id: x, type: noop}]}
          - {id: b, type: loop, config: {while: ▸index < 5}, steps: [{id: x, type: noop}]}
          - {id: c, type: loop, config: {while: ▸steps.x.output.more, max_iterations: 5}, steps: [{id: x, type: noop}]}
        """,
    ),
    "what is set, told and asked": (
        "missing_key bad_variable_name missing_key one_receiver missing_key wrong_type unknown_choice",
        "for example config: {count: 1}",
        """
        name: a
        steps:
          - ▸{id: a, type: set}
          - {id: b, type: set, config: {▸a-b: 1}}
          - {id: c, type: signal, ▸config: {business_key: x}}
          - {id: d, type: signal, config: ▸{signal: go, business_key: x, execution: y}}
          - {id: e, type: fail, ▸config: {type: Gone}}
          - {id: f, type: aggregate, config: {items: ▸5, operation: ▸avg}}
        """,
    ),
    "approvals": (
        "approval_without_deadline wrong_type wrong_type missing_key missing_key unknown_key bad_schema",
        "give it a deadline: config: {deadline: 2d}",
        """
        name: a
        steps:
          - ▸{id: a, type: approval}
          - {id: b, type: approval, config: {deadline: 1d, approvers: ▸5, escalation: ▸1d}}
          - {id: c, type: approval, config: {deadline: 1d, ▸escalation: {after: 1d}}}
          - {id: d, type: approval, config: {deadline: 1d, ▸escalation: {after: 1d, ▸too: bob}}}
          - {id: e, type: approval, config: {deadline: 1d, form: {type: ▸7}}}
        """,
    ),
    "attempts where there are none": (
        " ".join(["retry_without_effect"] * 5 + ["bound_without_effect"] * 2),
        "give it to the steps inside, or put them into a workflow and call that: type: workflow",
        """
        name: a
        steps:
          - {id: a, type: map, config: {items: [1]}, ▸retry: {max_attempts: 3}, timeout: 1h, steps: [{id: x, type: noop}]}
          - {id: b, type: wait, config: {duration: 1d}, ▸retry: {max_attempts: 3}, timeout: 1h}
          - {id: c, type: approval, config: {deadline: 1d}, ▸retry: {max_attempts: 3}, total_timeout: 1h}
          - {id: d, type: set, config: {x: 1}, ▸retry: {max_attempts: 3}}
          - {id: e, type: fail, config: {type: Gone, message: no}, ▸retry: {max_attempts: 3}, ▸timeout: 1h}
          - {id: f, type: workflow, config: {workflow: x}, retry: {max_attempts: 3}, timeout: 1h, ▸queue_timeout: 1m}
          - {id: g, type: signal, config: {signal: go, business_key: x}, retry: {max_attempts: 3}, queue_timeout: 1m}
          - {id: h, type: function, config: {function: f}, retry: {max_attempts: 3}, timeout: 1h, queue_timeout: 1m}
        """,
    ),
    "a workflow that nobody names": (
        "missing_key wrong_type wrong_type unknown_key",
        "for example config: {workflow: daily-report}",
        """
        name: a
        steps:
          - ▸{id: a, type: workflow}
          - {id: b, type: workflow, config: {workflow: x, version: ▸[1.0], detach: ▸yes, ▸wait: true}}
        """,
    ),
    "a variable that only a step sets": (
        "variable_may_be_unset unknown_variable variable_may_be_unset",
        "declare it under `variables` with a default, or add the step to depends_on",
        """
        name: a
        variables: {size: 1}
        output: "{{ variables.count }}"
        steps:
          - {id: first, type: set, config: {count: "{{ ▸variables.count }}"}}
          - {id: then, type: set, depends_on: first, config: {size: "{{ variables.count + variables.size + ▸variables.cuont }}"}}
          - id: each
            type: map
            depends_on: first
            config: {items: [1]}
            steps: [{id: x, type: set, config: {inner: "{{ variables.count }}"}}]
          - {id: last, type: noop, depends_on: each, when: ▸variables.inner > 1}
        """,
    ),
    "a workflow that calls itself": (
        "calls_itself",
        "give the step a when, so that it ends somewhere",
        """
        name: a
        steps:
          - {id: a, type: workflow, config: {workflow: ▸a}}
          - {id: b, type: workflow, config: {workflow: a}, when: input.depth < 5}
        """,
    ),
    "a filter without a signal": (
        "key_needs_other wrong_type",
        "add the one, or leave the other out",
        """
        name: a
        steps:
          - {id: a, type: wait, config: {duration: 1s, ▸filter: event.x == 1}}
          - {id: b, type: wait, config: {signal: go, deadline: 1s, filter: ▸5}}
        """,
    ),
    "ids used twice": (
        "duplicate_step_id id_used_around id_used_around",
        "give each step an id of its own",
        """
        name: a
        steps:
          - {id: a, type: noop}
          - id: each
            type: map
            config: {items: [1]}
            steps: [{id: x, type: noop}, {id: ▸x, type: noop}, {id: ▸each, type: noop}, {id: ▸a, type: noop}]
          - {id: other, type: map, config: {items: [1]}, steps: [{id: x, type: noop}]}
        """,
    ),
    "dependencies on steps of other blocks": (
        "unknown_dependency unknown_dependency unknown_dependency unknown_dependency",
        'depends_on names steps of the same block; let "each", which holds this step, depend on first',
        """
        name: a
        steps:
          - {id: first, type: noop}
          - id: each
            type: map
            config: {items: [1]}
            steps:
              - {id: x, type: noop, depends_on: [▸first]}
              - {id: y, type: map, depends_on: [x], config: {items: [1]}, steps: [{id: z, type: noop}]}
          - {id: late, type: noop, depends_on: [▸z]}
          - id: both
            type: parallel
            branches:
              l: [{id: p, type: noop, depends_on: [▸z]}]
              r: [{id: q, type: noop, depends_on: [▸nowhere]}]
        """,
    ),
    "a step inside of another from outside": (
        "unknown_dependency",
        'depends_on names steps of the same block; "x" is inside "each": depend on each',
        """
        name: a
        steps:
          - {id: each, type: map, config: {items: [1]}, steps: [{id: x, type: noop}]}
          - {id: late, type: noop, depends_on: [▸x]}
        """,
    ),
    "a cycle inside": (
        "cycle",
        "remove one of these dependencies",
        """
        name: a
        steps:
          - id: each
            type: map
            config: {items: [1]}
            steps:
              - {id: x, type: noop, depends_on: [▸y]}
              - {id: y, type: noop, depends_on: [x]}
        """,
    ),
    "reading what is inside of another step": (
        "inner_step inner_step",
        "read steps.each.output",
        """
        name: a
        output: "{{ ▸steps.x.output }}"
        steps:
          - {id: each, type: map, config: {items: [1]}, steps: [{id: x, type: noop}]}
          - {id: late, type: noop, depends_on: [each], when: ▸steps.x.output == 1}
        """,
    ),
    "reading steps that do not surely come before": (
        "not_surely_before not_surely_before not_surely_before unknown_step",
        'add first to depends_on of "each"',
        """
        name: a
        steps:
          - {id: first, type: noop}
          - id: each
            type: map
            config: {items: [1]}
            steps:
              - {id: x, type: noop, when: ▸steps.first.output == 1}
              - {id: y, type: noop, when: ▸steps.x.output == 1}
          - id: check
            type: condition
            depends_on: [each]
            cases: [{when: ▸steps.first.status == 'completed', steps: [{id: p, type: noop, when: ▸steps.nowhere.output == 1}]}]
        """,
    ),
    "names that only some places know": (
        "name_not_available name_not_available name_not_available name_not_available name_not_available",
        "only steps inside a map or a loop have it",
        """
        name: a
        output: "{{ ▸item }}"
        business_key: "{{ ▸steps.a.output }}"
        steps:
          - {id: a, type: noop, when: ▸children.failed == 0}
          - {id: b, type: noop, when: ▸event.x == 1}
          - {id: c, type: loop, config: {while: index < 5, max_iterations: 5}, steps: [{id: x, type: noop, when: ▸item == 1}]}
        """,
    ),
    "a field of what may be skipped inside": (
        "may_be_skipped",
        "test it first: steps.x.status == 'completed'",
        """
        name: a
        steps:
          - id: each
            type: map
            config: {items: [1]}
            steps: [{id: x, type: noop, when: item == 1}]
            output: "{{ ▸steps.x.output.name }}"
        """,
    ),
    "a field of what no case may give": (
        "no_case_may_hold",
        "give it an else, or test it first: steps.check.output == none or …",
        """
        name: a
        output: "{{ ▸steps.check.output.name }} {{ steps.whole.output.name }}"
        steps:
          - {id: check, type: condition, cases: [{when: input.x, steps: [{id: x, type: noop}]}]}
          - {id: whole, type: condition, cases: [{when: input.x, steps: [{id: x, type: noop}]}], else: [{id: y, type: noop}]}
          - {id: last, type: noop, depends_on: check, when: steps.check.output == none or steps.check.output.name == 1}
        """,
    ),
    "an expression that cannot be read": (
        "unknown_operator unknown_name unknown_operator",
        "write `and`",
        """
        name: a
        steps:
          - id: each
            type: map
            config: {items: [1]}
            success: {when: "children.failed < 1 ▸&& true"}
            steps: [{id: x, type: noop, when: ▸row == 1}]
            output: "{{ 1 ▸|| 2 }}"
        """,
    ),
    "a secret in a step that does no work": (
        "secret_exposed secret_exposed",
        "only the config and input_mapping of a step that does work may hold one",
        """
        name: a
        steps:
          - {id: a, type: set, config: {x: "{{ ▸secrets.token }}"}}
          - {id: b, type: map, config: {items: "{{ ▸secrets.token }}"}, steps: [{id: x, type: noop}]}
          - id: c
            type: noop
            compensate: {type: function, config: {function: f, params: {x: "{{ secrets.token }}", y: "{{ steps.c.output }}"}}}
        """,
    ),
}
