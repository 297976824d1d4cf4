# SPDX-License-Identifier: BSD-2-Clause
"""Processes as /proc shows them."""

import ctypes
import os
import signal
from pathlib import Path

from support.eventually import eventually

PR_SET_CHILD_SUBREAPER = 36
SS_CONNECTED = "03"  # of <linux/net.h>, as /proc/net/unix shows it


def become_subreaper():
    """Daemons that detach become children of the tests, which can then wait for them and see their exit status."""
    if ctypes.CDLL(None, use_errno=True).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_CHILD_SUBREAPER)")


class Process:
    """One process. Its attributes are read anew each time; they raise OSError once it is gone."""

    def __init__(self, pid):
        self.pid = pid
        self.directory = Path("/proc") / str(pid)

    def __repr__(self):
        try:
            return f"<{self.pid} {self.command_line!r} {self.state}>"
        except OSError:
            return f"<{self.pid} gone>"

    def __eq__(self, other):
        return isinstance(other, Process) and self.pid == other.pid

    def __hash__(self):
        return hash(self.pid)

    def status(self, field):
        """A field of /proc/PID/status, its words split: status("Uid") = real, effective, saved, file system."""
        for line in (self.directory / "status").read_text().splitlines():
            name, _, value = line.partition(":")
            if name == field:
                return value.split()
        raise KeyError(field)

    @property
    def name(self):
        return (self.directory / "comm").read_text().rstrip("\n")

    @property
    def command_line(self):
        """As `ps` shows it."""
        return (self.directory / "cmdline").read_bytes().rstrip(b"\0").replace(b"\0", b" ").decode()

    @property
    def state(self):
        return self.status("State")[0]

    @property
    def parent_pid(self):
        return int(self.status("PPid")[0])

    @property
    def group(self):
        """The process group."""
        return os.getpgid(self.pid)

    @property
    def uids(self):
        return [int(uid) for uid in self.status("Uid")]

    @property
    def gids(self):
        return [int(gid) for gid in self.status("Gid")]

    @property
    def groups(self):
        return sorted(int(gid) for gid in self.status("Groups"))

    def capabilities(self, which="Eff"):
        """A set of capabilities as a number; `which` is Eff, Prm, Inh, Bnd or Amb."""
        return int(self.status("Cap" + which)[0], 16)

    @property
    def caught_signals(self):
        """Those that it has a handler for."""
        mask = int(self.status("SigCgt")[0], 16)
        return {number for number in range(1, 65) if mask >> (number - 1) & 1}

    @property
    def has_no_new_privs(self):
        return self.status("NoNewPrivs") == ["1"]

    @property
    def seccomp_mode(self):
        return int(self.status("Seccomp")[0])

    @property
    def root(self):
        """The root directory, to look into: Path("/proc/PID/root/")."""
        return self.directory / "root"

    @property
    def working_directory(self):
        return os.readlink(self.directory / "cwd")

    @property
    def executable(self):
        return os.readlink(self.directory / "exe")

    @property
    def mapped_files(self):
        """The paths of all files in its memory, programs and libraries among them."""
        lines = (line.split(maxsplit=5) for line in (self.directory / "maps").read_text().splitlines())
        return {words[5] for words in lines if len(words) == 6 and words[5].startswith("/")}

    @property
    def descriptors(self):
        """Each open descriptor's number and what it is, as "socket:[123]" or "/dev/null"."""
        found = {}
        for entry in os.listdir(self.directory / "fd"):
            try:
                found[int(entry)] = os.readlink(self.directory / "fd" / entry)
            except FileNotFoundError:
                pass  # closed meanwhile
        return found

    def connections_on(self, listener):
        """How many connections to the UNIX socket of that path it has accepted."""
        held = set(self.descriptors.values())
        rows = (line.split() for line in Path("/proc/net/unix").read_text().splitlines()[1:])
        return sum(1 for row in rows
                   if row[5] == SS_CONNECTED and row[7:] == [str(listener)] and f"socket:[{row[6]}]" in held)

    @property
    def limits(self):
        """Soft and hard limits by the names of /proc/PID/limits: limits["Max core file size"] = ("0", "0")."""
        lines = (self.directory / "limits").read_text().splitlines()[1:]
        return {line[:26].strip(): tuple(line[26:].split()[:2]) for line in lines}

    @property
    def children(self):
        return sorted((p for p in all_processes() if _parent_or_none(p) == self.pid and p.is_alive), key=lambda p: p.pid)

    @property
    def is_alive(self):
        try:
            return self.state not in "ZX"
        except OSError:
            return False

    def kill(self, number=signal.SIGKILL):
        os.kill(self.pid, number)
        return self

    def wait_gone(self, seconds=15.0):
        eventually(lambda: not self.is_alive, f"{self} ends", seconds)


def all_processes():
    return [Process(int(entry)) for entry in os.listdir("/proc") if entry.isdigit()]


def _parent_or_none(process):
    try:
        return process.parent_pid
    except OSError:
        return None
