"""Python's cyclic garbage collector in a worker process: hardly anything here is in a cycle, and jobs hold many objects.

With its usual thresholds it takes a third of the time of `relate`: it walks through all rows on their way again and again.
"""

import gc

THRESHOLDS = 20_000, 20, 20  # instead of 700, 10, 10


def collect_rarely() -> None:
    """Look for cycles seldom, and never among what exists now, which stays. For the start of a process."""
    gc.freeze()
    gc.set_threshold(*THRESHOLDS)
