"""What a group writes to the log, with the group, our address and the view as fields of each record."""

from __future__ import annotations

import logging

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

    def __call__(self, level: int, text: str, *arguments: object, with_error: bool = False) -> None:
        """Write one record, of the line that calls; with the error that is being handled, if that is asked for."""
        if log.isEnabledFor(level):
            log.log(level, text, *arguments, extra=self._fields(), exc_info=with_error, stacklevel=2)

    def _fields(self) -> dict[str, object]:
        history = self._history
        return {
            "aiocpg_group": history.group.decode(errors="backslashreplace"),
            "aiocpg_member": str(history.me),
            "aiocpg_view": 0 if history.view is None else history.view.number,
        }
