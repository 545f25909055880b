"""An import contract that import-linter does not have: a room may use the named third-party packages and no others.

It owns the check and its report. import-linter calls it while `make lint` runs; pyproject.toml says which room may use what.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, ClassVar, cast

from importlinter import Contract, ContractCheck, fields, output

if TYPE_CHECKING:
    from grimp import ImportGraph


class ThirdPartyContract(Contract):
    """Broken by every direct import, from a listed module or below it, of a package neither allowed nor of the standard library."""

    type_name: ClassVar[str] = "third_party"

    modules = fields.ListField(subfield=fields.StringField())
    allowed = fields.ListField(subfield=fields.StringField())

    def check(self, graph: ImportGraph, verbose: bool) -> ContractCheck:  # noqa: FBT001 -- import-linter fixes the signature
        """Compare the imports of each listed room with what it may use."""
        rooms = cast("list[str]", self.modules)
        known = {*cast("list[str]", self.allowed), *sys.stdlib_module_names, *roots(graph)}
        findings = [
            f"{importer} imports {imported} (line {lines(graph, importer=importer, imported=imported)})"
            for room in rooms
            for importer in sorted({room, *graph.find_descendants(room)} & graph.modules)
            for imported in sorted(graph.find_modules_directly_imported_by(importer))
            if imported.partition(".")[0] not in known
        ]
        return ContractCheck(kept=not findings, metadata={"findings": findings})

    def render_broken_contract(self, check: ContractCheck) -> None:
        """One line for each import that should not be there."""
        for finding in check.metadata["findings"]:
            output.print_error(finding)


def lines(graph: ImportGraph, *, importer: str, imported: str) -> str:
    """Where ``importer`` asks for ``imported``: line numbers, comma-separated."""
    details = graph.get_import_details(importer=importer, imported=imported)
    return ", ".join(str(number) for number in sorted({detail["line_number"] for detail in details}))


def roots(graph: ImportGraph) -> set[str]:
    """The packages whose sources were read, that is, our own."""
    return {module.partition(".")[0] for module in graph.modules if not graph.is_module_squashed(module)}
