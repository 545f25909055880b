"""Beginning anew from the middle of an execution: what its history gives, and what a fork is started with."""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

import msgspec

from taskengine.app.intake import Intake
from taskengine.errors import ConflictError, NotFoundError
from taskengine.kernel.advance import fold
from taskengine.kernel.fork import Heritage, heritage
from taskengine.kernel.state import Execution
from taskengine.model.codec import decode_event
from taskengine.model.value import NONE, Json, Raw, decode
from taskengine.ports.store import Store
from taskengine.runtime.catalog import KnownWorkflow, PlanCatalog
from taskengine.runtime.residency import whole_history

__all__ = ["Forking", "prepared"]


class Forking(msgspec.Struct, frozen=True):
    """All that a fork begins with."""

    known: KnownWorkflow
    origin: Execution
    given: Raw
    variables: dict[str, Raw]
    heritage: Heritage
    pins: dict[str, str]


async def prepared(
    execution_id: str,
    path: str,
    *,
    store: Store,
    catalog: PlanCatalog,
    intake: Intake,
    input: Mapping[str, Json] | None,
    variables: Mapping[str, Json] | None,
    version: str,
) -> Forking:
    """Read the origin as committed, and judge everything that the fork is given. Raises what ``Engine.fork`` raises."""
    found = await store.load((execution_id,))
    if not found:
        raise NotFoundError("execution_not_found", f"there is no execution {execution_id}")
    row = found[0].summary
    plan = (await catalog.known(row.workflow_id, row.workflow_version)).plan
    known = await catalog.known(row.workflow_id, _label(version, row.workflow_version))
    history = [decode_event(body) for body in await whole_history(store, execution_id)]
    origin = fold(execution_id, plan, history)
    taken = heritage(origin, history, known.plan, path)
    is_same = known.stored.version == row.workflow_version
    given = (
        origin.input or NONE if input is None and is_same else intake.input_of(known, _input(origin) if input is None else input)
    )
    merged = _variables(known, taken, input=input, given=variables or {})
    kept = {name: intake.payload_of(one, f"variables.{name}") for name, one in merged.items()}
    return Forking(known, origin, given, kept, taken, origin.pins if is_same else await catalog.pins(known.plan))


def _label(version: str, own: str) -> str:
    """The version that is meant, as the catalog takes it: nothing is the latest there."""
    return "" if version == "latest" else version or own


def _input(origin: Execution) -> Mapping[str, Json]:
    given = decode(origin.input) if origin.input else None
    return given if isinstance(given, dict) else {}


def _variables(
    known: KnownWorkflow, taken: Heritage, *, input: Mapping[str, Json] | None, given: Mapping[str, Json]
) -> dict[str, Json]:
    """Defaults of this version, then what they were in the origin, then keys of a new input, then what is given."""
    workflow = known.plan.workflow
    for name in given:
        if name not in workflow.variables:
            raise ConflictError("unknown_variable", f'workflow "{workflow.name}" declares no variable "{name}"')
    merged = cast("dict[str, Json]", dict(workflow.variables))
    made = [name for one in known.plan.every_step() if one.step.type == "set" for name in one.step.config]
    own = dict.fromkeys((*merged, *made))
    merged.update({name: decode(taken.variables[name]) for name in own if name in taken.variables})
    merged.update({name: value for name, value in (input or {}).items() if name in merged})
    merged.update(given)
    return merged
