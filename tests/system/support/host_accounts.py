# SPDX-License-Identifier: BSD-2-Clause
"""The accounts and PAM stacks of the host, which here is an overlay: see tests/system/namespace."""

import ctypes
import subprocess
from pathlib import Path

PASSWD, SHADOW, GROUP, GSHADOW, NSSWITCH, STACKS = (
    Path("/etc") / name for name in ("passwd", "shadow", "group", "gshadow", "nsswitch.conf", "pam.d"))
MODULES = Path(__file__).resolve().parents[1] / "modules"

# Debian's common-auth and common-account, but that pam_unix waits for nothing.
DEBIANS_STACK = """
auth     [success=1 default=ignore]                       pam_unix.so nullok nodelay
auth     requisite                                        pam_deny.so
auth     required                                         pam_permit.so
account  [success=1 new_authtok_reqd=done default=ignore] pam_unix.so
account  requisite                                        pam_deny.so
account  required                                         pam_permit.so
"""


_libcrypt = ctypes.CDLL("libcrypt.so.1")
_libcrypt.crypt.restype = ctypes.c_char_p


def cheap_hash(password):
    return _libcrypt.crypt(password.encode(), b"$6$rounds=1000$postern").decode()


def traditional_hash(password):
    """Of DES: it knows nothing of what is behind the eighth byte."""
    return _libcrypt.crypt(password.encode(), b"ab").decode()


class HostAccounts:
    """What tests write into /etc; put_back() leaves it as it was."""

    def __init__(self):
        self.files = {path: path.read_bytes() for path in (PASSWD, SHADOW, GROUP, GSHADOW, NSSWITCH)}
        self.stacks = {path: path.read_bytes() for path in STACKS.iterdir()}
        self.count = 0

    def add(self, user, hashed=None, dates="19000:0:99999:7::", password=None, in_passwd="x"):
        """Writes the entries themselves: useradd is particular about names. `dates` are fields 3 to 8 of shadow(5)."""
        self.count += 1
        _append(PASSWD, f"{user}:{in_passwd}:{30000 + self.count}:30000::/nonexistent:/usr/sbin/nologin")
        if hashed is not None or password is not None:
            _append(SHADOW, f"{user}:{cheap_hash(password) if hashed is None else hashed}:{dates}:")
        return self

    def add_with_tools(self, user, password, *commands):
        """As an admin does it; `commands` come behind, as in ["chage", "-d", "0"], and get the user's name."""
        _run("useradd", "--no-create-home", user)
        _run("chpasswd", typed=f"{user}:{password}\n")
        for command in commands:
            _run(*command, user)
        return self

    def write_stack(self, service, text):
        (STACKS / service).write_text(text)

    def ask_files_alone(self):
        """Whoever else /etc/nsswitch.conf names hides that a file is missing."""
        NSSWITCH.write_text("passwd: files\ngroup: files\nshadow: files\n")

    def ask_whom_debian_asks(self):
        NSSWITCH.write_bytes(self.files[NSSWITCH])

    def put_back(self):
        for path, content in self.files.items():
            path.write_bytes(content)
        for path in STACKS.iterdir():
            if path not in self.stacks:
                path.unlink()
        for path, content in self.stacks.items():
            path.write_bytes(content)


class Modules:
    """PAM modules, compiled into a directory of their own."""

    def __init__(self, directory):
        self.directory = directory

    def build(self, name, file=None, **macros):
        """The module's path; a file that was there is replaced as a package manager does it."""
        path = self.directory / f"{file or name}.so"
        new = path.with_suffix(".new")
        macros = [f"-D{key}={value}" for key, value in macros.items()]
        _run("gcc", "-shared", "-fPIC", "-O2", "-D_FORTIFY_SOURCE=2", *macros, MODULES / f"{name}.c", "-lpam", "-o", new)
        new.rename(path)
        return path


def _append(path, line):
    with path.open("ab") as file:
        file.write(line.encode() + b"\n")


def _run(*command, typed=None):
    done = subprocess.run(command, input=typed, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, f"{command}: {done.stderr}"
