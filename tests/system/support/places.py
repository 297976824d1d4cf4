# SPDX-License-Identifier: BSD-2-Clause
"""Where things are: the source tree, the build under test, Debian's programs, the namespace's own names."""

import os
from pathlib import Path

SOURCE = Path(__file__).resolve().parents[3]
BUILD = Path(os.environ.get("POSTERN_BUILD", SOURCE / "build/system")).resolve()

POSTERND = BUILD / "sbin/posternd"
POSTERN = BUILD / "bin/postern"
DIFFERENCES = SOURCE / "docs/differences.md"

SASLAUTHD = Path("/usr/sbin/saslauthd")
TESTSASLAUTHD = Path("/usr/sbin/testsaslauthd")
SASLDB = Path("/etc/sasldb2")  # an overlay's: see tests/system/namespace

HOST_NAME = os.uname().nodename  # sasldb's realm of a request that names none
