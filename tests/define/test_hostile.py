"""Whatever a document says, reading it takes little time and memory and ends in a named finding."""

from __future__ import annotations

import gc
import random
import tracemalloc
from time import process_time

import pytest

from taskengine.define import Checked, from_document, load_text, render_findings, to_document
from tests.amounts import amount
from tests.define.bad_documents import CASES
from tests.define.hostile import DOCUMENTS, LARGE

# Seconds of this process for one hostile document. It takes 0.1 s or less on an idle core; a busy machine may be several times
# slower, and what these documents aim at takes minutes.
PATIENCE = 0.5
MEMORY = 50 << 20

GOOD = """\
name: nightly
version: 1.10
input: {type: object, properties: {day: {type: string}}}
variables: {size: 5, list: [1, 2.5, null, true]}
defaults: {timeout: 5m, retry: {max_attempts: 3, initial_interval: 200ms}}
limits: {timeout: 1h, max_concurrency: 4}
steps:
  - id: fetch
    type: function
    config: {function: "m:fetch", params: {day: "{{ input.day }}", text: 'n = {{ variables.size + 1 }}'}}
  - id: pause
    type: wait
    depends_on: [fetch]
    config: {signal: go, deadline: 2h}
  - id: load
    type: function
    depends_on: [pause, fetch]
    when: steps.fetch.output.rows > 0 and steps.pause.status == "completed"
    config:
      function: load
      params:
        body: |
          several
          {{ steps.fetch.output }}
    handles: HttpError
    join: all_done
  - {id: done, type: noop, depends_on: load}
output: "{{ steps.load.output }}"
"""


def names(checked: Checked) -> set[str]:
    return {finding.name for finding in checked.findings}


@pytest.mark.parametrize("title", DOCUMENTS)
def test_a_hostile_document_ends_in_a_named_finding_at_once(title: str) -> None:
    make, expected = DOCUMENTS[title]
    document = make()
    load_text(GOOD, file="warm.yaml")
    began = process_time()
    checked = load_text(document, file="hostile.yaml")
    shown = render_findings(checked, color=False)
    assert process_time() - began < PATIENCE
    assert expected in names(checked)
    assert checked.workflow is None
    assert len(shown) < 200_000


@pytest.mark.parametrize(
    "title",
    ["billion laughs", "brackets", "valid JSON", "keys", "items", "a number", "ten megabytes", "openings in one text", "lines"],
)
def test_a_hostile_document_takes_little_memory(title: str) -> None:
    document = DOCUMENTS[title][0]()
    load_text(GOOD, file="warm.yaml")
    gc.collect()
    tracemalloc.start()
    try:
        load_text(document, file="hostile.yaml")
        assert tracemalloc.get_traced_memory()[1] < MEMORY
    finally:
        tracemalloc.stop()


def seconds(document: str) -> float:
    began = process_time()
    load_text(document, file="a.yaml")
    return process_time() - began


@pytest.mark.parametrize("title", LARGE)
def test_a_large_wrong_document_costs_what_a_right_one_costs(title: str) -> None:
    make, expected = LARGE[title]
    small, large = make(1_000), make(5_000)
    assert expected in names(load_text(large, file="a.yaml"))
    # Five times as many steps: quadratic would be twenty-five times the time.
    assert min(seconds(large), seconds(large)) < 12 * max(min(seconds(small), seconds(small)), 0.01)


def right(count: int) -> str:
    first = "name: a\nsteps:\n  - {id: s0, type: noop}\n"
    config = '{{function: f, params: {{x: "{{{{ steps.s{1}.output.x }}}}"}}}}'
    form = f"  - {{{{id: s{{0}}, type: function, config: {config}, depends_on: [s{{1}}]}}}}\n"
    return first + "".join(form.format(number, number - 1) for number in range(1, count))


def test_a_right_document_is_read_in_time_that_grows_with_its_steps() -> None:
    assert load_text(right(7_000), file="a.yaml").findings == ()
    thousand = min(seconds(right(1_000)) for _ in range(3))
    assert thousand < 1.0  # 0.1 s on an idle core
    assert min(seconds(right(7_000)) for _ in range(2)) < 25 * thousand  # quadratic would be 49


def judge(document: str | bytes) -> None:
    """What holds for every document: only findings, all of them showable, and a workflow that can be stored or none."""
    checked = load_text(document, file="fuzz.yaml")
    assert len(checked.findings) <= 101
    for finding in checked.findings:
        assert finding.code.startswith("TE")
        assert finding.message
        assert finding.line >= 1
        assert finding.column >= 1
        assert finding.offset <= len(checked.text)
    shown = render_findings(checked, color=False)
    assert all(character.isprintable() or character == "\n" for character in shown)
    assert (checked.workflow is None) == bool(checked.errors)
    if checked.workflow is not None:
        assert from_document(to_document(checked.workflow)) == checked.workflow


PIECES = [
    *("{{", "}}", "[", "]", "{", "}", ": ", "- ", "&a ", "*a", "!x ", "<<: ", '"', "'"),
    *("\t", "\n", "|", "#", "\x00", "\u2028", "é", "1e999", "null"),
]


def mutated(text: str, rng: random.Random) -> str:
    """The text after one to four small accidents."""
    for _ in range(rng.randint(1, 4)):
        place, length = rng.randrange(len(text) + 1), rng.randint(0, 12)
        match rng.randrange(5):
            case 0:
                text = text[:place] + rng.choice(PIECES) + text[place:]
            case 1:
                text = text[:place] + text[place + length :]
            case 2:
                other = rng.randrange(len(text) + 1)
                text = text[:place] + text[other : other + 4 * length] + text[place:]
            case 3:
                lines = text.split("\n")
                first, second = rng.randrange(len(lines)), rng.randrange(len(lines))
                lines[first], lines[second] = lines[second], lines[first]
                text = "\n".join(lines)
            case _:
                text = text[:place] + chr(rng.choice([rng.randrange(128), rng.randrange(0xD800)])) + text[place + 1 :]
    return text


def test_mutated_documents_give_nothing_but_findings() -> None:
    rng = random.Random(20261121)
    seeds = [
        GOOD,
        to_document(load_text(GOOD, file="a.yaml").require()).decode(),
        *(case.text for case in CASES if len(case.text) < 2_000),
    ]
    for _ in range(amount(test=2_000, nightly=100_000)):
        judge(mutated(rng.choice(seeds), rng))


def test_random_bytes_give_nothing_but_findings() -> None:
    rng = random.Random(11212026)
    for _ in range(amount(test=2_000, nightly=100_000)):
        judge(rng.randbytes(rng.randint(0, 60)))


def test_random_words_of_the_language_give_nothing_but_findings() -> None:
    rng = random.Random(21112026)
    words = [
        *GOOD.split(" "),
        "\n",
        "\n  ",
        "\n    ",
        "{",
        "}",
        "[",
        "]",
        ",",
        ": ",
        "- ",
        "&a",
        "*a",
        "!t",
        "{{",
        "}}",
        "'",
        '"',
        "|",
        ">",
    ]
    for _ in range(amount(test=2_000, nightly=100_000)):
        judge(" ".join(rng.choice(words) for _ in range(rng.randint(1, 60))))
