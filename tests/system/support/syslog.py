# SPDX-License-Identifier: BSD-2-Clause
"""A real rsyslogd on /dev/log (the namespace's own), writing a file that tests read."""

import json
import signal
import socket
import subprocess
import syslog
from dataclasses import dataclass
from pathlib import Path

from support.eventually import eventually
from support.processes import Process

CONFIGURATION = r"""
global(workDirectory="/run/syslog" parser.escapeControlCharactersOnReceive="off")
module(load="imuxsock" SysSock.Name="/dev/log" SysSock.RateLimit.Interval="0")
template(name="line" type="list") {
    constant(value="{") property(name="syslogfacility-text" outname="facility" format="jsonf")
    constant(value=",") property(name="syslogseverity-text" outname="severity" format="jsonf")
    constant(value=",") property(name="syslogtag" outname="tag" format="jsonf")
    constant(value=",") property(name="msg" outname="text" format="jsonf")
    constant(value="}\n")
}
template(name="text" type="string" string="%msg%\n")
*.* action(type="omfile" file="/run/syslog/lines" template="line")
:msg, contains, "system call" action(type="omfile" file="/run/syslog/refused_calls" template="text")
"""


@dataclass(frozen=True)
class Line:
    """One message, byte for byte (a control character in it was sent so)."""

    facility: str
    severity: str
    ident: str
    pid: int
    text: str


class Syslog:
    def __init__(self):
        self.directory = Path("/run/syslog")
        self.directory.mkdir(exist_ok=True)
        self.file = self.directory / "lines"
        (self.directory / "conf").write_text(CONFIGURATION)
        self.daemon = None

    def start(self):
        """Returns when a message has gone all the way."""
        self.daemon = subprocess.Popen(["rsyslogd", "-n", "-iNONE", "-f", self.directory / "conf"],
                                       stdin=subprocess.DEVNULL)
        eventually(lambda: Path("/dev/log").exists(), "rsyslogd opens /dev/log", 10)
        syslog.openlog("tests", 0, syslog.LOG_USER)
        eventually(self._echoes, "rsyslogd writes what it receives", 10)
        return self

    def stop(self):
        self.resume()
        self.daemon.terminate()
        self.daemon.wait(10)
        Path("/dev/log").unlink(missing_ok=True)

    def refused_calls(self):
        """All lines of the session about a system call that was refused, which clear() does not touch."""
        file = self.directory / "refused_calls"
        return file.read_text(errors="backslashreplace").splitlines() if file.exists() else []

    def pause(self):
        """A syslogd that no longer reads: its socket fills, and a careless sender blocks for ever."""
        self.daemon.send_signal(signal.SIGSTOP)
        eventually(lambda: Process(self.daemon.pid).state == "T", "rsyslogd stands still")
        return self

    def fill(self):
        """Until a syslog(3) of anybody would wait for ever; for one that stands still."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as sender:
            sender.connect("/dev/log")
            try:
                while True:
                    sender.send(b"<14>full")
            except BlockingIOError:
                return self

    def resume(self):
        self.daemon.send_signal(signal.SIGCONT)

    def clear(self):
        self.file.write_bytes(b"")

    def lines(self, ident=None):
        """All messages since clear(); of one program, if `ident` is given."""
        if not self.file.exists():
            return []
        parsed = (_parse(line) for line in self.file.read_bytes().split(b"\n")[:-1])
        return [line for line in parsed if ident in (None, line.ident)]

    def texts(self, ident="saslauthd"):
        return [line.text for line in self.lines(ident)]

    def wait_for(self, part, ident="saslauthd", seconds=15.0):
        """The first line whose text contains `part`."""
        return eventually(lambda: next((line for line in self.lines(ident) if part in line.text), None),
                          f"{ident} logs {part!r}", seconds)

    def _echoes(self):
        syslog.syslog("here")
        return any(line.text == "here" for line in self.lines("tests"))


def _parse(line):
    fields = json.loads(line.decode(errors="backslashreplace"), strict=False)
    ident, _, pid = fields["tag"].rstrip(":").partition("[")
    return Line(fields["facility"], fields["severity"], ident, int(pid.rstrip("]") or 0), fields["text"].removeprefix(" "))
