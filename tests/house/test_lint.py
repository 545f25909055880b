"""The lint rules that carry a rule of the house catch what they are there for, in the room where it counts."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
KERNEL = "src/taskengine/kernel/decide.py"
ENVIRONMENT = "src/taskengine/runtime/environment.py"
LAW = '"""What this module owns."""\n\n'


def codes(path: str, source: str) -> set[str]:
    """Return the rules that ``source`` would break if it stood at ``path``."""
    command = [sys.executable, "-m", "ruff", "check", "--no-cache", "--output-format", "json", "--stdin-filename", path, "-"]
    ended = subprocess.run(command, input=LAW + source, capture_output=True, text=True, cwd=ROOT, timeout=60, check=False)
    assert ended.returncode in {0, 1}, ended.stderr
    return {finding["code"] for finding in json.loads(ended.stdout)}


CLOCKS = [
    "import time\n\nNOW = time.time()\n",
    "from time import monotonic\n\nNOW = monotonic()\n",
    "import datetime as dt\n\nNOW = dt.datetime.now(dt.UTC)\n",
    "import random\n\nDRAW = random.Random(1)\n",
    "from uuid import uuid4\n\nID = uuid4()\n",
    "import secrets\n\nTOKEN = secrets.token_hex()\n",
    "import os\n\nSEED = os.urandom(8)\n",
]


@pytest.mark.parametrize("source", CLOCKS)
def test_clock_randomness_and_ids_are_known_to_one_object_alone(source: str) -> None:
    assert "TID251" in codes(KERNEL, source)
    assert "TID251" not in codes(ENVIRONMENT, source)


@pytest.mark.parametrize(
    "source",
    [
        "import time\n\ntime.sleep(1)\n",
        "from unittest import mock\n\nFAKE = mock.Mock()\n",
        "import pytest\n\npytest.skip('later')\n",
        "import time\n\nNOW = time.time()\n",
    ],
)
def test_a_test_that_sleeps_mocks_skips_or_asks_for_the_date_is_refused(source: str) -> None:
    assert "TID251" in codes("tests/kernel/test_decide.py", source)


def test_a_test_may_draw_seeded_numbers() -> None:
    assert codes("tests/kernel/test_decide.py", "import random\n\nDRAW = random.Random(1)\n") == set()


@pytest.mark.parametrize(
    ("code", "source"),
    [
        ("BLE001", "try:\n    X = 1\nexcept Exception:\n    X = 2\n"),
        ("T201", "print(1)\n"),
        ("FBT001", 'def stop(now: bool) -> bool:\n    """Stop."""\n    return now\n'),
        ("D103", "def stop() -> None:\n    return\n"),
        ("ANN201", 'def stop():\n    """Stop."""\n'),
        ("C901", 'def pick(x: int) -> int:\n    """Pick."""\n' + "    if x:\n        x += 1\n" * 10 + "    return x\n"),
        ("PLR0915", 'def pick(x: int) -> int:\n    """Pick."""\n' + "    x += 1\n" * 40 + "    return x\n"),
        ("E501", "X = " + "1 + " * 33 + "1\n"),
        ("S307", "X = eval('1')\n"),
        ("S301", "import pickle\n\nX = pickle.loads(b'')\n"),
    ],
)
def test_a_rule_of_the_house_is_caught_in_the_kernel(code: str, source: str) -> None:
    assert code in codes(KERNEL, source)


def test_a_third_positional_argument_is_refused_at_the_edges_and_allowed_inside_the_kernel() -> None:
    add = 'def add(one: int, two: int, three: int) -> int:\n    """Add."""\n    return one + two + three\n'
    assert "PLR0917" in codes("src/taskengine/runtime/loop.py", add)
    assert "PLR0917" not in codes(KERNEL, add)


def test_what_must_be_true_may_be_asserted() -> None:
    half = 'def half(x: int) -> int:\n    """Half of an even number."""\n    assert x % 2 == 0\n    return x // 2\n'
    assert codes("src/taskengine/errors.py", half) == set()
