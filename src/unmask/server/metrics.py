"""What the server counts, for Prometheus.

Nothing in it tells of a file or a client.
"""

from __future__ import annotations

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest


class Metrics:
    """One server's counters."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self._ended = Counter(
            "unmask_scans",
            "Finished scans, by outcome",
            ["outcome"],
            registry=self._registry,
        )
        self._seconds = Histogram(
            "unmask_scan_seconds",
            "Time a worker spent on a scan, without queueing",
            buckets=(0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60, 120),
            registry=self._registry,
        )
        self.refused = Counter(
            "unmask_refused", "Requests refused, by kind", ["kind"], registry=self._registry
        )
        self.uploaded = Counter(
            "unmask_uploaded_bytes", "Bytes of accepted uploads", registry=self._registry
        )
        self.faults = Counter(
            "unmask_faults",
            "Requests that failed by a fault of the server",
            registry=self._registry,
        )

    def ended(self, outcome: str, seconds: float) -> None:
        """Count a scan that has ended."""
        self._ended.labels(outcome).inc()
        self._seconds.observe(seconds)

    def gauge(self, name: str, what: str, value: Callable[[], float]) -> None:
        """Register a value that is read when metrics are fetched."""
        Gauge(name, what, registry=self._registry).set_function(value)

    def text(self) -> bytes:
        """In Prometheus' text format."""
        return generate_latest(self._registry)
