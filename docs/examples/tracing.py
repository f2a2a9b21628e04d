import trio
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from triojob import Client, JobGroup
from triojob.opentelemetry import OpenTelemetry

URL = "http://127.0.0.1:7860"

# In your program: `trace.set_tracer_provider`, and an exporter for your traces.
exporter = InMemorySpanExporter()
provider = TracerProvider()
provider.add_span_processor(SimpleSpanProcessor(exporter))
tracer = provider.get_tracer("example")
telemetry = OpenTelemetry(tracer_provider=provider)


async def shout(text: str) -> str:
    with tracer.start_as_current_span("upper"):  # a child of its job's span
        return text.upper()


async def main() -> None:
    async with Client(URL) as client:
        with tracer.start_as_current_span("fan-out"):
            async with JobGroup(limit=2, instruments=[telemetry]) as group:
                jobs = [group.submit(client.endpoint("/greet"), name) for name in ("Ada", "Grace")]
                group.submit(client.endpoint("/tokens"), 3, 0.1)
                for job in jobs:
                    group.submit(shout, await job.result())


trio.run(main)

spans = sorted(exporter.get_finished_spans(), key=lambda span: span.start_time or 0)


def show(parent: int | None, indent: str = "") -> None:
    for span in spans:
        if (span.parent and span.parent.span_id) == parent:
            events = [event.name for event in span.events if event.name == "output"]
            print(f"{indent}{span.name} {span.kind.name} {events.count('output')}")
            show(span.context.span_id, indent + "  ")


show(None)

# prints:
# > fan-out INTERNAL 0
# >   /greet CLIENT 1
# >   /greet CLIENT 1
# >   /tokens CLIENT 3
# >   shout INTERNAL 1
# >     upper INTERNAL 0
# >   shout INTERNAL 1
# >     upper INTERNAL 0
