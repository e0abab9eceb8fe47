"""Running a command to its end: by itself, by a signal, by a reader of its output that goes, by an error."""

from __future__ import annotations

import logging
import os
import signal
from collections.abc import Awaitable, Callable
from typing import TypeAlias

import anyio
import typer

from ._output import Output, complain, reader_gone
from ._signals import SIGNALS
from ._status import Status, after_error, after_signal, culprit

Command: TypeAlias = Callable[[Output], Awaitable[int | None]]
"""What a command does; it returns its status, None for 0."""


def run(command: Command, *, as_json: bool, endless: bool = False) -> None:
    """
    Run a command and end the program with its status.

    On a signal, and when the reader of stdout has gone, the command is cancelled, which leaves its groups in order.

    Args:
        command: What to do.
        as_json: Whether records are wanted on a terminal as well.
        endless: Whether it runs until it is told to end, so that this is no failure.

    Raises:
        typer.Exit: Always, with the status.
    """
    # What the library logs is told by its errors, once.
    logging.getLogger("aiocpg").addHandler(logging.NullHandler())
    try:
        status = anyio.run(_supervised, command, as_json, endless)
    except BaseException as error:
        told = after_error(culprit(error), endless=endless)
        if told is None:
            raise
        status, text = told
        if text:
            complain(text)
    raise typer.Exit(status)


async def _supervised(command: Command, as_json: bool, endless: bool) -> int:
    ending = Ending()
    heard = [signum for signum in SIGNALS if signal.getsignal(signum) != signal.SIG_IGN]
    status: int | None = None
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(ending.on_signals, heard)
        tasks.start_soon(ending.on_broken_pipe)
        with ending.scope:
            status = await command(Output(as_json))
        tasks.cancel_scope.cancel()
    if ending.signum is not None and status is None:
        return after_signal(ending.signum, endless=endless)
    return Status.DONE if status is None else status


class Ending:
    """
    What ends a command from outside.

    Attributes:
        scope: What the command runs in.
        signum: Which signal came; SIGPIPE when the reader of stdout has gone; None while neither.
    """

    def __init__(self) -> None:
        self.scope = anyio.CancelScope()
        self.signum: int | None = None

    async def on_signals(self, signums: list[signal.Signals]) -> None:
        """End the command at the first signal, and the program at the second, in whatever state it is."""
        with anyio.open_signal_receiver(*signums) as signals:
            async for signum in signals:
                if self.signum is not None:
                    os._exit(128 + signum)
                self._end(signum)

    async def on_broken_pipe(self) -> None:
        """End the command when nobody reads its output any more."""
        await reader_gone()
        self._end(signal.SIGPIPE)

    def _end(self, signum: int) -> None:
        self.signum = signum
        self.scope.cancel()
