"""Which executors an engine has: one for each type of step that does work, made when the first step of its type is looked at."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from taskengine.ports.executor import Executor

__all__ = ["Executors"]


class Executors(Mapping[str, Executor]):
    """By step type. What nobody uses is never imported."""

    def __init__(self, makers: Mapping[str, Callable[[], Executor]]) -> None:
        self._makers = dict(makers)
        self._made: dict[str, Executor] = {}

    def __getitem__(self, name: str) -> Executor:
        made = self._made.get(name)
        if made is None:
            made = self._made[name] = self._makers[name]()
        return made

    def __iter__(self) -> Iterator[str]:
        return iter(self._makers)

    def __len__(self) -> int:
        return len(self._makers)

    def __contains__(self, name: object) -> bool:
        return name in self._makers

    @property
    def made(self) -> tuple[Executor, ...]:
        """Those in use."""
        return tuple(self._made.values())
