"""What the server counts, for Prometheus."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

BATCHES = (1, 2, 4, 8, 16, 32, 64)


class Metrics:
    """One registry a server."""

    def __init__(self) -> None:
        own = self._registry = CollectorRegistry()
        self.requests = Counter("remodal_requests", "HTTP requests", ["route", "status"], registry=own)
        self.seconds = Histogram("remodal_request_seconds", "Time to answer a request", ["route"], registry=own)
        self.answered = Counter("remodal_media_answered", "Media answered, by modality", ["modality"], registry=own)
        self.refused = Counter("remodal_media_refused", "Media that could not be decoded", registry=own)
        self.batch = Histogram("remodal_batch_media", "Media answered together", buckets=BATCHES, registry=own)
        self.version = Gauge("remodal_model_version", "Version of the model that answers", registry=own)

    def written(self) -> bytes:
        """In Prometheus's text format."""
        return generate_latest(self._registry)
