# SPDX-License-Identifier: BSD-2-Clause
"""Where a scenario plays: the servers that it is measured with, which end with it, and the load that is put on them."""

import contextlib
import io
import json
import resource
import socket as sockets
import subprocess
import tempfile
import time
from pathlib import Path

from support import daemon
from support.dovecot import free_port
from support.eventually import eventually
from support.places import BUILD, POSTERN
from support.sasldb import ALICE

FLOOR, DELAY = BUILD / "tests/bench/bench_floor", BUILD / "tests/bench/bench_delay"
WORKERS = 5  # saslauthd's default
WORST_LATENCY = 60  # seconds, for an answer to a login
SETTLED = 2.5  # seconds: a file that has changed since is opened again for each login, lest it change once more


class WrongAnswer(Exception):
    """A login was not answered as its password says, or not at all."""


class Stage(contextlib.ExitStack):
    """`seconds` are those of one measurement."""

    def __init__(self, seconds):
        super().__init__()
        self.seconds = seconds
        self.daemons = daemon.Daemons()
        self.callback(self._stop_daemons)
        _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))

    def _stop_daemons(self):
        with contextlib.redirect_stdout(io.StringIO()):  # what each wrote, for a test that failed
            self.daemons.close()

    # servers

    def posternd(self, *flags, **kind):
        """Detached, as an init script starts it."""
        return self.daemons.start(daemon.posternd(*flags, mode="", workers=WORKERS, **kind))

    def saslauthd(self, *flags, **kind):
        return self.daemons.start(daemon.saslauthd(*flags, workers=WORKERS, **kind))

    def postern_conf(self, text):
        return self.daemons.start(daemon.postern_conf(text, mode=""))

    def floor(self):
        socket = Path(tempfile.mkdtemp(prefix="floor-", dir="/run")) / "mux"
        self.process(FLOOR, socket)
        eventually(socket.exists, "the floor listens")
        return socket

    def far(self, port):
        """A port, behind which the server on that port is 20 ms away: 10 ms in each direction."""
        near = free_port()
        self.process(DELAY, str(near), str(port), "10")
        eventually(lambda: listens(near), "the delay listens")
        return near

    def process(self, *command):
        """A program that serves until it is killed."""
        started = subprocess.Popen(command, stdin=subprocess.DEVNULL)
        self.callback(started.wait)
        self.callback(started.kill)
        return started

    # load

    def load(self, socket, clients, *more, account=ALICE, is_wrong=False):
        """What `postern bench --json` says. Raises WrongAnswer unless each login ended as it must."""
        flags = ["-f", socket, "-c", clients, "-t", WORST_LATENCY, "--json", *(["--wrong", 100] if is_wrong else []),
                 *(more or ["--seconds", self.seconds])]
        command = [str(word) for word in (POSTERN, "bench", account.user, *flags)]
        done = subprocess.run(command, input=account.password + "\n", capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise WrongAnswer(f"{' '.join(command)}\nended with {done.returncode}:\n{done.stdout}{done.stderr}")
        return json.loads(done.stdout)

    def rate(self, socket, clients, *more, **kind):
        return self.load(socket, clients, *more, **kind)["logins_per_second"]

    def latency(self, socket, clients, quantile, *more, **kind):
        """In milliseconds; `quantile` is "p50", "p90", "p99" or "max"."""
        return self.load(socket, clients, *more, **kind)["milliseconds"][quantile]


def settle(database):
    """One that is in use was last changed long ago."""
    eventually(lambda: time.time() - database.stat().st_ctime > SETTLED, f"{database} is old enough")


def listens(port):
    """Asks the kernel and not the server, which would take it for a client."""
    sockets = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return any(words[1].endswith(f":{port:04X}") and words[3] == "0A" for words in sockets)


@contextlib.contextmanager
def without_log(server):
    """A server that prints its log when it ends, for a test that failed."""
    server.__enter__()
    try:
        yield server
    finally:
        with contextlib.redirect_stdout(io.StringIO()):
            server.__exit__(None, None, None)


class Crowd:
    """Connections on which nothing is said, or no more than what `words` returns for each by its number."""

    def __init__(self, path, size, words=lambda number: b""):
        self.connections = []
        for number in range(size):
            connection = sockets.socket(sockets.AF_UNIX)
            connection.connect(str(path))
            connection.sendall(words(number))
            self.connections.append(connection)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for connection in self.connections:
            connection.close()

    def expect_all_connected(self):
        """Else the figure would be one of an empty house."""
        for connection in self.connections:
            connection.setblocking(False)
            try:
                while connection.recv(65536):
                    pass
            except BlockingIOError:
                continue
            raise WrongAnswer("a silent client was sent away while it was measured")
