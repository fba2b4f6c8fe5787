"A contract for import-linter: inside a storey, a notebook imports only notebooks of a lower number."
from __future__ import annotations

import re
from pathlib import Path

from grimp import ImportGraph
from importlinter import Contract, ContractCheck, output


def numbered_modules(notebooks: Path) -> dict[str, list[str]]:
    "Modules by storey, such as `data`, in the order of their notebooks' numbers; `cli` counts as a part of `app`."
    storeys: dict[str, list[str]] = {}
    for folder in sorted(path for path in notebooks.iterdir() if re.match(r"\d\d_", path.name)):
        exports = [re.search(r"default_exp ([\w.]+)", path.read_text()) for path in sorted(folder.rglob("*.ipynb"))]
        storeys[folder.name[3:]] = [f"mlops_nb.{match[1]}" for match in exports if match]
    return storeys


class NumberedContract(Contract):
    "Reads the order from the notebooks' names, so that no list has to be kept beside them."

    def check(self, graph: ImportGraph, verbose: bool) -> ContractCheck:
        wrong = []
        for modules in numbered_modules(Path("nbs")).values():
            for place, module in enumerate(modules):
                later = (other for other in modules[place:] if other != module)
                imports = [other for other in later if graph.direct_import_exists(importer=module, imported=other)]
                wrong += [(module, other) for other in imports]
        return ContractCheck(kept=not wrong, metadata={"wrong": wrong})

    def render_broken_contract(self, check: ContractCheck) -> None:
        for module, other in check.metadata["wrong"]:
            output.print_error(f"{module} imports {other}, whose notebook has no lower number")
