"""The words of the conventions, by the package that OpenTelemetry makes of them."""

from __future__ import annotations

from opentelemetry.semconv import schemas
from opentelemetry.semconv._incubating.attributes import messaging_attributes
from opentelemetry.semconv._incubating.metrics import messaging_metrics
from opentelemetry.semconv.attributes.error_attributes import ERROR_TYPE

from aiocpg.otel import _metrics, _names


def test_attributes_are_those_of_the_conventions() -> None:
    """Under these very names."""
    ours = {value for name, value in vars(_names).items() if name.isupper() and str(value).startswith("messaging.")}
    assert len(ours) == 6
    assert ours <= {value for name, value in vars(messaging_attributes).items() if name.isupper()}
    assert _names.ERROR_TYPE == ERROR_TYPE


def test_metrics_are_those_of_the_conventions() -> None:
    """Where they have a name for what we count."""
    ours = {name for name, _ in _metrics._STANDARD.values()}
    assert ours <= {value for name, value in vars(messaging_metrics).items() if name.isupper()}


def test_schema_is_one_that_was_published() -> None:
    """Readers that know newer names look there what has become of these."""
    assert _names.SCHEMA in {schema.value for schema in schemas.Schemas}
