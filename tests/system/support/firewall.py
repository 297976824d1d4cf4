# SPDX-License-Identifier: BSD-2-Clause
"""A network that swallows packets: nobody is told that they do not arrive. In the tests' own network namespace.

    with packets_lost_to(389):      # also those of connections that were made before
        …

Packets are dropped where they come in: the sender's system would tell it of those dropped on their way out.
"""

import re
import subprocess
from contextlib import contextmanager

TABLE = "inet lost_packets"


class Loss:
    @property
    def packets(self):
        """How many were lost so far."""
        shown = _nft(f"list table {TABLE}")
        return int(re.search(r"counter packets (\d+)", shown)[1])


@contextmanager
def packets_lost_to(port):
    _nft(f"add table {TABLE}; add chain {TABLE} incoming {{ type filter hook input priority 0; }}; "
         f"add rule {TABLE} incoming tcp dport {port} counter drop")
    try:
        yield Loss()
    finally:
        _nft(f"delete table {TABLE}")


def _nft(commands):
    done = subprocess.run(["nft", commands], capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 0, f"nft {commands}: {done.stderr}"
    return done.stdout
