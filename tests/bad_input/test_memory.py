"""No bad document makes the memory jump: measured in a process of its own, by what the system says of its peak."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
MOST_MB = 50


@pytest.mark.processes
@pytest.mark.parametrize("name", ["test_a_parsing", "test_b_definitions", "test_c_schemas"])
def test_no_bad_document_takes_fifty_megabytes(name: str) -> None:
    run = subprocess.run(
        [sys.executable, "-m", "tests.bad_input.peak", name], cwd=ROOT, capture_output=True, check=True, timeout=100
    )
    rises = json.loads(run.stdout)
    largest = max(rises, key=rises.__getitem__)
    print(f"{len(rises)} documents, the largest rise {rises[largest]} MB ({largest})")
    assert len(rises) >= 15
    assert rises[largest] > 0  # else nothing was measured
    assert rises[largest] < MOST_MB
