"""Where secrets may stand in a workflow: put into a text as they are, in what work is given. Everything else is refused here."""

from __future__ import annotations

from typing import Any

from taskengine.errors import DefinitionError
from taskengine.expr import Template
from taskengine.kernel.plan import Reading
from taskengine.model.secret import has_mark
from taskengine.model.value import encode
from taskengine.model.workflow import CONTROL_STEPS, Step

__all__ = ["must_be_bare", "must_hide_secrets", "must_hold_no_mark"]


def must_hold_no_mark(step: Step, value: dict[str, Any]) -> None:
    """The character that begins a secret's mark is nobody else's."""
    if has_mark(encode(value)):
        raise DefinitionError(
            "secret_forged",
            f'step "{step.id}" holds the control character U+0002 in its config or input_mapping',
            hint="it stands for secrets inside the engine; leave it out",
            step=step.id,
        )


def must_be_bare(step: Step, inputs: Template) -> None:
    """A secret is put in after rendering: nothing can be made of it, and it must be known which one is meant."""
    used = [name for name in inputs.names if name.partition(".")[0] == "secrets"]
    wrong = [name for name in used if name.count(".") != 1 or name in inputs.computed_names]
    if wrong or (used and step.type in CONTROL_STEPS):
        raise DefinitionError(
            "secret_computed",
            f'step "{step.id}" makes something of a secret; a secret can only be put into a text as it is',
            hint="write {{ secrets.name }} with nothing else between the braces",
            step=step.id,
        )


def must_hide_secrets(place: str, reads: Reading) -> None:
    """Nothing but the config and input of work may read a secret."""
    if "secrets" in reads.roots:
        raise DefinitionError("secret_exposed", f"{place} reads a secret", hint="only the config and input_mapping of a step may")
