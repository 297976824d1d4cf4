# SPDX-License-Identifier: BSD-2-Clause
"""Starting and stopping a saslauthd: posternd, or Debian's. The same interface for both."""

import grp
import os
import re
import select
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path

from support import refused_calls, wire
from support.eventually import eventually
from support.places import POSTERND, SASLAUTHD, SASLDB
from support.processes import Process, all_processes


def new_run_directory():
    """As Debian's init script makes it: root:sasl 0710. Short, because a socket's path ends at 107 bytes."""
    directory = Path(tempfile.mkdtemp(prefix="d-", dir="/run"))
    os.chown(directory, 0, grp.getgrnam("sasl").gr_gid)
    directory.chmod(0o710)
    return directory


class Daemon:
    """A running saslauthd in a run directory of its own.

    `mode` is "-d" or "-f" (stays in front) or "" (detaches). stop() is a clean stop, and checks that it was one if
    it is ours; kill() is the other kind. What it writes to stderr is in `output`.

    With the text of a postern.conf as `config` it is started with that file, and `sockets` has its listeners by
    their names; `socket` is the first of them.
    """

    def __init__(self, program, arguments, mode, directory, descriptors_max=None, config=None):
        self.has_own_directory = directory is None
        self.directory = directory = directory or new_run_directory()
        self.mode = mode
        self.is_debians = program == SASLAUTHD
        limits = [] if descriptors_max is None else ["prlimit", f"--nofile={descriptors_max}:{descriptors_max}"]
        self.config_file = directory / "postern.conf"
        place = ["-m", directory] if config is None else ["--config", self.config_file]
        self.command = [*limits, *(str(word) for word in (program, *arguments, *place, *([mode] if mode else [])))]
        self.sockets = {"mux": directory / "mux"} if config is None else self.write_config(config)
        self.socket = next(iter(self.sockets.values()))
        self.pid_file = directory / ("saslauthd.pid" if config is None else "posternd.pid")
        self.output_file = directory.with_name(directory.name + ".stderr")
        self.pid = None
        self.passed = ()  # descriptors that it inherits
        self._files_before = set()

    def __repr__(self):
        return f"<{' '.join(self.command)}>"

    def write_config(self, text):
        """Writes the file that it is started with, and returns the sockets by their names.

        DIR stands for its directory, which is its run directory too unless the text says another.
        """
        if "[daemon]" not in text:
            text = "[daemon]\n" + text
        if "run_directory" not in text:
            text = text.replace("[daemon]", "[daemon]\nrun_directory = DIR", 1)
        text = text.replace("DIR", str(self.directory))
        self.config_file.touch(0o600)
        self.config_file.write_bytes(text.encode("utf-8", "surrogateescape"))
        self.sockets = {name: Path(path) for name, path in
                        re.findall(r"^\[listener (\S+)\]$[^\[]*?^socket *= *(\S+)$", text, re.MULTILINE)}
        return self.sockets

    def start(self, seconds=10.0):
        """Returns when somebody serves the socket."""
        if self.directory.exists():
            self._files_before = set(os.listdir(self.directory))
        with open(self.output_file, "ab") as output:
            process = subprocess.Popen(self.command, stdin=subprocess.DEVNULL, stdout=output, stderr=output,
                                       pass_fds=self.passed, start_new_session=True)  # Debian's -d ends its whole process group
        try:
            if self.mode:
                self.pid = process.pid
            else:
                status = process.wait(seconds)
                assert status == 0, f"{self} did not detach but ended with {status}:\n{self.output}"
                self.pid = int(self.pid_file.read_text())
            self.wait_ready(seconds)
        except BaseException:
            process.kill()
            self.pid = None
            raise
        finally:
            process.wait() if self.pid is None else None
            process.returncode = process.returncode or 0  # wait() below collects it, not the Popen object
        return self

    def wait_ready(self, seconds=10.0):
        eventually(lambda: self.serves() or not self.is_running, f"{self} serves", seconds)
        assert self.is_running, f"{self} ended at once:\n{self.output}"

    def serves(self):
        """Somebody has accepted a connection, and ended it when he saw that nothing came."""
        try:
            with self.connect() as connection:
                return connection.finish_sending().reply(seconds=5).ending == "eof"
        except OSError:
            return False

    @property
    def output(self):
        return self.output_file.read_text(errors="backslashreplace") if self.output_file.exists() else ""

    @property
    def is_running(self):
        return self.pid is not None and self.supervisor.is_alive

    # asking

    def ask(self, login, password, service="imap", realm="", seconds=15.0, listener=None):
        return wire.ask(self._socket_of(listener), login, password, service, realm, seconds)

    def connect(self, seconds=15.0, listener=None):
        return wire.Connection(self._socket_of(listener), seconds)

    def _socket_of(self, listener):
        return self.socket if listener is None else self.sockets[listener]

    # its processes

    @property
    def supervisor(self):
        return Process(self.pid)

    @property
    def fronts(self):
        """As `ps` shows them: one, or none while it is being replaced."""
        return [child for child in self.supervisor.children if _command_line(child).endswith(" front")]

    @property
    def front(self):
        """The front that serves; waits for it while one is being replaced."""
        return eventually(lambda: self.fronts, f"a front of {self}")[0]

    def workers(self, backend_type="sasldb"):
        return [child for child in self.supervisor.children
                if _command_line(child).endswith(f" worker {backend_type}")]

    def processes(self):
        return [self.supervisor, *self.supervisor.children]

    def descriptor_counts(self):
        """How many descriptors its processes have open, by command line; the same roles summed.

        The database is left out: a worker opens it when it is first asked.
        """
        counts = {}
        for process in self.processes():
            open_ones = [what for what in process.descriptors.values() if what != str(SASLDB)]
            counts[_command_line(process)] = counts.get(_command_line(process), 0) + len(open_ones)
        return counts

    # ending

    def wait(self, seconds=10.0):
        """Waits for its end and says the exit status; minus the signal's number when one ended it."""
        pid, self.pid = self.pid, None
        has_ended = _ends_within(pid, seconds)
        if not has_ended:
            os.kill(pid, signal.SIGKILL)
        _, status = os.waitpid(pid, 0)
        assert has_ended, f"{self} did not end within {seconds} s:\n{self.output}"
        return os.waitstatus_to_exitcode(status)

    def stop(self, number=signal.SIGTERM):
        """A clean stop: exit status 0, its processes gone, its files removed."""
        if self.is_debians:
            return self._stop_debians(number)
        family = self.processes()
        os.kill(self.pid, number)
        status = self.wait()
        assert status == 0, f"{self} ended with {status}:\n{self.output}"
        for process in family:
            process.wait_gone()
        left = set(os.listdir(self.directory)) - self._files_before if self.directory.exists() else set()
        assert not left, f"{self} left {sorted(left)} behind"

    def _stop_debians(self, number):
        """Its signal handlers write to the log, and when one interrupts another they wait for ever. It is helped."""
        pid = self.pid  # and process group
        os.kill(pid, number)
        _ends_within(pid, 2)
        try:
            os.killpg(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self.wait()
        eventually(lambda: not any(_is_alive_in_group(process, pid) for process in all_processes()), f"{self} ends")

    def kill(self):
        """What a crash does: SIGKILL to all of its processes."""
        family = self.processes()
        for process in family:
            process.kill()
        self.wait()
        for process in family:
            process.wait_gone()


def _ends_within(pid, seconds):
    descriptor = os.pidfd_open(pid)
    try:
        return bool(select.select([descriptor], [], [], seconds)[0])
    finally:
        os.close(descriptor)


def _is_alive_in_group(process, group):
    try:
        return process.is_alive and process.group == group
    except OSError:
        return False


def _command_line(process):
    try:
        return process.command_line
    except OSError:
        return ""


def posternd(*arguments, mode="-f", backend="sasldb", workers=5, failure_delay="0", program=POSTERND, directory=None,
             descriptors_max=None):
    """A posternd, not started yet."""
    flags = ["-a", backend, "-n", str(workers), "--failure-delay", failure_delay, *arguments]
    return Daemon(program, flags, mode, directory, descriptors_max)


def postern_conf(text, *arguments, mode="-f", program=POSTERND, directory=None):
    """A posternd with a postern.conf of that text, not started yet."""
    return Daemon(program, arguments, mode, directory, config=text)


def saslauthd(*arguments, mode="", backend="sasldb", workers=5, directory=None):
    """Debian's saslauthd, not started yet."""
    return Daemon(SASLAUTHD, ["-a", backend, "-n", str(workers), *arguments], mode, directory)


class Daemons:
    """The daemons of one test or module; close() stops those still running, and checks that they stop cleanly."""

    def __init__(self):
        self.started = []

    def start(self, daemon):
        self.started.append(daemon)
        return daemon.start()

    def close(self):
        problems = []
        for daemon in reversed(self.started):
            try:
                if daemon.is_running:
                    daemon.stop()
                elif daemon.pid is not None:
                    problems.append(f"{daemon} has ended by itself, with {daemon.wait()}")
            except AssertionError as problem:
                problems.append(str(problem))
            problems += refused_calls.unexpected(daemon.output.splitlines())
            print(f"--- stderr of {daemon}:\n{daemon.output}---")
            if daemon.has_own_directory:
                shutil.rmtree(daemon.directory, ignore_errors=True)
            daemon.output_file.unlink(missing_ok=True)
        assert not problems, "\n".join(problems)
