"""
The one place that knows event loops: descriptors, timers, tasks and calls from other threads, on asyncio, uvloop, trio.

Callbacks given to it must not raise: each goes with a ``crashed`` function that gets what it raised all the same.
Everything above uses anyio's words.
"""

from ._current import current_port
from ._end import LoopEnd
from ._port import Callback, Crashed, LoopPort, Signal, Task, Timer, Watch, call_guarded

__all__ = [
    "Callback",
    "Crashed",
    "LoopEnd",
    "LoopPort",
    "Signal",
    "Task",
    "Timer",
    "Watch",
    "call_guarded",
    "current_port",
]
