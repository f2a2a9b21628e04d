"""Puts a mutant into a process that has the module and its users imported already.

The mutated module is executed aside, and what differs goes into the live module: code and
defaults of functions, and plain constants.  So classes stay the ones that everybody has, and
decorators do their work: Trio knows by the code object what Ctrl-C must not strike.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from types import FunctionType, ModuleType
from typing import Any


class NotPlantedError(Exception):
    """The mutant differs in nothing that can be put into the live module."""


def plant(module: ModuleType, source: str) -> None:
    """Make the live ``module`` what ``source`` says.

    Raises:
        NotPlantedError: There is no difference to be found.
        Exception: The mutant can't even be executed.
    """
    assert module.__file__ is not None
    aside = ModuleType(module.__name__)
    aside.__dict__.update(
        __file__=module.__file__, __package__=module.__package__, __spec__=module.__spec__
    )
    exec(compile(source, module.__file__, "exec", dont_inherit=True), aside.__dict__)
    changes = sum(_replace(*pair) for pair in _pairs(module, aside, module.__name__))
    for name, new in vars(aside).items():
        live = getattr(module, name)
        if isinstance(live, (int, float)) and live != new:
            setattr(module, name, new)
            changes += 1
    if not changes:
        raise NotPlantedError


def _pairs(old: Any, new: Any, module: str) -> Iterator[tuple[Any, str, Any, Any]]:
    """Yield the functions of both: owner, name, the live one and the new one."""
    for name, there in vars(new).items():
        here = vars(old).get(name)
        if inspect.isclass(there):
            if there.__module__ == module:
                yield from _pairs(here, there, module)
            continue
        for part in ("", "__func__", "__wrapped__", "fget", "fset"):
            live = getattr(here, part, None) if part else here
            other = getattr(there, part, None) if part else there
            if isinstance(live, FunctionType) and isinstance(other, FunctionType):
                yield old, name, live, other


def _replace(owner: Any, name: str, live: FunctionType, new: FunctionType) -> bool:
    if live.__module__ != new.__module__:
        return False  # imported from elsewhere
    changed = False
    if live.__code__ != new.__code__:
        if live.__code__.co_freevars == new.__code__.co_freevars:
            live.__code__ = new.__code__
        else:
            # A method that says `super()` no more.
            function = FunctionType(new.__code__, live.__globals__, live.__name__)
            function.__defaults__, function.__kwdefaults__ = new.__defaults__, new.__kwdefaults__
            setattr(owner, name, function)
        changed = True
    for kind in ("__defaults__", "__kwdefaults__"):
        if repr(getattr(live, kind)) != repr(getattr(new, kind)):
            setattr(live, kind, getattr(new, kind))
            changed = True
    return changed
