"""One module per measurement: who takes part, and which figures follow from the samples."""

from harness.figures import Measurement

from measurements import (
    barge_in,
    barrier,
    cpu,
    dask,
    http,
    idle,
    interrupt,
    kinds,
    latency,
    options,
    order,
    parallel,
    put,
    report,
    throughput,
)

MEASUREMENTS: dict[str, Measurement] = {
    "throughput": throughput.MEASUREMENT,
    "options": options.MEASUREMENT,
    "put": put.MEASUREMENT,
    "latency": latency.MEASUREMENT,
    "idle": idle.MEASUREMENT,
    "interrupt": interrupt.MEASUREMENT,
    "barrier": barrier.MEASUREMENT,
    "barge-in": barge_in.MEASUREMENT,
    "report": report.MEASUREMENT,
    "parallel": parallel.MEASUREMENT,
    "cpu": cpu.MEASUREMENT,
    "kinds": kinds.MEASUREMENT,
    "order": order.MEASUREMENT,
    "http": http.MEASUREMENT,
    "dask": dask.MEASUREMENT,
}
