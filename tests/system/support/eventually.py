# SPDX-License-Identifier: BSD-2-Clause
"""Waiting for a condition. Nothing in the suite sleeps for a fixed time to let something happen."""

import time


def eventually(condition, what, seconds=15.0):
    """The first true value of `condition()`; fails after `seconds`, saying `what` did not happen."""
    end = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(f"not within {seconds} s: {what}")
        time.sleep(0.005)
