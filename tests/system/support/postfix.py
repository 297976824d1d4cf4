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
SUBMISSION_SOCKET = CHROOT / "var/run/saslauthd-submission/mux"
SMTP, SUBMISSION = 25, 587  # ports; each with an smtpd of its own

MAIN_CF = {
    "myhostname": "mail.postern.test",
    "mydestination": "localhost",
    "inet_interfaces": "loopback-only",
    "maillog_file": "/var/log/postfix.log",
    "smtpd_sasl_auth_enable": "yes",
    "smtpd_peername_lookup": "no",  # there is no name server here
    "smtpd_error_sleep_time": "0",
}

SASL = Path("/etc/postfix/sasl")
SMTPD_CONF = "pwcheck_method: saslauthd\nmech_list: PLAIN LOGIN\n"
SUBMISSION_CONF = SMTPD_CONF + f"saslauthd_path: /{SUBMISSION_SOCKET.relative_to(CHROOT)}\n"
SUBMISSION_SERVICE = "submission inet n - y - - smtpd -o syslog_name=postfix/submission -o smtpd_sasl_path=submission"


@dataclass(frozen=True)
class Login:
    """What the client saw: the code of the last reply to AUTH, and its text."""

    code: int
    text: str


@dataclass(frozen=True)
class Sent:
    """How msmtp ended: its exit status, and the code of the reply that it complains of."""

    status: int
    code: int | None


class Postfix:
    def __init__(self):
        self.log_file = Path(MAIN_CF["maillog_file"])

    def start(self):
        """Follows Debian's instructions for saslauthd behind a chrooted smtpd; and a second one, on the port
        submission, that asks on another socket."""
        (SASL / "smtpd.conf").write_text(SMTPD_CONF)
        (SASL / "submission.conf").write_text(SUBMISSION_CONF)
        subprocess.run(["postconf", "-M", f"submission/inet={SUBMISSION_SERVICE}"], check=True)
        subprocess.run(["postconf", "-e", *(f"{key} = {value}" for key, value in MAIN_CF.items())], check=True)
        subprocess.run(["adduser", "--quiet", "postfix", "sasl"], check=True)
        RUN_DIRECTORY.mkdir(parents=True, exist_ok=True)
        os.chown(RUN_DIRECTORY, 0, grp.getgrnam("sasl").gr_gid)
        RUN_DIRECTORY.chmod(0o710)
        subprocess.run(["/usr/lib/postfix/configure-instance.sh", "-"], check=True, capture_output=True)
        done = subprocess.run(["postfix", "start"], capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stdout + done.stderr + self.log
        for port in (SMTP, SUBMISSION):
            eventually(lambda: self._greets(port), f"smtpd greets on port {port}", 20)
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

    def log_in(self, user, password, mechanism="PLAIN", port=SMTP):
        """One AUTH over SMTP, as a mail program does it."""
        done = subprocess.run(
            ["swaks", "--server", "127.0.0.1", "--port", str(port), "--protocol", "ESMTP", "--auth", mechanism,
             "--auth-user", user, "--auth-password", password, "--quit-after", "AUTH"],
            capture_output=True, text=True, timeout=60)
        dialogue = done.stdout.partition(f"-> AUTH {mechanism}")[2]
        replies = re.findall(r"^<\S+ +(?!334)(\d{3}) (.*)$", dialogue, re.MULTILINE)
        assert replies, done.stdout + done.stderr
        return Login(int(replies[0][0]), replies[0][1])

    def send(self, user, password, mechanism="PLAIN"):
        """One message, as msmtp sends it for a user who logs in first."""
        done = subprocess.run(
            ["msmtp", "--file=/dev/null", "--host=127.0.0.1", "--tls=off", f"--auth={mechanism.lower()}",
             f"--user={user}", "--passwordeval=printenv PASSWORD", "--from=alice@postern.test", "root@localhost"],
            input="Subject: hello\n\nHello.\n", capture_output=True, text=True, timeout=60,
            env={**os.environ, "PASSWORD": password})
        code = re.search(r"^msmtp: server message: (\d{3}) ", done.stderr, re.MULTILINE)
        return Sent(done.returncode, int(code.group(1)) if code else None)

    def _greets(self, port):
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
                return connection.recv(512).startswith(b"220 ")
        except OSError:
            return False
