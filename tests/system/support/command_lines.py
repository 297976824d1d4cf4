# SPDX-License-Identifier: BSD-2-Clause
"""Command lines that both programs are started with, and what came of them."""

import re
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from support.daemon import Daemon

DIRECTORY = "DIR"  # in a command line: a new run directory


@dataclass(frozen=True)
class Ending:
    """How a start ended: its exit status, what it said first, and whether a daemon serves now."""

    status: int
    message: str
    serves: bool

    def __str__(self):
        return f"exit {self.status}" + (", serves" if self.serves else "")


def start(program, command_line):
    """Starts `program` as an init script would, and stops the daemon that it may have left."""
    directory = Path(tempfile.mkdtemp(prefix="f-", dir="/run"))
    words = [word.replace(DIRECTORY, str(directory)) for word in command_line]
    done = subprocess.run([program, *words], stdin=subprocess.DEVNULL, capture_output=True, timeout=20)
    pid_files = list(directory.rglob("saslauthd.pid"))
    for pid_file in pid_files:
        left = Daemon(program, [], "", pid_file.parent)
        left.pid = int(pid_file.read_text())
        left.wait_ready()
        left.stop()
    return Ending(done.returncode, _first_words(done.stderr.decode(errors="replace")), serves=bool(pid_files))


def _first_words(text):
    """The messages before the usage, without the program's name and process id."""
    said = []
    for line in text.splitlines():
        if line.startswith("usage:"):
            break
        said.append(re.sub(r"^\w+(\[\d+\] )?: ?", "", line))
    return "\n".join(said)
