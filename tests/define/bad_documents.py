"""Documents that are wrong, each with every finding it must give, in the order of the text.

``▸`` stands before the character that a finding must point at and is taken out before the text is read. Names go with the marks in
order; several findings at one mark are joined with ``+``, in alphabetical order.
"""

from __future__ import annotations

from textwrap import dedent
from typing import Final, NamedTuple

__all__ = ["CASES", "Case", "Expected", "wrong"]

MARK: Final = "▸"


class Expected(NamedTuple):
    """A finding's name and place."""

    name: str
    line: int
    column: int


class Case(NamedTuple):
    """One document and what must be said about it."""

    title: str
    text: str
    expected: tuple[Expected, ...]


def wrong(title: str, names: str, text: str) -> Case:
    marked = dedent(text).lstrip("\n") if text.startswith("\n") else text
    expected: list[Expected] = []
    pieces = marked.split(MARK)
    read = pieces[0]
    for name, piece in zip(names.split(), pieces[1:], strict=True):
        line = read.count("\n") + 1
        column = len(read) - (read.rfind("\n") + 1) + 1
        expected += [Expected(part, line, column) for part in name.split("+")]
        read += piece
    return Case(title, read, tuple(expected))


READING: Final = (
    wrong("nothing at all", "empty_document", "▸"),
    wrong("comments only", "empty_document", "▸# nothing\n"),
    wrong("null", "empty_document", "▸~\n"),
    wrong("two documents", "several_documents", "name: a\n▸---\nname: b\n"),
    wrong("a list", "wrong_type", "▸[1, 2]\n"),
    wrong("a text", "wrong_type", "▸hello\n"),
    wrong("a JSON text that is a list", "wrong_type", '▸["a"]'),
    wrong("a control character", "control_character", "name: a▸\x07b\n"),
    wrong("a hidden line break", "control_character", "name: a▸\u2028b\n"),
    wrong("a tab as indentation", "syntax", "steps:\n▸\t- id: a\n"),
    wrong("quotes that never close", "syntax", 'name: ▸"abc\nsteps: []\n'),
    wrong("braces that never close", "syntax", "limits: {timeout: 1h\nsteps▸: []\n"),
    wrong("a colon inside of a value", "syntax", "name: a▸: b\n"),
    wrong("a key without space behind its colon", "syntax", "name:x\nsteps▸: []\n"),
    wrong("an unknown escape", "syntax", 'name: "▸\\q"\n'),
    wrong("half a surrogate pair as an escape", "syntax", '{"name": "▸\\ud800"}'),
    wrong("a text that begins with @", "syntax", "name: ▸@x\n"),
    wrong("a tag directive", "directive_refused", "▸%TAG ! tag:x,2026:\n---\nname: a\n"),
    wrong(
        "an anchor and its alias",
        "alias_refused alias_refused",
        """
        name: a
        variables: {x: ▸&x 1, y: ▸*x}
        steps: [{id: a, type: noop}]
        """,
    ),
    wrong("an alias to itself", "alias_refused alias_refused", "name: a\nsteps: [{id: a, type: noop}]\nvariables: ▸&a {b: ▸*a}\n"),
    wrong(
        "a tag that would run code",
        "tag_refused",
        """
        name: a
        variables: {x: ▸!!python/object/apply:os.system [ls]}
        steps: [{id: a, type: noop}]
        """,
    ),
    wrong("a merge key", "merge_key_refused", "name: a\nsteps: [{id: a, type: noop}]\nvariables: {▸<<: {b: 1}, c: 2}\n"),
    wrong("a key twice", "duplicate_key", "name: a\nsteps: [{id: a, type: noop}]\n▸name: b\n"),
    wrong("a key twice in JSON", "duplicate_key", '{"name": "a", "steps": [{"id": "a", "type": "noop", ▸"id": "b"}]}'),
    wrong(
        "keys that are no text",
        "key_not_text key_not_text key_not_text",
        """
        name: a
        variables: {▸1: a, ▸true: b, ▸[c]: d}
        steps: [{id: a, type: noop}]
        """,
    ),
    wrong(
        "numbers that cannot be stored",
        "number_out_of_range number_out_of_range number_out_of_range number_out_of_range",
        """
        name: a
        variables: {a: ▸.inf, b: ▸.nan, c: ▸1e400, d: ▸99999999999999999999}
        steps: [{id: a, type: noop}]
        """,
    ),
    wrong(
        "a number too large in JSON",
        "number_out_of_range",
        '{"name": "a", "variables": {"n": ▸' + "9" * 5000 + '}, "steps": [{"id": "a", "type": "noop"}]}',
    ),
    wrong("NUL in JSON", "control_character", '{"name": "a", "description": ▸"x\\u0000y", "steps": [{"id": "a", "type": "noop"}]}'),
    wrong("NUL as an escape, said once", "control_character", 'name: ▸"a\\0b"\nsteps: [{id: a, type: noop}]\n'),
    wrong("too deep", "too_deep", "name: a\nvariables: " + "[" * 63 + "▸[" + "\n"),
    wrong("a list too long", "too_many_items", "name: a\nvariables: {a: [" + "1," * 10_000 + "▸1]}\n"),
    wrong(
        "a template without quotes", "unquoted_template", "name: a\noutput: ▸{{ steps.a.output }}\nsteps: [{id: a, type: noop}]\n"
    ),
    wrong("a template without quotes and more behind it", "unquoted_template", "name: a\noutput: ▸{{ input.x }}/path\n"),
    wrong("a template without quotes and with brackets", "unquoted_template", 'name: a\noutput: ▸{{ input["x"] }}\n'),
)

SHAPE: Final = (
    wrong("no name", "missing_key", "▸steps: [{id: a, type: noop}]\n"),
    wrong("no steps", "missing_key", "▸name: a\n"),
    wrong("empty steps", "no_steps", "name: a\nsteps: ▸[]\n"),
    wrong("steps by name", "wrong_type", "name: a\nsteps:\n  ▸fetch: {type: noop}\n"),
    wrong("an unknown key and what it meant", "unknown_key", "name: a\n▸descripton: x\nsteps: [{id: a, type: noop}]\n"),
    wrong("a key of another tool", "unknown_key", "name: a\n▸jobs: [{id: a, type: noop}]\n"),
    wrong("a key in the wrong place", "unknown_key", "name: a\n▸timeout: 5m\nsteps: [{id: a, type: noop}]\n"),
    wrong(
        "keys of later versions",
        "not_in_this_version not_in_this_version not_in_this_version",
        """
        name: a
        ▸triggers: []
        limits: {▸rate: {limit: 1}}
        steps:
          - id: a
            type: noop
            ▸cache: {key: x}
        """,
    ),
    wrong(
        "a machine",
        "not_in_this_version not_in_this_version",
        "name: a\nkind: ▸machine\n▸states: []\nsteps: [{id: a, type: noop}]\n",
    ),
    wrong(
        "secrets where they would be written down",
        "secret_exposed secret_exposed secret_computed secret_computed",
        """
        name: a
        steps:
          - id: a
            type: function
            when: "▸secrets.x == 'y'"
            config: {function: f, params: {fine: "Bearer {{ secrets.x }}"}}
            output_mapping: {x: "{{ ▸secrets.x }}"}
          - id: b
            type: function
            config: {function: f, params: {x: "{{ ▸secrets.x|upper }}", y: "{{ ▸secrets }}"}}
        """,
    ),
    wrong("a step type of later versions", "not_in_this_version", "name: a\nsteps: [{id: a, type: ▸webhook, config: {url: x}}]\n"),
    wrong("an unknown step type", "unknown_step_type", "name: a\nsteps: [{id: a, type: ▸fucntion}]\n"),
    wrong("a step without id and type", "missing_key+missing_key", "name: a\nsteps:\n  - ▸name: x\n"),
    wrong("a step that is a text", "wrong_type", "name: a\nsteps: [▸fetch]\n"),
    wrong(
        "numbers and texts mixed up",
        "wrong_type wrong_type wrong_type wrong_type",
        """
        name: ▸5
        description: ▸[x]
        tags: [a, ▸2026]
        steps: [{id: a, type: noop, priority: ▸"5"}]
        """,
    ),
    wrong("a boolean of YAML 1.1", "wrong_type", "name: a\nsteps: [{id: a, type: noop, idempotent: ▸no}]\n"),
    wrong("an unknown join", "unknown_choice", "name: a\nsteps: [{id: a, type: noop, join: ▸all_sucess}]\n"),
    wrong(
        "durations that are none",
        "bad_duration bad_duration bad_duration bad_duration bad_duration wrong_type",
        """
        name: a
        limits: {timeout: ▸20y}
        defaults: {timeout: ▸0}
        steps:
          - {id: a, type: noop, timeout: ▸"60", total_timeout: ▸PT5M, queue_timeout: ▸1e9}
          - {id: b, type: noop, timeout: ▸true}
        """,
    ),
    wrong(
        "numbers out of range",
        "out_of_range out_of_range out_of_range out_of_range out_of_range",
        """
        name: a
        limits: {max_concurrency: ▸0, priority: ▸10}
        steps:
          - {id: a, type: noop, priority: ▸-1, retry: {max_attempts: ▸2147483648, backoff_coefficient: ▸0.5}}
        """,
    ),
    wrong(
        "fractions and booleans where a whole number is due",
        "out_of_range wrong_type",
        "name: a\nlimits: {max_concurrency: ▸5.0, priority: ▸true}\nsteps: [{id: a, type: noop}]\n",
    ),
    wrong(
        "two spellings of one setting",
        "conflicting_keys",
        "name: a\nsteps: [{id: a, type: function, config: {function: f}, retry: {max_attempts: 2, ▸retry_count: 1}}]\n",
    ),
    wrong(
        "pauses the wrong way round, once for all steps",
        "retry_intervals_swapped",
        """
        name: a
        defaults: {retry: {initial_delay: ▸10m, max_delay: 1m}}
        steps:
          - {id: a, type: function, config: {function: f}}
          - {id: b, type: function, config: {function: f}}
        """,
    ),
    wrong("a name of nothing", "bad_name", 'name: ▸"  "\nsteps: [{id: a, type: noop}]\n'),
    wrong("a name that turns the direction of writing", "bad_name", 'name: ▸"a\u202eb"\nsteps: [{id: a, type: noop}]\n'),
    wrong("a version that is a path", "bad_version", "name: a\nversion: ▸1.0.0-../../\nsteps: [{id: a, type: noop}]\n"),
    wrong(
        "configs of functions",
        "missing_key bad_function wrong_type unknown_key wrong_type unknown_choice",
        """
        name: a
        steps:
          - {id: a, type: function, ▸config: {params: {}}}
          - {id: b, type: function, config: {function: ▸"{{ input.f }}"}}
          - {id: c, type: function, config: {function: f, params: ▸[1]}}
          - {id: d, type: function, config: {function: f, ▸url: x}}
          - {id: e, type: function, config: {function: ▸5, run_in: ▸thread}}
        """,
    ),
    wrong(
        "configs of waits",
        "one_way_to_wait one_way_to_wait bad_duration bad_instant bad_instant deadline_without_signal wrong_type",
        """
        name: a
        limits: {timeout: 1h}
        steps:
          - {id: a, type: wait, config: ▸{}}
          - {id: b, type: wait, config: ▸{duration: 5s, signal: x}}
          - {id: c, type: wait, config: {duration: ▸5 minutes}}
          - {id: d, type: wait, config: {until: ▸2026-02-30T00:00:00Z}}
          - {id: e, type: wait, config: {until: ▸2026-11-21}}
          - {id: f, type: wait, config: {duration: 5s, ▸deadline: 5s}}
          - {id: g, type: wait, config: {signal: ▸[x]}}
        """,
    ),
    wrong("a noop with a config", "unknown_key", "name: a\nsteps: [{id: a, type: noop, config: {▸x: 1}}]\n"),
    wrong(
        "a template in a variable",
        "template_not_rendered",
        "name: a\nvariables: {a: ▸'{{ input.x }}'}\nsteps: [{id: a, type: noop}]\n",
    ),
)

STEPS: Final = (
    wrong(
        "ids that cannot be",
        "bad_step_id bad_step_id bad_step_id bad_step_id",
        """
        name: a
        steps:
          - {id: ▸fetch-data, type: noop}
          - {id: ▸2nd, type: noop}
          - {id: ▸"", type: noop}
          - {id: ▸"e\\u0301", type: noop}
        """,
    ),
    wrong("an id twice", "duplicate_step_id", "name: a\nsteps:\n  - {id: a, type: noop}\n  - {id: ▸a, type: noop}\n"),
    wrong(
        "an unknown dependency",
        "unknown_dependency",
        """
        name: etl
        steps:
          - {id: extract, type: noop}
          - {id: transform, type: noop, depends_on: [extract]}
          - id: load
            type: noop
            depends_on: [▸transfrom]
        """,
    ),
    wrong(
        "a dependency twice",
        "duplicate_dependency",
        "name: a\nsteps:\n  - {id: a, type: noop}\n  - {id: b, type: noop, depends_on: [a, ▸a]}\n",
    ),
    wrong("a join of nothing", "never_starts", "name: a\nsteps: [{id: a, type: noop, join: ▸any_failed}]\n"),
    wrong("a dependency on itself", "self_dependency", "name: a\nsteps: [{id: a, type: noop, depends_on: ▸a}]\n"),
    wrong(
        "two cycles",
        "cycle cycle",
        """
        name: a
        steps:
          - {id: a, type: noop, depends_on: [▸c]}
          - {id: b, type: noop, depends_on: [a]}
          - {id: c, type: noop, depends_on: [b]}
          - {id: d, type: noop, depends_on: [c, ▸e]}
          - {id: e, type: noop, depends_on: [d]}
        """,
    ),
    wrong(
        "too many steps",
        "too_many_steps",
        "name: a\nsteps:\n"
        + "".join(f"- {{id: s{number}, type: noop}}\n" for number in range(10_000))
        + "- ▸{id: s, type: noop}\n",
    ),
)

EXPRESSIONS: Final = (
    wrong("another language's operator", "unknown_operator", "name: a\nsteps: [{id: a, type: noop, when: input.x ▸&& true}]\n"),
    wrong(
        "an expression that never closes", "unclosed_expression", "name: a\noutput: 'x ▸{{ input.x'\nsteps: [{id: a, type: noop}]\n"
    ),
    wrong("a statement", "statement_refused", "name: a\noutput: '▸{% if x %}'\nsteps: [{id: a, type: noop}]\n"),
    wrong(
        "an expression too long",
        "expression_too_long",
        f"name: a\nsteps: [{{id: a, type: noop, when: ▸'{'1 + ' * 2000}1 == 1'}}]\n",
    ),
    wrong(
        "a text with too many expressions",
        "template_too_large",
        f"name: a\noutput: ▸'{'{{ 1 }}' * 1001}'\nsteps: [{{id: a, type: noop}}]\n",
    ),
    wrong(
        "names that are not there",
        "unknown_variable unknown_input unknown_step unknown_step_field",
        """
        name: a
        input: {type: object, properties: {day: {type: string}}, additionalProperties: false}
        variables: {size: 1}
        steps:
          - {id: fetch, type: noop}
          - id: load
            type: function
            depends_on: fetch
            config:
              function: f
              params:
                a: 'n = {{ ▸variables.sise }} and {{ ▸input.dya }}'
                b: ['{{ ▸steps.fecth.output }}']
                c: '{{ ▸steps.fetch.rows }}'
        """,
    ),
    wrong(
        "an input that an open schema does not declare",
        "undeclared_input",
        "name: a\ninput: {properties: {day: {}}}\nsteps: [{id: a, type: noop, when: ▸input.dya == 1}]\n",
    ),
    wrong(
        "a step's own output before there is one",
        "unknown_name",
        "name: a\nsteps: [{id: a, type: wait, config: {until: '{{ ▸output.x }}'}}]\n",
    ),
    wrong(
        "names of other places",
        "secret_exposed name_not_available name_not_available",
        """
        name: a
        output: "{{ ▸secrets.token }}"
        steps:
          - id: a
            type: function
            config: {function: f, params: {x: "{{ ▸item }}"}}
            output_mapping: {y: "{{ ▸trigger.name }} {{ output.z }}"}
        """,
    ),
    wrong(
        "steps read by steps that they do not surely come before",
        "not_surely_before not_surely_before not_surely_before",
        """
        name: a
        steps:
          - {id: a, type: noop, when: ▸steps.a.output == 1}
          - {id: b, type: noop, depends_on: [a], when: ▸steps.c.output == 1}
          - {id: c, type: noop, depends_on: [a]}
          - {id: d, type: noop, depends_on: [c], when: steps.a.output == 1}
          - id: e
            type: function
            depends_on: [d]
            config:
              function: f
              params:
                text: |
                  first {{ steps.a.output }} and notsteps.b
                  second {{ ▸steps.b.output }}
        """,
    ),
)

RUNNING: Final = (
    wrong("a wait without an end", "wait_without_timeout", "name: a\nsteps: [{id: a, type: wait, config: {signal: ▸go}}]\n"),
    wrong(
        "a condition on what may be left out",
        "optional_input",
        """
        name: a
        input: {properties: {x: {}, y: {}}, required: [x]}
        steps: [{id: a, type: noop, when: input.x > 1 or ▸input.y}]
        """,
    ),
    wrong("handles without a join", "handles_without_join", "name: a\nsteps: [{id: a, type: noop, handles: ▸HttpError}]\n"),
    wrong(
        "fields of outputs that may be none",
        "may_be_skipped may_be_skipped",
        """
        name: a
        output: "{{ ▸steps.b.output.rows }}"
        steps:
          - {id: a, type: noop, when: input.x}
          - {id: b, type: noop, depends_on: a}
          - {id: c, type: noop, depends_on: b, when: steps.b.output.rows > 1}
          - {id: d, type: noop, depends_on: b, join: all_done, when: ▸steps.a.output.rows > 1}
          - {id: e, type: noop, depends_on: b, join: all_done, when: steps.a.output != none and steps.a.output.rows > 1}
        """,
    ),
)

HTTP: Final = (
    wrong(
        "configs of scripts",
        "missing_key bad_script bad_script bad_script unknown_choice conflicting_keys wrong_type bad_script",
        """
        name: a
        steps:
          - {id: a, type: script, ▸config: {runtime: bash}}
          - {id: b, type: script, config: {script: ▸/etc/passwd.sh}}
          - {id: c, type: script, config: {script: ▸a/../../b.py}}
          - {id: d, type: script, config: {script: ▸load}}
          - {id: e, type: script, config: {script: load, runtime: ▸cobol}}
          - {id: f, type: script, config: {script: load.py, ▸inline: print(1)}}
          - {id: g, type: script, config: {inline: ▸[1]}}
          - {id: h, type: script, config: {script: ▸"{{ input.file }}.py"}}
        """,
    ),
    wrong(
        "bounds of scripts",
        "wrong_type wrong_type wrong_type wrong_type unknown_key wrong_type bad_duration wrong_type out_of_range wrong_type "
        "bad_duration",
        """
        name: a
        steps:
          - {id: a, type: script, config: {script: a.py, params: ▸[1], args: ▸one}}
          - {id: b, type: script, config: {script: a.py, env: {A: ▸[1]}}}
          - {id: c, type: script, config: {script: a.py, limits: ▸5}}
          - {id: d, type: script, config: {script: a.py, limits: {▸memry: 1, memory: ▸5 lots}}}
          - {id: e, type: script, config: {script: a.py, limits: {cpu: ▸a while, output: ▸-1}}}
          - {id: f, type: script, config: {script: a.py, limits: {processes: ▸0}}}
          - {id: g, type: script, config: {script: a.py, network: ▸1, timeout: ▸"{{ input.t }}"}}
        """,
    ),
    wrong("a call without a URL", "missing_key", "name: a\nsteps: [{id: a, type: http, ▸config: {method: GET}}]\n"),
    wrong(
        "URLs that cannot be called",
        "bad_url bad_url bad_url bad_url wrong_type",
        """
        name: a
        steps:
          - {id: a, type: http, config: {url: ▸"ftp://example.org/"}}
          - {id: b, type: http, config: {url: ▸"https://me:secret@example.org/"}}
          - {id: c, type: http, config: {url: ▸'http://good\\@evil/'}}
          - {id: d, type: http, config: {url: ▸"https:///path"}}
          - {id: e, type: http, config: {url: ▸5}}
        """,
    ),
    wrong(
        "a request that cannot be made",
        "unknown_choice bad_header bad_header wrong_type conflicting_keys unknown_key",
        """
        name: a
        steps:
          - id: a
            type: http
            config:
              url: https://example.org/
              method: ▸FETCH
              headers: {▸Host: evil, ▸"a b": c, X-Ok: ▸[1]}
              json: {a: 1}
              ▸form: {a: 1}
              ▸header: {}
        """,
    ),
    wrong(
        "credentials that prove nothing",
        "unknown_choice missing_key missing_key bad_header unknown_key",
        """
        name: a
        steps:
          - {id: a, type: http, config: {url: https://x/, auth: {type: ▸digest}}}
          - {id: b, type: http, config: {url: https://x/, ▸auth: {token: x}}}
          - {id: c, type: http, config: {url: https://x/, ▸auth: {type: basic, username: me}}}
          - {id: d, type: http, config: {url: https://x/, auth: {type: bearer, token: ▸"a\\nb"}}}
          - {id: e, type: http, config: {url: https://x/, auth: {type: bearer, token: x, ▸tokn: x}}}
        """,
    ),
    wrong(
        "answers that cannot be judged",
        "unknown_operator name_not_available wrong_type out_of_range out_of_range wrong_type missing_key wrong_type",
        """
        name: a
        steps:
          - {id: a, type: http, config: {url: https://x/, success_when: "status_code ▸&& true"}}
          - {id: b, type: http, config: {url: https://x/, success_when: ▸"steps.a.status == 'completed'"}}
          - {id: c, type: http, config: {url: https://x/, retry_on: ▸503}}
          - {id: d, type: http, config: {url: https://x/, retry_on: [▸42], max_response_bytes: ▸1000000000000}}
          - {id: e, type: http, config: {url: https://x/, pagination: {next: ▸"json..next", items: json}}}
          - {id: f, type: http, config: {url: https://x/, ▸pagination: {next: link}}}
          - {id: g, type: http, config: {url: https://x/, verify: ▸"no"}}
        """,
    ),
)

CASES: Final = (*READING, *SHAPE, *STEPS, *EXPRESSIONS, *RUNNING, *HTTP)
