"""
The span of a message, as the current one while the message is processed, and what becomes of spans of what failed.

OpenTelemetry's own way back, a token, works only in the context that it was made in. A message may be read in another
task than the one that leaves the block: a generator that is thrown away is closed in a task of the loop's, and
``asyncio.wait_for`` reads in one of its own in Python 3.11. So a context itself says whose it is and what was before.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from opentelemetry.context import attach, create_key, get_current, set_value
from opentelemetry.trace import Span, Status, StatusCode, Tracer, TracerProvider, get_tracer, set_span_in_context

from aiocpg import __version__
from aiocpg.otel import _names

log = logging.getLogger("aiocpg")

_KEY = create_key("aiocpg.processed")


class Processed:
    """
    A message that is being processed, whose span is the current one from now on.

    Args:
        span: Of what is done with it.

    Attributes:
        is_over: Whether that has ended.
        before: What the context was.
    """

    def __init__(self, span: Span) -> None:
        self._span = span
        self.is_over = False
        self.before = get_current()
        attach(set_value(_KEY, self, set_span_in_context(span, self.before)))

    def end(self, error: BaseException | None) -> None:
        """It was done with, or left by this error. Repeating does nothing."""
        if not self.is_over:
            self.is_over = True
            end(self._span, error)


def leave_what_is_over() -> None:
    """Let no span be the current one whose message was done with, in whatever task that was."""
    now = here = get_current()
    while isinstance(processed := now.get(_KEY), Processed) and processed.is_over:
        now = processed.before
    if now is not here:
        attach(now)


def end(span: Span, error: BaseException | None) -> None:
    """
    What it is about is over, or was left by this error.

    Being cancelled is none, nor is the end of a generator or of the process: OpenTelemetry itself takes them so.
    """
    with doing_no_harm():
        if isinstance(error, Exception):
            kind = type(error)
            span.set_attribute(_names.ERROR_TYPE, f"{kind.__module__}.{kind.__qualname__}".removeprefix("builtins."))
            span.record_exception(error)
            span.set_status(Status(StatusCode.ERROR, f"{kind.__name__}: {error}"))
    with doing_no_harm():
        span.end()


@contextmanager
def doing_no_harm() -> Iterator[None]:
    """What the makers and exporters of spans raise is logged: the messages matter more."""
    try:
        yield
    except Exception:
        log.exception("! a span could not be made, or not be ended")


def tracer(provider: TracerProvider | None) -> Tracer:
    """Ours, of this provider or the process's."""
    return get_tracer(_names.SCOPE, __version__, provider, _names.SCHEMA)
