# SPDX-License-Identifier: BSD-2-Clause
"""A Postfix as Debian ships it, smtpd in its chroot, that asks a saslauthd there; or one that speaks the protocol of
Dovecot on a socket there, and has nothing of Cyrus SASL."""

import base64
import grp
import os
import re
import smtplib
import socket
import subprocess
import threading
from dataclasses import dataclass
from pathlib import Path

from support.eventually import eventually
from support.processes import all_processes

CHROOT = Path("/var/spool/postfix")
RUN_DIRECTORY = CHROOT / "var/run/saslauthd"  # what libsasl2 inside the chroot knows as /var/run/saslauthd
SUBMISSION_SOCKET = CHROOT / "var/run/saslauthd-submission/mux"
SMTP, SUBMISSION = 25, 587  # ports; each with an smtpd of its own
HERE = "127.0.0.1"

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

# Of one that has `smtpd_sasl_type = dovecot`:
AUTH_SOCKET = CHROOT / "private/auth"
TLS_AUTH_SOCKET = CHROOT / "private/auth-tls"  # what the port TLS_OFFERED asks on
FRESH, TLS_OFFERED, CYRUS = 10020, 10021, 10022  # more ports: see DovecotPostfix
CERTIFICATE, KEY = Path("/etc/postfix/certificate.pem"), Path("/etc/postfix/key.pem")
CYRUS_DIRECTORIES = [SASL, *Path("/usr/lib").glob("*/sasl2"), Path("/usr/lib/sasl2"), Path("/etc/sasl2")]
DOVECOT_MAIN_CF = {
    "smtpd_sasl_type": "dovecot",
    "smtpd_sasl_path": "private/auth",
    "smtpd_tls_cert_file": str(CERTIFICATE),
    "smtpd_tls_key_file": str(KEY),
    "max_use": "10000",  # sessions of an smtpd: it stays, and so does its connection
    "service_throttle_time": "1s",  # of a service whose smtpd dies at its start; a minute as Debian ships it
}


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
        subprocess.run(["adduser", "--quiet", "postfix", "sasl"], check=True)
        RUN_DIRECTORY.mkdir(parents=True, exist_ok=True)
        os.chown(RUN_DIRECTORY, 0, grp.getgrnam("sasl").gr_gid)
        RUN_DIRECTORY.chmod(0o710)
        self._start(MAIN_CF, [SUBMISSION_SERVICE])
        for port in (SMTP, SUBMISSION):
            self.wait_ready(port)
        return self

    def _start(self, settings, services, command=("postfix", "start")):
        for service in services:
            subprocess.run(["postconf", "-M", f"{service.split()[0]}/inet={service}"], check=True)
        subprocess.run(["postconf", "-e", *(f"{key} = {value}" for key, value in settings.items())], check=True)
        subprocess.run(["/usr/lib/postfix/configure-instance.sh", "-"], check=True, capture_output=True)
        done = subprocess.run(command, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stdout + done.stderr + self.log

    def wait_ready(self, port):
        eventually(lambda: greeting(port).startswith("220 "), f"smtpd greets on port {port}", 30)

    def stop(self):
        subprocess.run(["postfix", "stop"], check=True, capture_output=True, timeout=60)

    @property
    def log(self):
        return self.log_file.read_text() if self.log_file.exists() else ""

    @property
    def smtpds(self):
        """Its smtpd processes that run now."""
        return [process for process in all_processes() if process.is_alive and process.name == "smtpd"]

    @property
    def smtpd_roots(self):
        """The root directories of the smtpd processes that run now."""
        return {os.readlink(process.root) for process in self.smtpds}

    def log_in(self, user, password, mechanism="PLAIN", port=SMTP, source=HERE, seconds=30):
        """One AUTH over SMTP, as a mail program does it that waits so long for a reply; from the address `source`."""
        done = subprocess.run(
            ["swaks", "--server", HERE, "--port", str(port), "--local-interface", source, "--protocol", "ESMTP",
             "--auth", mechanism, "--auth-user", user, "--auth-password", password, "--quit-after", "AUTH",
             "--timeout", str(seconds)],
            capture_output=True, text=True, timeout=2 * seconds)  # the second reply that it waits for is to its QUIT
        dialogue = done.stdout.partition(f"-> AUTH {mechanism}")[2]
        replies = re.findall(r"^<\S+ +(?!334)(\d{3}) (.*)$", dialogue, re.MULTILINE)
        assert replies, done.stdout + done.stderr
        return Login(int(replies[0][0]), replies[0][1])

    def send(self, user, password, mechanism="PLAIN", port=SMTP, source=HERE, tls=False):
        """One message, as msmtp sends it for a user who logs in first; with STARTTLS if `tls` is true."""
        done = subprocess.run(
            ["msmtp", "--file=/dev/null", f"--host={HERE}", f"--port={port}", f"--source-ip={source}",
             f"--tls={'on' if tls else 'off'}", "--tls-certcheck=off", f"--auth={mechanism.lower()}",
             f"--user={user}", "--passwordeval=printenv PASSWORD", "--from=alice@postern.test", "root@localhost"],
            input="Subject: hello\n\nHello.\n", capture_output=True, text=True, timeout=60,
            env={**os.environ, "PASSWORD": password})
        code = re.search(r"^msmtp: server message: (\d{3}) ", done.stderr, re.MULTILINE)
        return Sent(done.returncode, int(code.group(1)) if code else None)


class DovecotPostfix(Postfix):
    """One that asks on AUTH_SOCKET, and finds neither a plug-in nor a configuration of Cyrus SASL: empty directories
    stand in their places, for its processes alone. Besides SMTP it has the ports

        SUBMISSION   TLS first: smtpd_tls_auth_only
        FRESH        a new smtpd for each connection
        TLS_OFFERED  TLS for who wants it; asks on TLS_AUTH_SOCKET
        CYRUS        `smtpd_sasl_type = cyrus`: for lack of plug-ins nobody can answer here
        ports        each with the smtpd_sasl_security_options that `ports` has for it
    """

    def __init__(self, ports):
        super().__init__()
        self.ports = ports

    def start(self):
        """The daemon need not be there yet, but before the first connection: an smtpd that cannot ask ends at once."""
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                        "-days", "2", "-subj", "/CN=localhost", "-keyout", KEY, "-out", CERTIFICATE],
                       check=True, capture_output=True)
        (SASL / "smtpd.conf").write_text(SMTPD_CONF)
        services = [
            _service("submission", smtpd_tls_security_level="may", smtpd_tls_auth_only="yes"),
            _service(FRESH, max_use=1),
            _service(TLS_OFFERED, smtpd_tls_security_level="may", smtpd_sasl_path=TLS_AUTH_SOCKET.relative_to(CHROOT)),
            _service(CYRUS, smtpd_sasl_type="cyrus", smtpd_sasl_path="smtpd"),
            *(_service(port, smtpd_sasl_security_options=options) for port, options in self.ports.items())]
        hide = " && ".join(f"mount -t tmpfs none {directory}" for directory in CYRUS_DIRECTORIES if directory.is_dir())
        self._start({**MAIN_CF, **DOVECOT_MAIN_CF}, services,
                    ["unshare", "--mount", "--propagation", "private", "sh", "-c", f"{hide} && postfix start"])
        return self

    def wait_for_log(self, port, text):
        """A line of an smtpd of that port."""
        line = re.compile(rf"postfix/{port}/smtpd\[\d+\]: {re.escape(text)}$", re.MULTILINE)
        eventually(lambda: line.search(self.log), f"port {port} logs {text!r}")

    @property
    def cyrus_files(self):
        """What its processes see of Cyrus SASL, but for the library that smtpd is linked with."""
        master = next(process for process in all_processes() if process.is_alive and process.name == "master")
        return [str(path) for directory in CYRUS_DIRECTORIES
                for path in (master.root / directory.relative_to("/")).glob("*")]


class SmtpSession(smtplib.SMTP):
    """A mail program's connection to smtpd, with a login word by word. After EHLO; a context manager."""

    def __init__(self, port=SMTP, host=HERE, source=None):
        super().__init__(host, port, timeout=60, source_address=source and (source, 0))
        self.ehlo()

    def __exit__(self, *_):
        """Without the QUIT of smtplib, which a session in the middle of AUTH would take for its answer."""
        self.close()

    @property
    def mechanisms(self):
        """What AUTH is offered with, in that order."""
        return self.esmtp_features.get("auth", "").split()

    def begin_plain(self, user, password):
        """Does not wait for the reply."""
        self.putcmd("AUTH", "PLAIN " + _encoded(f"\0{user}\0{password}"))

    def plain(self, user, password):
        self.begin_plain(user, password)
        return self.code()

    def begin_login(self, user):
        """Up to the prompt for the password."""
        assert self.docmd("AUTH", "LOGIN")[0] == 334
        assert self.docmd(_encoded(user)) == (334, _encoded("Password:").encode())

    def log_in_at_prompt(self, user, password):
        """Behind an AUTH LOGIN that was answered."""
        code = self.docmd(_encoded(user))[0]
        return self.answer(password) if code == 334 else code

    def begin_cram_md5(self):
        """Returns the challenge."""
        code, challenge = self.docmd("AUTH", "CRAM-MD5")
        assert code == 334
        return base64.b64decode(challenge)

    def answer(self, text):
        self.putcmd(_encoded(text))
        return self.code()

    def code(self):
        """Of the reply that comes next."""
        return self.getreply()[0]


class Prober:
    """Connects to a port all the time, and wants a greeting and an offer of AUTH each time. A context manager; at its
    end every probe must have got them."""

    def __init__(self, port):
        self.port = port
        self.count = 0
        self.failures = []
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._probe)

    def __enter__(self):
        self._thread.start()
        self.wait_for_more()
        return self

    def __exit__(self, kind, *_):
        if kind is None:
            self.wait_for_more()
        self._is_over.set()
        self._thread.join()
        assert kind is not None or self.failures == []

    def wait_for_more(self, probes=5):
        """Probes that begin from now on."""
        enough = self.count + probes + 1
        eventually(lambda: self.count >= enough, f"port {self.port} is probed", 120)

    def _probe(self):
        while not self._is_over.is_set():
            try:
                with SmtpSession(self.port) as session:
                    if not session.mechanisms:
                        self.failures.append(f"probe {self.count}: no AUTH")
            except OSError as problem:  # what smtplib raises is one, too
                self.failures.append(f"probe {self.count}: {problem!r}")
            self.count += 1


def greeting(port):
    """What the port says first; nothing if it says nothing."""
    try:
        with socket.create_connection((HERE, port), timeout=20) as connection:
            return connection.recv(512).decode()
    except OSError:
        return ""


def _encoded(text):
    return base64.b64encode(text.encode()).decode()


def _service(name, **settings):
    """A line of master.cf: an smtpd, chrooted, that logs as postfix/NAME/smtpd."""
    settings["syslog_name"] = f"postfix/{name}"
    return f"{name} inet n - y - - smtpd" + "".join(f" -o {key}={value}" for key, value in settings.items())
