"""A name that a package gives to a function is that function in the reference, not its module.

`prunelimits.pruners.prune` is a module, `pruners/prune.py`, until the package imports the function
of that name from it; then it is the function. Reading sources, griffe sees the module.
"""

from __future__ import annotations

from griffe import Alias, Extension, Module, Object


class FunctionsFirst(Extension):
    """Puts what a package imports from a submodule in that one's place, where names are equal."""

    def on_package(self, *, pkg: Module, **_: object) -> None:
        """Goes through all packages, once everything is read."""
        # All are found before any is replaced: a path leads through the modules.
        found = [found for package in _packages(pkg) for found in _hidden(package)]
        for package, name, target in found:
            package.set_member(name, Alias(name, target, parent=package))


def _packages(module: Module) -> list[Module]:
    inner = [m for m in module.modules.values() if not m.is_alias and m.is_init_module]
    return [module, *(package for m in inner for package in _packages(m))]


def _hidden(package: Module) -> list[tuple[Module, str, Object]]:
    """The package, a name and the object that the package means by it, for every hidden one."""
    return [
        (package, name, package[name][name])
        for name, path in package.imports.items()
        if name in package.modules and path == f"{package[name].path}.{name}"
    ]
