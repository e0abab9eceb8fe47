"""Observable instruments over the snapshots of connections."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from opentelemetry.metrics import CallbackOptions, MeterProvider, Observation, get_meter

from aiocpg import Connection, GroupStatistics, Histogram, __version__
from aiocpg._exported import COUNTERS, GAUGES, HISTOGRAMS, STATES, Series, Watched, cumulated, shown
from aiocpg.otel import _names

_STANDARD = {
    "sent": ("messaging.client.sent.messages", "mcast"),
    "delivered": ("messaging.client.consumed.messages", "receive"),
}
"""Field -> what the conventions for messaging call it, and the name of the operation that they ask for."""

_Read = Callable[[GroupStatistics], Iterable[Observation]]


class Metrics(Watched):
    """
    The numbers of connections, as instruments of OpenTelemetry.

    Between two collections it does nothing; a collection reads snapshots (:meth:`aiocpg.Connection.statistics`), in
    whatever thread it comes. All have the attributes ``messaging.system`` (``aiocpg``), ``messaging.destination.name``,
    the group, in which bytes that are no UTF-8 are written ``\\xff``, and ``aiocpg.node``, the member's node id.
    The API has no instrument for a histogram that is there already: of each there are counters, ``.sum``, ``.count``
    and ``.bucket``, the last with the bound as attribute ``le``, cumulated. Make one in a process, and give it all
    connections: instruments cannot be taken back.

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
            observed = self._observed(_number(series))
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
        text = "1 for the state that a group is in"
        meter.create_observable_up_down_counter("aiocpg.group.status", [self._observed(_states)], "1", text)
        text = "Times that connections have come back"
        meter.create_observable_counter("aiocpg.reconnects", [self._reconnects], "{reconnect}", text)

    def _observed(self, read: _Read) -> Callable[[CallbackOptions], Iterator[Observation]]:
        def callback(_: CallbackOptions) -> Iterator[Observation]:
            for group in self._snapshot()[0]:
                yield from read(group)

        return callback

    def _reconnects(self, _: CallbackOptions) -> Iterator[Observation]:
        yield Observation(self._snapshot()[1], {_names.SYSTEM: _names.SCOPE})


def _attributes(group: GroupStatistics, **more: str) -> dict[str, str | int]:
    return {
        _names.SYSTEM: _names.SCOPE,
        _names.DESTINATION: shown(group.group),
        _names.NODE: group.member.nodeid,
        **more,
    }


def _number(series: Series, operation: str = "") -> _Read:
    more = {_names.OPERATION_NAME: operation} if operation else {}
    return lambda group: (Observation(series.of(group), _attributes(group, **more)),)


def _states(group: GroupStatistics) -> Iterator[Observation]:
    for state in STATES:
        yield Observation(int(group.state == state), _attributes(group, **{_names.STATE: state}))


def _histogram(series: Series, group: GroupStatistics) -> Histogram:
    found: Histogram = getattr(group, series.field)
    return found


def _sum(series: Series) -> _Read:
    return lambda group: (Observation(_histogram(series, group).total, _attributes(group)),)


def _count(series: Series) -> _Read:
    return lambda group: (Observation(_histogram(series, group).count, _attributes(group)),)


def _buckets(series: Series) -> _Read:
    def read(group: GroupStatistics) -> Iterator[Observation]:
        histogram = _histogram(series, group)
        bounds = [*(str(float(bound)) for bound in histogram.bounds), "+Inf"]
        for bound, count in zip(bounds, cumulated(histogram.counts), strict=True):
            yield Observation(count, _attributes(group, le=bound))

    return read
