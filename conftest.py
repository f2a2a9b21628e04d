"""Makes the tests importable, wherever pytest is started.

They import each other by name, but the wheel that is tested does not contain them, and the checkout
must stay out of `sys.path`: it has another triojob.
"""

from __future__ import annotations

import sys
from importlib.machinery import ModuleSpec
from importlib.util import module_from_spec
from pathlib import Path

for name in ("benchmarks", "qa", "tests"):
    spec = ModuleSpec(name, None, is_package=True)
    spec.submodule_search_locations = [str(Path(__file__).parent / name)]
    sys.modules.setdefault(name, module_from_spec(spec))

pytest_plugins = ["tests.support.plugin"]
