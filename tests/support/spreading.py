"""Spreads the files of tests over processes, so that a test which ends its process fails alone."""

from __future__ import annotations

from typing import Any

from xdist.scheduler import LoadFileScheduling


class Spreading(LoadFileScheduling):
    """pytest-xdist's ``--dist=loadfile``, which goes on when a process dies.

    xdist's own gives all files of the dead process to the others: those that have passed, of which
    they never hear again, and the test that it died of, which ends the next process too.
    """

    def remove_node(self, node: Any) -> str | None:
        """Take back what that process has not run; return the test that it died of."""
        died_of = None
        units = self.assigned_work[node]
        for file, unit in [*units.items()]:
            left = {test: False for test, completed in unit.items() if not completed}
            if died_of is None and left:
                died_of = next(iter(left))
                del left[died_of]
            if left:
                units[file] = left
            else:
                del units[file]
        super().remove_node(node)
        return died_of

    def _reschedule(self, node: Any) -> None:
        # A process that takes a dead one's place has to collect the tests first.
        if node in self.registered_collections:
            super()._reschedule(node)
