"""Packages and modules whose public names load what has them when they are first used."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any


def lazy_names(place: str, modules: Mapping[str, str], package: str | None = None) -> Callable[[str], Any]:
    """Return the ``__getattr__`` of a package or a module: a DAG file loads nothing that it does not need.

    :param place: its name.
    :param modules: its public names, separated by blanks, by the module that has them.
    :param package: where these modules are; None: below ``place``.
    """
    homes = {name: f"{package or place}.{module}" for module, names in modules.items() for name in names.split()}

    def load(name: str) -> Any:
        if name not in homes:
            raise AttributeError(f"module {place!r} has no attribute {name!r}")
        value = getattr(import_module(homes[name]), name)
        setattr(sys.modules[place], name, value)
        return value

    return load
