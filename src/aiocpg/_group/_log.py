"""What a group writes to the log, with the group, our address and the view as fields of each record."""

from __future__ import annotations

import logging

from aiocpg._events import View
from aiocpg._state.history import History

log = logging.getLogger("aiocpg")


class GroupLog:
    """
    Writes records whose fields ``aiocpg_group``, ``aiocpg_member`` (text) and ``aiocpg_view`` (a number, 0 before the
    first) tell where the group stood.

    Args:
        history: Of the group.
    """

    def __init__(self, history: History) -> None:
        self._history = history

    def __call__(
        self, level: int, text: str, *arguments: object, view: View | None = None, with_error: bool = False
    ) -> None:
        """
        Write one record, of the line that calls.

        Args:
            level: As for :mod:`logging`, and so are the next two.
            text: What to say.
            arguments: What goes into it.
            view: In which view; the newest unless told. Several may come at once.
            with_error: With the error that is being handled.
        """
        if log.isEnabledFor(level):
            fields = self._fields(view or self._history.view)
            log.log(level, text, *arguments, extra=fields, exc_info=with_error, stacklevel=2)

    def _fields(self, view: View | None) -> dict[str, object]:
        return {
            "aiocpg_group": self._history.group.decode(errors="backslashreplace"),
            "aiocpg_member": str(self._history.me),
            "aiocpg_view": 0 if view is None else view.number,
        }
