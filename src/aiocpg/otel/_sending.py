"""Sending with a span, of which the message tells its readers."""

from __future__ import annotations

from collections.abc import Iterable

from opentelemetry.trace import INVALID_SPAN, Span, SpanKind, TracerProvider, set_span_in_context
from opentelemetry.util.types import AttributeValue

from aiocpg import Buffer, Guarantee
from aiocpg.evs import Evs, EvsGroup, GroupLike, Ticket
from aiocpg.otel import _names
from aiocpg.otel._context import encode
from aiocpg.otel._spans import doing_no_harm, end, tracer


async def mcast_groups(
    handle: Evs,
    groups: Iterable[GroupLike],
    *buffers: Buffer,
    guarantee: Guarantee = Guarantee.AGREED,
    tracer_provider: TracerProvider | None = None,
) -> Ticket:
    """
    Send one message to these groups in a span ``send GROUPS``, and its context with the message.

    As :meth:`aiocpg.evs.Evs.mcast_groups` but for the span. It lasts until the endpoint has taken the message, and has
    the error where that fails; being cancelled is none. A span that cannot be made, by a fault of its maker, is told of
    by the log, and the message goes without. For what is joined: ``mcast_groups(handle, handle.groups, ...)``.

    Args:
        handle: Sends.
        groups: As there, and so are the buffers and the guarantee.
        buffers: The payload.
        guarantee: UNORDERED, FIFO, AGREED or SAFE.
        tracer_provider: Makes the span; None: the process's.

    Raises:
        CPGError: As there, and ``TypeError``.

    Example::

        ticket = await aiocpg.otel.mcast_groups(handle, ["orders"], b"one of each")
    """
    wanted = [groups] if isinstance(groups, (str, bytes, EvsGroup)) else list(groups)
    to = _names.destination(group if isinstance(group, EvsGroup) else EvsGroup(group) for group in wanted)
    attributes: dict[str, AttributeValue] = {
        _names.SYSTEM: _names.SCOPE,
        _names.OPERATION_NAME: "send",
        _names.OPERATION_TYPE: "send",
        _names.DESTINATION: to,
        _names.CLIENT: str(handle.me),
        _names.BODY_SIZE: sum(memoryview(buffer).nbytes for buffer in buffers),
        _names.DOMAIN: handle.domain.decode(errors="backslashreplace"),
        _names.GUARANTEE: guarantee.name if isinstance(guarantee, Guarantee) else str(guarantee),
    }
    span: Span = INVALID_SPAN
    with doing_no_harm():
        span = tracer(tracer_provider).start_span(f"send {to}".rstrip(), kind=SpanKind.PRODUCER, attributes=attributes)
    given = groups if isinstance(groups, (str, bytes, EvsGroup)) else wanted
    try:
        # Nothing that is done here makes spans of its own, so this one need not be the current one.
        ticket = await handle.mcast_traced(encode(set_span_in_context(span)), given, *buffers, guarantee=guarantee)
    except BaseException as error:
        end(span, error)
        raise
    end(span, None)
    return ticket
