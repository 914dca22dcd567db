"""Traces across the API, the carrier and the workers (OpenTelemetry).

A job remembers the trace of whoever asked for it as a W3C ``traceparent``, so one trace shows a submission
from the request to the decision, whatever process did each part. Spans go to ``OTEL_EXPORTER_OTLP_ENDPOINT``
where it is set; else nothing is recorded.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

from opentelemetry import propagate, trace
from opentelemetry.trace import SpanKind

ENDPOINT = "OTEL_EXPORTER_OTLP_ENDPOINT"
_tracer = trace.get_tracer("firstplay")


class NoExporter(RuntimeError):
    """Traces are asked for, but what sends them is not installed."""


def set_up(service: str) -> None:
    """Send spans of this process to the endpoint, if one is set. Raises NoExporter."""
    if not os.environ.get(ENDPOINT):
        return
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ModuleNotFoundError:
        raise NoExporter(f"{ENDPOINT} is set: pip install 'firstplay[distributed]', or unset it") from None
    provider = TracerProvider(resource=Resource.create({"service.name": service}))
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    trace.set_tracer_provider(provider)


def shut_down() -> None:
    """Send what was not sent yet; before a process ends that runs no exit handlers."""
    end = getattr(trace.get_tracer_provider(), "shutdown", None)
    if end is not None:
        end()


def current() -> str | None:
    """The ``traceparent`` of the span that is open here; None where none is recorded."""
    carrier: dict[str, str] = {}
    propagate.inject(carrier)
    return carrier.get("traceparent")


@contextmanager
def span(name: str, parent: str | None = None, **attributes: str | float) -> Iterator[None]:
    """A span around the block; ``parent`` is a ``traceparent`` from elsewhere."""
    context = propagate.extract({"traceparent": parent}) if parent else None
    kind = SpanKind.CONSUMER if parent else SpanKind.INTERNAL
    with _tracer.start_as_current_span(name, context=context, kind=kind, attributes=attributes):
        yield
