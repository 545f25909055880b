"""What holds for every test: how much hypothesis searches, and what a failure prints.

A person trying something gets 50 examples, CI 400, the nightly suite 20,000; a suite that needs other amounts asks
``tests.amounts``. Failing examples are kept in ``.hypothesis`` and tried first the next time; no example has a deadline,
because the machine's load is not what is tested.
"""

from __future__ import annotations

import os

import pytest
from hypothesis import HealthCheck, settings

from tests.amounts import suite

NIGHTLY_TIMEOUT_S = 3_600.0
EXAMPLES = {"dev": 50, "ci": 400, "nightly": 20_000}


def profile() -> str:
    """Return the name of the hypothesis profile for this process: nightly before CI before a person."""
    if suite() == "nightly":
        return "nightly"
    return "ci" if os.environ.get("CI") else "dev"


for name, examples in EXAMPLES.items():
    settings.register_profile(
        name,
        max_examples=examples,
        deadline=None,
        derandomize=False,
        print_blob=True,
        # A loaded machine draws slowly; that is no fault of the test.
        suppress_health_check=[HealthCheck.too_slow],
    )
settings.load_profile(profile())


def pytest_configure(config: pytest.Config) -> None:
    """The nightly amounts take their time; what hangs is still ended."""
    if suite() == "nightly" and not config.getoption("timeout"):
        config.option.timeout = NIGHTLY_TIMEOUT_S
