"""What programs hand in, on its way to being kept: written as JSON, within the bounds, fitting the workflow's schema.

Whatever was handed in, the answer is the payload or an error with a name and a place. Nothing is started here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from typing import Any, Final

import msgspec

from taskengine.errors import ConflictError, LimitError, ValidationError
from taskengine.model import command as cmd
from taskengine.model.plain import NotPlainError, written
from taskengine.model.value import ABSENT, Instant, Json, Raw, is_deeper
from taskengine.model.workflow import Workflow
from taskengine.runtime.catalog import KnownWorkflow
from taskengine.runtime.settings import NodeSettings

__all__ = ["Intake"]

_LABEL: Final = 1_000  # characters
_SAID: Final = ("name", "path", "by", "reason", "comment")
_NO_INPUT: Final = Raw(b"{}")


class Intake:
    """What one engine takes, with its bounds."""

    __slots__ = ("_bounds",)

    def __init__(self, bounds: NodeSettings) -> None:
        self._bounds = bounds

    def payload_of(self, value: object, what: str) -> Raw:
        """The value as it is kept. ``LimitError`` beyond the bounds, ``ValidationError("not_json")`` for what JSON cannot hold."""
        try:
            document = written(value)
        except NotPlainError as error:
            place = what + ("" if error.path.startswith("[") or not error.path else ".") + error.path
            raise ValidationError(
                "not_json",
                f"the {what} cannot be kept as JSON: {place}: {error.reason}",
                hint="hand in texts, finite numbers of 64 bits, true, false, None, lists and dicts with texts as keys",
                faults=[{"path": place, "said": error.reason}],
            ) from None
        if len(document) > self._bounds.max_payload:
            message = f"the {what} has {len(document)} bytes, {self._bounds.max_payload} are allowed"
            hint = "keep it in a file or a database and hand in where it is"
            raise LimitError("payload_too_large", message, hint=hint, limit=self._bounds.max_payload, actual=len(document))
        if is_deeper(document, self._bounds.max_nesting):
            message = f"the {what} is nested deeper than {self._bounds.max_nesting} levels"
            raise LimitError("payload_too_deep", message, hint="hand it in as text", limit=self._bounds.max_nesting)
        return Raw(document)

    def input_of(self, known: KnownWorkflow, params: Mapping[str, Json] | None, *, what: str = "input") -> Raw:
        """The input of an execution: with the defaults of its schema, and fitting it.

        Raises as ``payload_of`` does, and ``ValidationError("invalid_input")``.
        """
        _must_be_mapping(params, what)
        if known.accepts is None:
            return self.payload_of(dict(params), what) if params else _NO_INPUT
        payload = self.payload_of(known.accepts.filled(params or {}), what)
        known.accepts.must_fit(payload, what=what)
        return payload

    def answer_of(self, form: Mapping[str, Any] | None, data: Json) -> Raw:
        """What comes with a decision: with the defaults of the form, and fitting it. Raises as ``input_of`` does."""
        if form is None:
            return ABSENT if data is None else self.payload_of(data, "data")
        from taskengine.define.validator import InputSchema

        accepts = InputSchema(form)
        if isinstance(data, Mapping) or (data is None and form.get("type", "object") == "object"):
            data = accepts.filled(data or {})
        payload = self.payload_of(data, "data")
        accepts.must_fit(payload, what="data", hint="the step's `form` in the workflow's document says what it accepts")
        return payload

    def variables_of(
        self, workflow: Workflow, params: Mapping[str, Json] | None, *, given: Mapping[str, Json] | None
    ) -> dict[str, Raw]:
        """Defaults, then the input's keys of the same name, then what was given at start."""
        if not workflow.variables and not given:
            return {}
        merged = dict(workflow.variables)
        merged.update({name: value for name, value in (params or {}).items() if name in merged})
        for name in given or {}:
            if name not in merged:
                raise ConflictError("unknown_variable", f'workflow "{workflow.name}" declares no variable "{name}"')
        merged.update(given or {})
        return {name: self.payload_of(value, f"variables.{name}") for name, value in merged.items()}

    def values_of(self, values: Mapping[str, Json]) -> dict[str, Raw]:
        """New values of variables as they are kept. Raises as ``payload_of`` does."""
        _must_be_mapping(values, "variables")
        self.labels_must_fit(**{f"variables.{name}": name for name in values})
        return {name: self.payload_of(value, f"variables.{name}") for name, value in values.items()}

    def command_of(self, make: Callable[[Instant], cmd.Command]) -> Callable[[Instant], cmd.Command]:
        """The same, when what the command says of itself can be stored: a history that cannot be read back is stuck for ever."""
        command = make(0)
        self.labels_must_fit(**{name: getattr(command, name) for name in _said_by(type(command))})
        return make

    def labels_must_fit(self, **labels: object) -> None:
        """Names, keys and reasons: texts of a bounded length that can be stored. Raises ``ValidationError("bad_label")``."""
        for name, label in labels.items():
            if not isinstance(label, str):
                said = f"must be text, not {_described(label)}"
            elif len(label) > _LABEL:
                said = f"has {len(label)} characters, at most {_LABEL} are allowed"
            elif not label.isascii() and not _is_storable(label):
                said = "holds half a character (a lone surrogate)"
            elif "\0" in label:
                said = "holds the character NUL"
            else:
                continue
            raise ValidationError("bad_label", f"{name} {said}", faults=[{"path": name, "said": said}])

    def priority_must_fit(self, priority: object) -> None:
        """A priority that is no number would be found out when the history is read."""
        if priority is not None and type(priority) is not int:
            said = f"must be a whole number from 0 to 9, not {_described(priority)}"
            raise ValidationError("bad_priority", f"priority {said}", faults=[{"path": "priority", "said": said}])


@cache
def _said_by(kind: type[msgspec.Struct]) -> tuple[str, ...]:
    return tuple(name for name in _SAID if name in kind.__struct_fields__)


def _must_be_mapping(params: object, what: str) -> None:
    if params is not None and not isinstance(params, Mapping):
        said = f"must be a mapping of names to values, not {_described(params)}"
        raise ValidationError("invalid_input", f"the {what} {said}", faults=[{"path": what, "said": said}])


def _described(value: object) -> str:
    from taskengine.define.phrase import described

    return described(value)


def _is_storable(label: str) -> bool:
    try:
        label.encode()
    except UnicodeEncodeError:
        return False
    return True
