"""Waiting for what other processes bring about; for tests of clients and for the chaos runner."""

import time


def until(condition, seconds=20.0, what="it"):
    """Returns what the condition found."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if value := condition():
            return value
        time.sleep(0.02)
    raise AssertionError(f"{what} did not happen within {seconds:g} s")
