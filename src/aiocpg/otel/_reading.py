"""Reading with a span around what is done with each message."""

from __future__ import annotations

from types import TracebackType

from opentelemetry.trace import SpanKind, TracerProvider
from opentelemetry.util.types import AttributeValue

from aiocpg import UsageError
from aiocpg.evs import Delivery, Evs, EvsEvent
from aiocpg.otel import _names
from aiocpg.otel._context import links
from aiocpg.otel._spans import Processed, doing_no_harm, leave_what_is_over, tracer


def traced(handle: Evs, *, tracer_provider: TracerProvider | None = None) -> Traced:
    """
    Read a handle with a span for each message: what ``async for`` does with it, up to asking for the next event.

    Each span ``process GROUPS`` is linked to the sender's (:func:`aiocpg.otel.mcast_groups`, in whatever process) where
    the message tells of one, and is no child of it: many members process one message. It is the current span
    meanwhile. Other events come as they are, without a span.

    Args:
        handle: Is read; nobody else may read it at the same time.
        tracer_provider: Makes the spans; None: the process's.

    Example::

        async with aiocpg.otel.traced(handle) as events:
            async for event in events:
                ...
    """
    return Traced(handle, tracer_provider)


class Traced:
    """
    The events of a handle, from :func:`traced`.

    It is read inside of its block, and nowhere else: who leaves that ends the span of the last message, which has the
    error that has left the block, if one has; being cancelled is none. One task reads. Cancelling a read loses nothing,
    and the handle stays open. Where a span cannot be made, by a fault of its maker, the log says so, and the message
    comes without.

    An asynchronous generator with this block in it is to be closed by who leaves it early (``contextlib.aclosing``), as
    with every block: until it is, the last message's span goes on.
    """

    def __init__(self, handle: Evs, tracer_provider: TracerProvider | None) -> None:
        self._handle = handle
        self._events = handle.events()
        self._tracer = tracer(tracer_provider)
        self._is_entered = False
        self._processed: Processed | None = None

    def __aiter__(self) -> Traced:
        return self

    async def __anext__(self) -> EvsEvent:
        """
        The next event, as :class:`aiocpg.Stream` hands it out; the span of the message before ends.

        Raises:
            UsageError: This is not inside of the block.
            CPGError: As there, and ``StopAsyncIteration``.
        """
        if not self._is_entered:
            raise UsageError(
                "what traced() gives is read in its block: async with aiocpg.otel.traced(handle) as events"
            )
        self._end_span(None)
        event = await anext(self._events)
        if isinstance(event, Delivery):
            with doing_no_harm():
                self._begin_span(event)
        return event

    async def __aenter__(self) -> Traced:
        self._is_entered = True
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._is_entered = False
        self._end_span(exc)

    def _begin_span(self, message: Delivery) -> None:
        to = _names.destination(message.groups)
        attributes: dict[str, AttributeValue] = {
            _names.SYSTEM: _names.SCOPE,
            _names.OPERATION_NAME: "process",
            _names.OPERATION_TYPE: "process",
            _names.DESTINATION: to,
            _names.CLIENT: str(self._handle.me),
            _names.BODY_SIZE: len(message.data),
            _names.DOMAIN: self._handle.domain.decode(errors="backslashreplace"),
            _names.GUARANTEE: message.guarantee.name,
            _names.SENDER: str(message.sender),
            _names.POSITION: message.position,
        }
        span = self._tracer.start_span(
            f"process {to}", kind=SpanKind.CONSUMER, links=links(message.trace), attributes=attributes
        )
        self._processed = Processed(span)

    def _end_span(self, error: BaseException | None) -> None:
        ended, self._processed = self._processed, None
        if ended is not None:
            ended.end(error)
        leave_what_is_over()
