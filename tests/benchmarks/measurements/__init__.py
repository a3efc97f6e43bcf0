"""One module per measurement: who takes part, and which figures follow from the samples."""

from harness.figures import Measurement

from measurements import barrier, idle, interrupt, latency, parallel, report, throughput

MEASUREMENTS: dict[str, Measurement] = {
    "throughput": throughput.MEASUREMENT,
    "latency": latency.MEASUREMENT,
    "idle": idle.MEASUREMENT,
    "interrupt": interrupt.MEASUREMENT,
    "barrier": barrier.MEASUREMENT,
    "report": report.MEASUREMENT,
    "parallel": parallel.MEASUREMENT,
}
