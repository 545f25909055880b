"""The list of mutants fits the sources: each applies in exactly one place, so that `make mutants` breaks what it says."""

from __future__ import annotations

from collections import Counter

from tests.mutants import run


def test_every_mutant_applies_in_exactly_one_place_and_changes_something() -> None:
    found = run.mutants()
    assert len(found) >= 15
    places = {one.name: run.occurrences(one) for one in found}
    assert {name: count for name, count in places.items() if count != 1} == {}
    assert [one.name for one in found if one.text == one.replacement] == []


def test_every_mutant_has_a_name_of_its_own_and_a_test_that_exists() -> None:
    found = run.mutants()
    names = Counter(one.name for one in found)
    assert [name for name, count in names.items() if count > 1] == []
    for one in found:
        file, _, test = one.test.partition("::")
        assert f"def {test.partition('[')[0]}(" in (run.ROOT / file).read_text(encoding="utf-8"), one.name
