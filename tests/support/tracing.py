"""What tests of spans share."""

from __future__ import annotations

from opentelemetry.context import Context
from opentelemetry.sdk.trace import ReadableSpan, Span, SpanProcessor, TracerProvider


class _Counting(SpanProcessor):
    def __init__(self) -> None:
        self.started: list[str] = []
        self.ended: list[str] = []

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        """Note it."""
        self.started.append(span.name)

    def on_end(self, span: ReadableSpan) -> None:
        """Note it."""
        self.ended.append(span.name)


def count_spans(provider: TracerProvider) -> tuple[list[str], list[str]]:
    """The names of the spans that have started, and of those that have ended, from now on."""
    counting = _Counting()
    provider.add_span_processor(counting)
    return counting.started, counting.ended
