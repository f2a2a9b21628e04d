import trio
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader

from triojob import Client, gather
from triojob.opentelemetry import OpenTelemetry

# In your program: a reader that exports to your backend.
reader = InMemoryMetricReader()
telemetry = OpenTelemetry(meter_provider=MeterProvider([reader]))


async def main() -> None:
    async with Client("http://127.0.0.1:7860", instruments=[telemetry]) as client:
        with telemetry.observe(client):
            await gather(*(client.submit(name, api_name="/greet") for name in ("Ada", "Grace")))
            show("triojob.client.calls")


def show(name: str) -> None:
    data = reader.get_metrics_data()
    for resource in data.resource_metrics if data else ():
        for scope in resource.scope_metrics:
            for metric in scope.metrics:
                if metric.name == name:
                    for point in metric.data.data_points:
                        print(name, dict(point.attributes or {}), getattr(point, "value", None))


trio.run(main)

# prints:
# > triojob.client.calls {...'rpc.method': '/greet'...} 2
