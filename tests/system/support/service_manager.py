# SPDX-License-Identifier: BSD-2-Clause
"""A service manager as systemd is one to a daemon: passes descriptors on, hears what it says, keeps what it stores."""

import json
import os
import signal
import socket
import sys

from support.eventually import eventually

# Between fork and exec: the descriptors get their numbers, from 3 on, and LISTEN_PID is that of the daemon.
LAUNCH = """
import fcntl, json, os, sys
descriptors, environment = json.loads(sys.argv[1])
high = [fcntl.fcntl(descriptor, fcntl.F_DUPFD, 4000) for descriptor in descriptors]
os.closerange(3, 4000)
for number, descriptor in enumerate(high, 3):
    os.dup2(descriptor, number)
os.closerange(4000, 8000)
for name, value in environment.items():
    os.environ[name] = value.replace("PID", str(os.getpid()))
os.execv(sys.argv[2], sys.argv[2:])
"""


class ServiceManager:
    """Keeps one service. `units` are the descriptors that socket units have, `store` is what the service has stored, each
    as (name, descriptor). `environment` adds to what the daemon finds, or changes it; "PID" in a value is the daemon's.
    """

    def __init__(self, notify_socket):
        self.notify_socket = str(notify_socket)
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.setblocking(False)
        self.socket.bind(self.notify_socket.replace("@", "\0"))
        self.units = []
        self.store = []
        self.environment = {}
        self.heard = []
        self.daemon = None
        self._command = None

    def close(self):
        if self.daemon is not None and self.daemon.is_running:
            self.stop()
        self.drop_store()
        for descriptor in {descriptor for _, descriptor in self.units}:
            os.close(descriptor)
        self.socket.close()

    # the daemon

    def start(self, daemon):
        """Returns when somebody serves its first socket. It can be started again after its end."""
        if daemon is not self.daemon:
            self.daemon, self._command = daemon, daemon.command
        passed = [*self.units, *self.store]
        names = [name for name, _ in passed]
        descriptors = [descriptor for _, descriptor in passed]
        environment = {"NOTIFY_SOCKET": self.notify_socket}
        if passed:
            environment |= {"LISTEN_PID": "PID", "LISTEN_FDS": str(len(passed)), "LISTEN_FDNAMES": ":".join(names)}
        program = json.dumps([descriptors, environment | self.environment])
        daemon.command = [sys.executable, "-I", "-S", "-c", LAUNCH, program, *self._command]
        daemon.passed = descriptors
        return daemon.start()

    def stop(self):
        """A clean stop, which leaves the names of what is stored."""
        family = self.daemon.processes()
        os.kill(self.daemon.pid, signal.SIGTERM)
        status = self.daemon.wait()
        assert status == 0, f"{self.daemon} ended with {status}:\n{self.daemon.output}"
        for process in family:
            process.wait_gone()
        self.hear()

    def restart(self):
        self.stop()
        return self.start(self.daemon)

    def drop_store(self):
        """What systemd does when a service has stopped and is not to start again."""
        self.hear()
        for _, descriptor in self.store:
            os.close(descriptor)
        self.store = []

    # what it says

    def hear(self):
        """All messages so far, each as a dict of its lines."""
        while True:
            try:
                data, ancillary, _, _ = self.socket.recvmsg(65536, 4096)
            except BlockingIOError:
                return self.heard
            message = dict(line.split("=", 1) for line in data.decode().splitlines())
            descriptors = [int.from_bytes(piece[i:i + 4], sys.byteorder)
                           for _, _, piece in ancillary for i in range(0, len(piece), 4)]
            self._keep(message, descriptors)
            self.heard.append(message)

    def _keep(self, message, descriptors):
        if "FDSTORE" in message:
            for descriptor in descriptors:
                self._store(message["FDNAME"], descriptor)
        if "FDSTOREREMOVE" in message:
            gone = [stored for stored in self.store if stored[0] == message["FDNAME"]]
            self.store = [stored for stored in self.store if stored not in gone]
            for _, descriptor in gone:
                os.close(descriptor)

    def _store(self, name, descriptor):
        """What is there already is not stored again, under whichever name (sd_notify(3))."""
        if any(os.path.sameopenfile(descriptor, stored) for _, stored in self.store):
            os.close(descriptor)
        else:
            self.store.append((name, descriptor))

    def states(self):
        """What it said of its state, in the order in which it said so."""
        return [name for message in self.hear() for name in ("READY", "RELOADING", "STOPPING") if name in message]

    def status(self):
        return [message["STATUS"] for message in self.hear() if "STATUS" in message][-1]

    def fed(self):
        return sum("WATCHDOG" in message for message in self.hear())

    def wait_for_states(self, *states):
        """A start says READY when logins have been served for a moment, and everything is stored."""
        eventually(lambda: self.states() == list(states), f"{states} is said, and no more than {self.states()}")

    def stored_names(self):
        self.hear()
        return [name for name, _ in self.store]


def listening_socket(path, mode=0o666):
    """As a unit makes it: the descriptor."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listening:
        listening.bind(str(path))
        os.chmod(path, mode)
        listening.listen(4096)
        return listening.detach()
