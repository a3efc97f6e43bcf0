"""No library: one thread per stage over `queue.Queue`, fed by another thread."""

from harness.chain import through
from harness.line import emit_per_item, options

if __name__ == "__main__":
    emit_per_item(None, lambda items: through(range(items), options()["bound"]))
