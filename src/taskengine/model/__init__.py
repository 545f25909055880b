"""Plain data: ids, values, workflows, events, commands, effects. Pure: the standard library's types and msgspec, nothing else."""
