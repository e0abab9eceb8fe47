"""Spans that are kept where tests find them, and makers of spans that fail."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_ON, Sampler, SamplingResult


@pytest.fixture
def spans() -> InMemorySpanExporter:
    """The spans that have ended."""
    return InMemorySpanExporter()


@pytest.fixture
def tracing(spans: InMemorySpanExporter) -> Iterator[TracerProvider]:
    """Makes them."""
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(spans))
    yield provider
    provider.shutdown()


class Failing(Sampler):
    """Has no answer for the first span."""

    def __init__(self) -> None:
        self._numbers = itertools.count()

    def should_sample(self, *arguments: Any, **named: Any) -> SamplingResult:
        """Fail once."""
        if next(self._numbers) == 0:
            raise ZeroDivisionError
        return ALWAYS_ON.should_sample(*arguments, **named)

    def get_description(self) -> str:
        """Say what it is."""
        return "fails once"


@pytest.fixture
def faulty_tracing(spans: InMemorySpanExporter) -> Iterator[TracerProvider]:
    """Cannot make the first span."""
    provider = TracerProvider(sampler=Failing(), shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(spans))
    yield provider
    provider.shutdown()
