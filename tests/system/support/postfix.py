# SPDX-License-Identifier: BSD-2-Clause
"""A Postfix as Debian ships it, smtpd in its chroot, that asks a saslauthd there."""

import grp
import os
import re
import socket
import subprocess
from dataclasses import dataclass
from pathlib import Path

from support.eventually import eventually
from support.processes import all_processes

CHROOT = Path("/var/spool/postfix")
RUN_DIRECTORY = CHROOT / "var/run/saslauthd"  # what libsasl2 inside the chroot knows as /var/run/saslauthd

MAIN_CF = {
    "myhostname": "mail.postern.test",
    "mydestination": "localhost",
    "inet_interfaces": "loopback-only",
    "maillog_file": "/var/log/postfix.log",
    "smtpd_sasl_auth_enable": "yes",
    "smtpd_peername_lookup": "no",  # there is no name server here
    "smtpd_error_sleep_time": "0",
}

SMTPD_CONF = "pwcheck_method: saslauthd\nmech_list: PLAIN LOGIN\n"


@dataclass(frozen=True)
class Login:
    """What the client saw: the code of the last reply to AUTH, and its text."""

    code: int
    text: str


class Postfix:
    def __init__(self):
        self.log_file = Path(MAIN_CF["maillog_file"])

    def start(self):
        """Follows Debian's instructions for saslauthd behind a chrooted smtpd."""
        Path("/etc/postfix/sasl/smtpd.conf").write_text(SMTPD_CONF)
        subprocess.run(["postconf", "-e", *(f"{key} = {value}" for key, value in MAIN_CF.items())], check=True)
        subprocess.run(["adduser", "--quiet", "postfix", "sasl"], check=True)
        RUN_DIRECTORY.mkdir(parents=True, exist_ok=True)
        os.chown(RUN_DIRECTORY, 0, grp.getgrnam("sasl").gr_gid)
        RUN_DIRECTORY.chmod(0o710)
        subprocess.run(["/usr/lib/postfix/configure-instance.sh", "-"], check=True, capture_output=True)
        done = subprocess.run(["postfix", "start"], capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stdout + done.stderr + self.log
        eventually(self._greets, "smtpd greets", 20)
        return self

    def stop(self):
        subprocess.run(["postfix", "stop"], check=True, capture_output=True, timeout=60)

    @property
    def log(self):
        return self.log_file.read_text() if self.log_file.exists() else ""

    @property
    def smtpd_roots(self):
        """The root directories of the smtpd processes that run now."""
        return {os.readlink(process.root) for process in all_processes() if process.is_alive and process.name == "smtpd"}

    def log_in(self, user, password, mechanism="PLAIN"):
        """One AUTH over SMTP, as a mail program does it."""
        done = subprocess.run(
            ["swaks", "--server", "127.0.0.1", "--protocol", "ESMTP", "--auth", mechanism, "--auth-user", user,
             "--auth-password", password, "--quit-after", "AUTH"],
            capture_output=True, text=True, timeout=60)
        dialogue = done.stdout.partition(f"-> AUTH {mechanism}")[2]
        replies = re.findall(r"^<\S+ +(?!334)(\d{3}) (.*)$", dialogue, re.MULTILINE)
        assert replies, done.stdout + done.stderr
        return Login(int(replies[0][0]), replies[0][1])

    def _greets(self):
        try:
            with socket.create_connection(("127.0.0.1", 25), timeout=20) as connection:
                return connection.recv(512).startswith(b"220 ")
        except OSError:
            return False
