"""``completion``: the script that makes a shell complete commands, options, ids and names."""

from __future__ import annotations

import click

from taskengine.cli.command import PROGRAM, EngineCommand

__all__ = ["completion"]


@click.command(
    "completion",
    cls=EngineCommand,
    examples=(
        "task-engine completion bash >> ~/.bashrc",
        "task-engine completion zsh >> ~/.zshrc",
        "task-engine completion fish > ~/.config/fish/completions/task-engine.fish",
    ),
)
@click.argument("shell", type=click.Choice(("bash", "zsh", "fish")))
def completion(shell: str) -> None:
    """Print what a shell needs to complete this command: commands, options, executions, workflows."""
    from click.shell_completion import get_completion_class

    from taskengine.cli.main import cli

    kind = get_completion_class(shell)
    assert kind is not None, "click knows the three"
    for program in (PROGRAM, "te"):
        variable = f"_{program.replace('-', '_').upper()}_COMPLETE"
        made = kind(cli, {}, program, variable)
        # The text alone: making it through `source` would start a shell to ask for its version.
        click.echo(made.source_template % made.source_vars())
