"""What prometheus_client asks at each scrape."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import prometheus_client.registry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric

from aiocpg import Histogram
from aiocpg._exported import BYTES, COUNTERS, GAUGES, HISTOGRAMS, SECONDS, STATES, Exported, Series, Watched, cumulated

_LABELS = ("group", "node")
_SUFFIXES = {BYTES: "_bytes", SECONDS: "_seconds"}


class Collector(Watched, prometheus_client.registry.Collector):
    """
    The numbers of connections, for a registry of prometheus_client.

    Between two scrapes it does nothing; a scrape reads one snapshot (:meth:`aiocpg.Connection.statistics`) of each
    connection, in whatever thread it comes. Series have the labels ``group``, in which bytes that are no UTF-8 are
    written ``\\xff`` and a backslash as two, and ``node``, the member's node id. Memberships with the same labels, one
    after the other or in several connections, are added up, so that counters only grow. A group that has ended keeps
    them, and its state; gauges are of what is open. Register one collector in a registry, and give it all connections.

    Args:
        connections: More may be added later.

    Example::

        from prometheus_client import REGISTRY

        REGISTRY.register(Collector(cpg))
    """

    def collect(self) -> Iterator[Metric]:
        """What a registry calls at a scrape."""
        groups, reconnects = self._snapshot()
        is_open = [group for group in groups if group.is_open]
        for series in COUNTERS:
            yield _filled(CounterMetricFamily(_name(series), series.text, labels=_LABELS), series, groups)
        for series in GAUGES:
            yield _filled(GaugeMetricFamily(_name(series), series.text, labels=_LABELS), series, is_open)
        for series in HISTOGRAMS:
            yield _histogram(series, groups)
        yield _states(groups)
        yield CounterMetricFamily("aiocpg_reconnects", "Times that connections have come back", value=reconnects)

    def describe(self) -> Iterable[Metric]:
        """What a registry asks when this is registered: the same, without values."""
        for metric in self.collect():
            metric.samples.clear()
            yield metric


def _filled(metric: CounterMetricFamily | GaugeMetricFamily, series: Series, groups: Sequence[Exported]) -> Metric:
    for group in groups:
        metric.add_metric(_labels(group), series.of(group.counted))
    return metric


def _histogram(series: Series, groups: Sequence[Exported]) -> Metric:
    metric = HistogramMetricFamily(_name(series), series.text, labels=_LABELS)
    for group in groups:
        histogram: Histogram = getattr(group.counted, series.field)
        bounds = [*(str(float(bound)) for bound in histogram.bounds), "+Inf"]
        buckets = list(zip(bounds, cumulated(histogram.counts), strict=True))
        metric.add_metric(_labels(group), buckets, histogram.total)
    return metric


def _states(groups: Sequence[Exported]) -> Metric:
    text = "Memberships in this state: 1 for that of the group, where there is one"
    metric = GaugeMetricFamily("aiocpg_group_state", text, labels=(*_LABELS, "state"))
    for group in groups:
        for state in STATES if group.states else ():
            metric.add_metric([*_labels(group), state], group.states.count(state))
    return metric


def _name(series: Series) -> str:
    return "aiocpg_" + series.name.replace(".", "_").removesuffix("_size") + _SUFFIXES.get(series.unit, "")


def _labels(group: Exported) -> list[str]:
    return [group.group, str(group.node)]
