# SPDX-License-Identifier: BSD-2-Clause
"""System calls that the front's filter refused: one is a defect, unless a test asked for it."""

REFUSED = "its filter refused the system call"

_expected = []


def expect_refused_call(call):
    _expected.append(f"{REFUSED} {call}")


def unexpected(lines):
    """Those of `lines` that tell of a refused call which no test asked for."""
    return [line for line in lines if REFUSED in line and not any(line.endswith(known) for known in _expected)]
