"""Secrets from the environment and from files, as containers and service supervisors give them.

``TASK_ENGINE_SECRET_API_TOKEN`` holds ``secrets.api_token``; ``TASK_ENGINE_SECRET_API_TOKEN_FILE`` names a file that does; and a
directory (``TASK_ENGINE_SECRETS``, by default ``/run/secrets``) may hold a file ``api_token``. The first that is there counts. One
line end at the end of a file is not part of the value.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

__all__ = ["EnvironmentSecrets", "without_secrets"]

_PREFIX: Final = "TASK_ENGINE_SECRET_"
_DIRECTORY: Final = "TASK_ENGINE_SECRETS"
_DEFAULT_DIRECTORY: Final = "/run/secrets"
_MAX_BYTES: Final = 65_536


def without_secrets(variables: Mapping[str, str]) -> dict[str, str]:
    """The variables but for those that hold secrets or say where they are: what a process of the user's code may inherit."""
    return {name: value for name, value in variables.items() if not name.startswith((_PREFIX, _DIRECTORY))}


class EnvironmentSecrets:
    """``variables``: the environment to look into; what else is read are small local files."""

    def __init__(self, variables: Mapping[str, str]) -> None:
        self._variables = variables

    def get(self, name: str) -> str | None:
        """The value; an unreadable or huge file is none."""
        variable = _PREFIX + name.upper()
        value = self._variables.get(variable)
        if value is not None:
            return value
        file = self._variables.get(f"{variable}_FILE")
        return _read(Path(file) if file else Path(self._variables.get(_DIRECTORY, _DEFAULT_DIRECTORY)) / name)

    def where(self, name: str) -> str:
        """What to set."""
        variable = _PREFIX + name.upper()
        directory = self._variables.get(_DIRECTORY, _DEFAULT_DIRECTORY)
        return f"set {variable} or {variable}_FILE, or write the file {directory}/{name}"


def _read(path: Path) -> str | None:
    try:
        with path.open("rb") as file:
            content = file.read(_MAX_BYTES + 1)
        return None if len(content) > _MAX_BYTES else content.decode().removesuffix("\n").removesuffix("\r")
    except (OSError, UnicodeDecodeError):
        return None
