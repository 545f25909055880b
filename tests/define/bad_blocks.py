"""Documents with blocks that are wrong: every finding with its place, as in ``bad_documents.py``, and the hint of the first one."""

from __future__ import annotations

from typing import Final

from tests.define.bad_block_data import WRITTEN
from tests.define.bad_documents import Case, wrong

__all__ = ["BLOCKS", "HINTS"]

# Title → findings in the order of their places, the hint of the first one, and the document.
_WRITTEN: Final = {
    "a map without steps": (
        "missing_key",
        "for example steps: [{id: …, type: …}], which run for each of the items",
        """
        name: a
        steps:
          - ▸{id: each, type: map, config: {items: [1]}}
        """,
    ),
    "a condition without cases": (
        "missing_key missing_key",
        'for example cases: [{when: "input.x > 1", steps: [{id: …}]}]',
        """
        name: a
        steps:
          - ▸{id: one, type: condition}
          - ▸{id: two, type: condition, else: [{id: b, type: noop}]}
        """,
    ),
    "a parallel without branches": (
        "missing_key key_of_other_type missing_key",
        "for example branches: {left: [{id: …}], right: [{id: …}]}",
        """
        name: a
        steps:
          - ▸{id: one, type: parallel}
          - {id: two, type: parallel, ▸steps: [{id: b, type: noop}]}
          - {id: three, type: parallel, branches: ▸{}}
        """,
    ),
    "keys of another type": (
        "key_of_other_type key_of_other_type key_of_other_type key_of_other_type key_of_other_type",
        "a map step has steps and output",
        """
        name: a
        steps:
          - {id: a, type: map, config: {items: [1]}, ▸cases: []}
          - {id: b, type: noop, ▸steps: []}
          - {id: c, type: function, config: {function: f}, ▸output: x}
          - {id: d, type: condition, cases: [{when: true, steps: [{id: e, type: noop}]}], ▸branches: {}}
          - {id: f, type: noop, ▸success: any}
        """,
    ),
    "an output beside config": (
        "key_of_other_type",
        "write output_mapping to say what later steps see",
        "name: a\nsteps: [{id: a, type: noop, ▸output: x}]\n",
    ),
    "blocks without steps": (
        "empty_block empty_block empty_block empty_block empty_block",
        "steps: [{id: nothing, type: noop}] does nothing on purpose",
        """
        name: a
        steps:
          - {id: a, type: map, config: {items: [1]}, steps: ▸[]}
          - {id: b, type: condition, cases: [▸{when: input.x}], else: ▸[]}
          - {id: c, type: parallel, branches: {left: ▸[], ▸right: {}}}
        """,
    ),
    "a case without a condition": (
        "missing_key",
        'for example when: "input.amount > 100"',
        "name: a\nsteps: [{id: a, type: condition, cases: [▸{steps: [{id: b, type: noop}]}]}]\n",
    ),
    "words of other tools in a case": (
        "unknown_key unknown_key",
        'did you mean "when"?',
        """
        name: a
        steps:
          - id: check
            type: condition
            cases:
              - {▸if: input.x, ▸then: [{id: b, type: noop}]}
        """,
    ),
    "an else among the cases": (
        "unknown_key missing_key",
        "write it beside `cases`",
        """
        name: a
        steps:
          - id: check
            type: condition
            cases:
              - {when: input.x, steps: [{id: b, type: noop}], ▸else: [{id: c, type: noop}]}
              - ▸{steps: [{id: d, type: noop}]}
        """,
    ),
    "values of other kinds": (
        "wrong_type wrong_type wrong_type wrong_type wrong_type wrong_type wrong_type",
        'write cases: [{when: "input.x > 1", steps: […]}]',
        """
        name: a
        steps:
          - {id: a, type: condition, cases: ▸{when: input.x}}
          - {id: b, type: parallel, branches: ▸5}
          - {id: c, type: map, config: {items: [1]}, steps: ▸{id: d, type: noop}}
          - {id: e, type: parallel, branches: {left: ▸7, right: [▸noop]}}
          - {id: g, type: condition, cases: [▸input.x], else: ▸x}
        """,
    ),
    "one step in the place of a list": (
        "wrong_type",
        "begin each step with `- id: …`",
        "name: a\nsteps: [{id: a, type: map, config: {items: [1]}, steps: ▸{id: b, type: noop}}]\n",
    ),
    "steps inside of steps are read like all others": (
        "unknown_key missing_key unknown_step_type bad_duration",
        'did you mean "depends_on"?',
        """
        name: a
        steps:
          - id: both
            type: parallel
            branches:
              left:
                - {id: b, type: noop, ▸needs: []}
              right:
                steps: [▸{type: noop}, {id: d, type: ▸teleport}]
              more:
                - {id: e, type: noop, timeout: ▸soon}
        """,
    ),
    "names of branches": (
        "bad_branch_name bad_branch_name",
        "write left_side",
        """
        name: a
        steps:
          - id: both
            type: parallel
            branches:
              ▸left side: [{id: b, type: noop}]
              right: [{id: c, type: noop}]
          - {id: two, type: parallel, branches: [{name: ▸"1", steps: [{id: d, type: noop}]}]}
        """,
    ),
    "a name for two branches": (
        "conflicting_keys duplicate_branch",
        "keep one of the two",
        """
        name: a
        steps:
          - {id: one, type: parallel, branches: {x: {name: ▸y, steps: [{id: b, type: noop}]}}}
          - id: two
            type: parallel
            branches:
              - {name: x, steps: [{id: c, type: noop}]}
              - {name: ▸x, steps: [{id: d, type: noop}]}
        """,
    ),
    "too many containers around a step": (
        "nested_too_deep",
        "move the inner steps to a workflow of their own and call it: type: workflow",
        "name: a\nsteps: ["
        + "".join(f"{{id: s{number}, type: map, config: {{items: [1]}}, steps: [" for number in range(16))
        + "▸{id: last, type: map, config: {items: [1]}, steps: [{id: x, type: noop}]}"
        + "]}" * 16
        + "]\n",
    ),
    "rules that cannot be": (
        "unknown_choice wrong_type wrong_type conflicting_keys unknown_key missing_key out_of_range",
        'did you mean "any"?',
        """
        name: a
        success: ▸anyy
        steps:
          - {id: a, type: map, config: {items: [1]}, success: ▸2, steps: &x [{id: x, type: noop}]}
          - {id: b, type: map, config: {items: [1]}, success: {at_least: ▸most}, steps: [{id: y, type: noop}]}
          - {id: c, type: map, config: {items: [1]}, success: {at_least: 1, ▸when: true}, steps: [{id: y, type: noop}]}
          - {id: d, type: map, config: {items: [1]}, success: {▸percent: 5}, steps: [{id: y, type: noop}]}
          - {id: e, type: map, config: {items: [1]}, success: ▸{}, steps: [{id: y, type: noop}]}
          - {id: f, type: map, config: {items: [1]}, success: {at_least: ▸"120%"}, steps: [{id: y, type: noop}]}
        """.replace("&x ", ""),
    ),
    "a rule that asks for more than there are": (
        "success_out_of_reach",
        "lower at_least, or write success: all",
        "name: a\nsteps: [{id: a, type: parallel, success: {▸at_least: 3}, branches: {l: [{id: b, type: noop}]}}]\n".replace(
            "success: {▸at_least: 3}", "success: ▸{at_least: 3}"
        ),
    ),
    "a rule that asks for more than the items make": (
        "success_out_of_reach success_out_of_reach success_out_of_reach",
        "lower at_least, or write success: all",
        """
        name: a
        steps:
          - {id: a, type: map, success: ▸{at_least: 3}, config: {items: [1, 2]}, steps: [{id: x, type: noop}]}
          - {id: b, type: map, success: ▸{at_least: 2}, config: {items: [1, 2], batch_size: 5}, steps: [{id: x, type: noop}]}
          - {id: c, type: loop, success: ▸{at_least: 1}, config: {items: []}, steps: [{id: x, type: noop}]}
          - {id: d, type: map, success: {at_least: 2}, config: {items: [1, 2]}, steps: [{id: x, type: noop}]}
          - {id: e, type: map, success: {at_least: 9}, config: {items: "{{ input.all }}"}, steps: [{id: x, type: noop}]}
          - {id: f, type: loop, success: {at_least: 9}, config: {while: index < 5, max_iterations: 9}, steps: [{id: x, type: noop}]}
        """,
    ),
    "a rule over counts that there are none of": (
        "unknown_count unknown_count unknown_count",
        "did you mean children.failed?",
        """
        name: a
        success: {when: ▸children.failures < 3 and children.total > 1 and ▸children.complete > 1}
        steps:
          - {id: a, type: map, success: {when: ▸children.kaput == 0}, config: {items: [1]}, steps: [{id: x, type: noop}]}
          - {id: b, type: map, success: {when: children.results}, config: {items: [1]}, steps: [{id: x, type: noop}]}
        """,
    ),
    "items that an operation cannot take": (
        "items_of_other_type items_of_other_type items_of_other_type items_of_other_type",
        "leave the quotes out, or collect the items",
        """
        name: a
        steps:
          - {id: a, type: aggregate, config: {operation: sum, items: [1, null, "{{ input.x }}", ▸"5", "6"]}}
          - {id: b, type: aggregate, config: {operation: max, items: [▸{amount: 5}]}}
          - {id: c, type: aggregate, config: {operation: concat, items: [[1], ▸2]}}
          - {id: d, type: aggregate, config: {operation: merge, items: [{x: 1}, ▸true]}}
          - {id: e, type: aggregate, config: {operation: sum, field: amount, items: [{amount: 5}]}}
          - {id: f, type: aggregate, config: {operation: collect, items: [1, x, [2]]}}
        """,
    ),
    "a variable that is probably misspelled": (
        "variable_nobody_reads",
        'did you mean "count"?',
        """
        name: a
        variables: {count: 0, size: 1}
        output: "{{ variables.sizes }}"
        steps:
          - {id: a, type: set, config: {▸cuont: 1, count: 2, sizes: 3, colour: 4}}
        """,
    ),
    "the output of what may have failed": (
        "may_have_failed may_have_failed may_have_failed may_have_failed",
        "say what to take then: steps.letter.output | default(none); or test steps.letter.status first",
        """
        name: a
        output:
          - "{{ ▸steps.letter.output }} {{ steps.strict.output }}"
          - "{{ steps.letter.output | default(none) }} {{ steps.letter.status }}"
        steps:
          - {id: letter, type: function, config: {function: f}}
          - {id: firm, type: function, config: {function: f}}
          - {id: strict, type: function, config: {function: f}}
          - {id: lax, type: function, config: {function: f}, on_error: continue}
          - {id: next, type: noop, depends_on: letter, input_mapping: {x: "{{ steps.letter.output }}"}}
          - {id: late, type: noop, depends_on: next, input_mapping: {x: "{{ steps.letter.output }}"}}
          - id: sorry
            type: noop
            depends_on: [letter, firm]
            join: any_failed
            handles: [Gone]
            input_mapping: {x: "{{ ▸steps.letter.output.name }}", y: "{{ steps.letter.error.type }}"}
          - {id: clean, type: noop, depends_on: lax, join: all_done, input_mapping: {x: "{{ ▸steps.lax.output }}"}}
          - {id: fine, type: noop, depends_on: lax, join: none_failed, input_mapping: {x: "{{ steps.lax.output }}"}}
          - id: each
            type: map
            depends_on: lax
            join: all_done
            config: {items: [1]}
            steps: [{id: x, type: noop, input_mapping: {x: "{{ ▸steps.lax.output }}"}}]
        """,
    ),
    "the output of what may have failed under a rule": (
        "may_have_failed",
        "say what to take then: steps.letter.output | default(none); or test steps.letter.status first",
        """
        name: a
        success: any
        output: "{{ ▸steps.letter.output }}"
        steps:
          - {id: letter, type: function, config: {function: f}}
          - {id: then, type: noop, depends_on: letter, input_mapping: {x: "{{ steps.letter.output }}"}}
        """,
    ),
    "blocks and rules one level too deep": (
        "missing_key unknown_key unknown_key unknown_key",
        "for example steps: [{id: …, type: …}], which run for each of the items",
        """
        name: a
        steps:
          - ▸{id: a, type: map, config: {items: [1], ▸steps: [{id: x, type: noop}]}}
          - {id: b, type: function, config: {function: f, ▸retry: {max_attempts: 3}}}
          - {id: c, type: map, config: {items: [1], ▸success: any}, steps: [{id: x, type: noop}]}
        """,
    ),
    **WRITTEN,
}

BLOCKS: Final[tuple[Case, ...]] = tuple(wrong(title, names, text) for title, (names, _, text) in _WRITTEN.items())
HINTS: Final = {title: hint for title, (_, hint, _) in _WRITTEN.items()}
