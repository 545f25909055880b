"""What each key of a document means, in a sentence: editors show it beside the key, the reference prints it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

__all__ = ["MEANINGS"]

# (table, key) → its meaning.
MEANINGS: Final[Mapping[tuple[str, str], str]] = {
    ("workflow", "name"): "The workflow's name: one line of visible text.",
    ("workflow", "version"): "The author's label of this version; without one it gets the next number.",
    ("workflow", "description"): "What the workflow is for.",
    ("workflow", "owner"): "Whose workflow it is.",
    ("workflow", "tags"): "Words to find it by.",
    ("workflow", "kind"): "How the next step is decided; this version runs graphs.",
    ("workflow", "input"): "A JSON Schema of the input.",
    ("workflow", "output"): "The execution's output, made of templates.",
    ("workflow", "variables"): "Values with their defaults; a key of the input with the same name overrides one.",
    ("workflow", "defaults"): "What holds for every step that says nothing else.",
    ("workflow", "limits"): "Bounds of one execution.",
    ("workflow", "steps"): "The nodes of the graph.",
    ("limits", "timeout"): "How long an execution may take.",
    ("limits", "max_concurrency"): "How many attempts of an execution may run at the same time.",
    ("limits", "priority"): "0 to 9; 9 goes first. 5 when nothing is said.",
    ("defaults", "timeout"): "How long one attempt may take.",
    ("defaults", "retry"): "How failed attempts are made again.",
    ("step", "id"): "The name by which others depend on the step and read it: letters, digits and _, no digit first.",
    ("step", "type"): "What performs the step.",
    ("step", "name"): "What people see instead of the id.",
    ("step", "description"): "What the step is for.",
    ("step", "config"): "What the step does; its keys depend on the type. Templates are rendered when it starts.",
    ("step", "depends_on"): "The steps that must have ended before; see join.",
    ("step", "when"): "An expression; when it is false the step is skipped.",
    ("step", "join"): "How the dependencies must have ended for the step to start. all_success when nothing is said.",
    ("step", "handles"): "Errors of dependencies, by type, that count as handled; with join any_failed or all_done.",
    ("step", "input_mapping"): "Inputs made of templates; each becomes a parameter.",
    ("step", "output_mapping"): "What later steps see instead of the output; the templates read `output`.",
    ("step", "retry"): "How a failed attempt is made again.",
    ("step", "timeout"): "How long one attempt may take.",
    ("step", "total_timeout"): "How long all attempts together may take, with the pauses between them.",
    ("step", "queue_timeout"): "How long the step may wait for a free slot.",
    ("step", "heartbeat"): "How long an attempt may be silent before it counts as lost.",
    ("step", "isolation"): "How far a script is kept from the machine it runs on.",
    ("step", "priority"): "0 to 9; 9 goes first. The execution's when nothing is said.",
    ("step", "idempotent"): "false: after a crash in its middle the step waits for a person. true when nothing is said.",
    ("step", "on_error"): "fail: the execution fails with the step. continue: it may still complete, as partial.",
    ("step", "tags"): "Words to find it by.",
    ("step", "is_parallel"): "Accepted and without effect: the graph decides what runs in parallel.",
    ("retry", "max_attempts"): "How many attempts there may be, the first one counted.",
    ("retry", "retry_count"): "How many attempts may follow the first; another way to say max_attempts.",
    ("retry", "max_retries"): "How many attempts may follow the first; another way to say max_attempts.",
    ("retry", "initial_interval"): "The pause before the second attempt.",
    ("retry", "initial_delay"): "Another word for initial_interval.",
    ("retry", "max_interval"): "The longest pause.",
    ("retry", "max_delay"): "Another word for max_interval.",
    ("retry", "backoff_coefficient"): "How many times longer each pause is than the one before.",
    ("retry", "backoff_factor"): "Another word for backoff_coefficient.",
    ("retry", "jitter"): "How far a pause may be off by chance, 0.1 for a tenth.",
    ("retry", "non_retryable_errors"): "Errors, by type, after which no further attempt is made.",
}
