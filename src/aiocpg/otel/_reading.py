"""Reading with a span around what is done with each message."""

from __future__ import annotations

from contextvars import Token
from types import TracebackType

from opentelemetry import context
from opentelemetry.trace import Span, SpanKind, Status, StatusCode, TracerProvider, get_tracer, set_span_in_context
from opentelemetry.util.types import AttributeValue

from aiocpg.evs import Delivery, Evs, EvsEvent
from aiocpg.otel import _names
from aiocpg.otel._context import links


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

    To be used as a block: who leaves it ends the span of the last message, which has the error that has left the block,
    if one has. One task reads. Cancelling a read loses nothing, and the handle stays open.
    """

    def __init__(self, handle: Evs, tracer_provider: TracerProvider | None) -> None:
        self._handle = handle
        self._events = handle.events()
        self._tracer = get_tracer(_names.SCOPE, tracer_provider=tracer_provider)
        self._open: tuple[Span, Token[context.Context]] | None = None

    def __aiter__(self) -> Traced:
        return self

    async def __anext__(self) -> EvsEvent:
        self._end_span(None)
        event = await anext(self._events)
        if isinstance(event, Delivery):
            self._begin_span(event)
        return event

    async def __aenter__(self) -> Traced:
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
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
        self._open = span, context.attach(set_span_in_context(span))

    def _end_span(self, error: BaseException | None) -> None:
        if self._open is None:
            return
        (span, token), self._open = self._open, None
        if error is not None:
            span.record_exception(error)
            span.set_status(Status(StatusCode.ERROR, f"{type(error).__name__}: {error}"))
        context.detach(token)
        span.end()
