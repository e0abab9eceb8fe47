"""Observable instruments over the snapshots of connections."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from opentelemetry.metrics import CallbackOptions, MeterProvider, Observation, get_meter

from aiocpg import Connection, Histogram, __version__
from aiocpg._exported import COUNTERS, GAUGES, HISTOGRAMS, STATES, Exported, Series, Watched, cumulated
from aiocpg.otel import _names

_STANDARD = {
    "sent": ("messaging.client.sent.messages", "mcast"),
    "delivered": ("messaging.client.consumed.messages", "receive"),
}
"""Field -> what the conventions for messaging call it, and the name of the operation that they ask for."""

_Read = Callable[[Exported], Iterable[Observation]]


class Metrics(Watched):
    """
    The numbers of connections, as instruments of OpenTelemetry.

    Between two collections it does nothing; a collection reads snapshots (:meth:`aiocpg.Connection.statistics`), in
    whatever thread it comes. All have the attributes ``messaging.system`` (``aiocpg``), ``messaging.destination.name``,
    the group, in which bytes that are no UTF-8 are written ``\\xff`` and a backslash as two, and ``aiocpg.node``, the
    member's node id. Memberships with the same attributes, one after the other or in several connections, are added up,
    so that counters only grow; a group that has ended keeps them, and its state. The API has no instrument for a
    histogram that is there already: of each there are counters, ``.sum``, ``.count`` and ``.bucket``, the last with the
    bound as attribute ``le``, cumulated. Make one in a process, and give it all connections: instruments cannot be
    taken back.

    Args:
        connections: More may be added later.
        meter_provider: Makes the instruments; None: the process's.

    Example::

        metrics = Metrics(cpg)
    """

    def __init__(self, *connections: Connection, meter_provider: MeterProvider | None = None) -> None:
        super().__init__(*connections)
        meter = get_meter(_names.SCOPE, __version__, meter_provider, _names.SCHEMA)
        for series in COUNTERS:
            name, operation = _STANDARD.get(series.field, (f"aiocpg.{series.name}", ""))
            observed = self._observed(_number(series, operation))
            meter.create_observable_counter(name, [observed], series.unit, series.text)
        for series in GAUGES:
            observed = self._observed(_gauge(series))
            meter.create_observable_up_down_counter(f"aiocpg.{series.name}", [observed], series.unit, series.text)
        for series in HISTOGRAMS:
            name = f"aiocpg.{series.name}"
            for part, read, unit in (
                ("sum", _sum, series.unit),
                ("count", _count, "{value}"),
                ("bucket", _buckets, "{value}"),
            ):
                observed = self._observed(read(series))
                meter.create_observable_counter(f"{name}.{part}", [observed], unit, f"{series.text}: {part}")
        text = "Memberships in this state: 1 for that of the group, where there is one"
        observed = self._observed(_states)
        meter.create_observable_up_down_counter("aiocpg.group.status", [observed], "{membership}", text)
        text = "Times that connections have come back"
        meter.create_observable_counter("aiocpg.reconnects", [self._reconnects], "{reconnect}", text)

    def _observed(self, read: _Read) -> Callable[[CallbackOptions], Iterator[Observation]]:
        def callback(_: CallbackOptions) -> Iterator[Observation]:
            for group in self._snapshot()[0]:
                yield from read(group)

        return callback

    def _reconnects(self, _: CallbackOptions) -> Iterator[Observation]:
        yield Observation(self._snapshot()[1], {_names.SYSTEM: _names.SCOPE})


def _attributes(group: Exported, **more: str) -> dict[str, str | int]:
    return {
        _names.SYSTEM: _names.SCOPE,
        _names.DESTINATION: group.group,
        _names.NODE: group.node,
        **more,
    }


def _number(series: Series, operation: str = "") -> _Read:
    more = {_names.OPERATION_NAME: operation} if operation else {}
    return lambda group: (Observation(series.of(group.counted), _attributes(group, **more)),)


def _gauge(series: Series) -> _Read:
    read = _number(series)
    return lambda group: read(group) if group.is_open else ()


def _states(group: Exported) -> Iterator[Observation]:
    for state in STATES if group.states else ():
        yield Observation(group.states.count(state), _attributes(group, **{_names.STATE: state}))


def _histogram(series: Series, group: Exported) -> Histogram:
    found: Histogram = getattr(group.counted, series.field)
    return found


def _sum(series: Series) -> _Read:
    return lambda group: (Observation(_histogram(series, group).total, _attributes(group)),)


def _count(series: Series) -> _Read:
    return lambda group: (Observation(_histogram(series, group).count, _attributes(group)),)


def _buckets(series: Series) -> _Read:
    def read(group: Exported) -> Iterator[Observation]:
        histogram = _histogram(series, group)
        bounds = [*(str(float(bound)) for bound in histogram.bounds), "+Inf"]
        for bound, count in zip(bounds, cumulated(histogram.counts), strict=True):
            yield Observation(count, _attributes(group, le=bound))

    return read
