"""Two import contracts that import-linter does not have, about packages from outside.

It owns the checks and their reports. import-linter calls them while `make lint` runs; pyproject.toml says which room may use what.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, ClassVar, cast

from importlinter import Contract, ContractCheck, fields, output

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from grimp import ImportGraph


class ThirdPartyContract(Contract):
    """The listed rooms use the allowed packages, the standard library, and nothing else from outside."""

    type_name: ClassVar[str] = "third_party"

    modules = fields.ListField(subfield=fields.StringField())
    allowed = fields.ListField(subfield=fields.StringField())

    def check(self, graph: ImportGraph, verbose: bool) -> ContractCheck:  # noqa: FBT001 -- import-linter fixes the signature
        """Compare every import of the listed rooms with what they may use."""
        allowed = {*cast("list[str]", self.allowed), *sys.stdlib_module_names}
        inside = set(within(graph, cast("list[str]", self.modules)))
        foreign = {package for package in graph.modules if graph.is_module_squashed(package)} - allowed
        return judged(graph, importers=inside, imported=foreign)

    def render_broken_contract(self, check: ContractCheck) -> None:
        """One line for each import that should not be there."""
        render(check)


class ReservedContract(Contract):
    """The listed packages are known to the listed rooms alone; nobody need use them."""

    type_name: ClassVar[str] = "reserved"

    packages = fields.ListField(subfield=fields.StringField())
    rooms = fields.ListField(subfield=fields.StringField())

    def check(self, graph: ImportGraph, verbose: bool) -> ContractCheck:  # noqa: FBT001 -- import-linter fixes the signature
        """Look for the packages everywhere but in the rooms they are reserved for."""
        outside = graph.modules - set(within(graph, cast("list[str]", self.rooms)))
        return judged(graph, importers=outside, imported=set(cast("list[str]", self.packages)) & graph.modules)

    def render_broken_contract(self, check: ContractCheck) -> None:
        """One line for each import that should not be there."""
        render(check)


def within(graph: ImportGraph, rooms: Iterable[str]) -> Iterator[str]:
    """The modules of the rooms, each room's own included; a room that does not exist yet has none."""
    for room in rooms:
        if room in graph.modules:
            yield room
            yield from graph.find_descendants(room)


def judged(graph: ImportGraph, *, importers: set[str], imported: set[str]) -> ContractCheck:
    """Kept when none of ``importers`` imports any of ``imported`` directly."""
    findings = [
        f"{importer} imports {package} (line {lines(graph, importer=importer, imported=package)})"
        for package in sorted(imported)
        for importer in sorted(graph.find_modules_that_directly_import(package) & importers)
    ]
    return ContractCheck(kept=not findings, metadata={"findings": findings})


def lines(graph: ImportGraph, *, importer: str, imported: str) -> str:
    """Where ``importer`` asks for ``imported``: line numbers, comma-separated."""
    details = graph.get_import_details(importer=importer, imported=imported)
    return ", ".join(str(number) for number in sorted({detail["line_number"] for detail in details}))


def render(check: ContractCheck) -> None:
    """Print what ``judged`` found."""
    for finding in check.metadata["findings"]:
        output.print_error(finding)
