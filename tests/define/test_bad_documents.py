"""Every kind of mistake is named, at its place, with all others of the same document and without consequences of itself."""

from __future__ import annotations

import pytest

from taskengine.define import BY_NAME, CODES, load_text
from tests.define.bad_blocks import BLOCKS, HINTS
from tests.define.bad_documents import CASES as OTHERS
from tests.define.bad_documents import Case, Expected
from tests.define.bad_schemas import SCHEMAS

CASES = (*OTHERS, *SCHEMAS, *BLOCKS)

# Findings whose document is a file, a size or bytes, or that only a program can cause; their own tests are named beside them.
ELSEWHERE = {
    "unreadable_file": "test_files.py",
    "document_too_large": "test_files.py",
    "not_utf8": "test_files.py",
    "too_many_findings": "test_findings.py",
    "not_json": "test_check.py",
    "function_not_found": "test_lookup.py",
    "unknown_parameter": "test_lookup.py",
    "missing_parameter": "test_lookup.py",
    "workflow_not_uploaded": "test_blocks.py",
}


@pytest.mark.parametrize("case", CASES, ids=[case.title for case in CASES])
def test_a_wrong_document_gives_exactly_the_findings_it_must(case: Case) -> None:
    checked = load_text(case.text, file="bad.yaml")
    found = tuple(Expected(finding.name, finding.line, finding.column) for finding in checked.findings)
    assert found == case.expected


@pytest.mark.parametrize("case", BLOCKS, ids=[case.title for case in BLOCKS])
def test_the_first_finding_about_blocks_says_what_to_do(case: Case) -> None:
    assert load_text(case.text, file="bad.yaml").findings[0].hint == HINTS[case.title]


@pytest.mark.parametrize("case", CASES, ids=[case.title for case in CASES])
def test_a_document_with_an_error_gives_no_workflow(case: Case) -> None:
    checked = load_text(case.text, file="bad.yaml")
    assert (checked.workflow is None) == bool(checked.errors)


@pytest.mark.parametrize("case", CASES, ids=[case.title for case in CASES])
def test_every_finding_has_words_and_a_place_in_the_text(case: Case) -> None:
    checked = load_text(case.text, file="bad.yaml")
    lines = case.text.split("\n")
    for finding in checked.findings:
        assert finding.message
        assert "{" not in finding.message.replace("{%", "").replace("{{", "") or "{" in case.text
        assert finding.file == "bad.yaml"
        assert finding.column + finding.length <= len(lines[finding.line - 1]) + 2


def test_the_table_has_a_document_for_every_finding() -> None:
    said = {finding.code for case in CASES for finding in load_text(case.text, file="bad.yaml").findings}
    missing = {code.name for code in CODES if code.code not in said}
    assert missing == set(ELSEWHERE)
    assert set(ELSEWHERE) <= set(BY_NAME)
