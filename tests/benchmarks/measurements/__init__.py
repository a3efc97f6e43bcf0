"""One module per measurement: who takes part, and which figures follow from the samples."""

from harness.figures import Measurement

from measurements import barge_in, barrier, idle, interrupt, latency, parallel, report, throughput

MEASUREMENTS: dict[str, Measurement] = {
    "throughput": throughput.MEASUREMENT,
    "latency": latency.MEASUREMENT,
    "idle": idle.MEASUREMENT,
    "interrupt": interrupt.MEASUREMENT,
    "barrier": barrier.MEASUREMENT,
    "barge-in": barge_in.MEASUREMENT,
    "report": report.MEASUREMENT,
    "parallel": parallel.MEASUREMENT,
}
