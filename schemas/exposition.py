"""Metrics over HTTP, as Prometheus asks for them. Knows no meaning of any; who measures gives a collector."""

from collections.abc import Iterable
from wsgiref.simple_server import WSGIServer

from prometheus_client import CollectorRegistry, ProcessCollector, start_http_server
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.core import Metric as Family
from prometheus_client.registry import Collector

from schemas.errors import UsageError
from schemas.metrics import Metric

Samples = Iterable[tuple[tuple[str, ...], float]]


class Exposed:
    """A server with a thread of its own, until it is closed; `url` is what Prometheus is told."""

    def __init__(self, collector: Collector, *, host: str, port: int) -> None:
        registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        registry.register(collector)
        try:
            self._server: WSGIServer = start_http_server(port, addr=host, registry=registry)[0]
        except (OSError, OverflowError) as error:
            raise UsageError(
                f"metrics cannot be served at {host}, port {port}: {error}",
                way_out="another --metrics-port or --metrics-host; each process needs a port of its own",
            ) from error
        self.url = f"http://{host}:{self._server.server_port}/metrics"

    def close(self) -> None:
        """Answer nobody any more."""
        self._server.shutdown()
        self._server.server_close()


def family(metric: Metric, samples: Samples) -> Family:
    """A metric with its samples: the values of its labels, and the number."""
    kind = CounterMetricFamily if metric.kind == "counter" else GaugeMetricFamily
    made = kind(metric.name, metric.meaning, labels=metric.labels)
    for labels, value in samples:
        made.add_metric(labels, value)
    return made


def single(metric: Metric, value: float) -> Family:
    """A metric of one number, without labels."""
    return family(metric, [((), value)])
