# SPDX-License-Identifier: BSD-2-Clause
"""Debian's Dovecot as the IMAP server that rimap asks: plain with STARTTLS on one port, TLS from the start on another."""

import os
import shutil
import signal
import socket
import subprocess
import tempfile
from pathlib import Path

from support.eventually import eventually
from support.processes import all_processes

CONFIGURATION = """
protocols = imap
listen = 127.0.0.1
base_dir = DIR/run
state_dir = DIR/state
log_path = DIR/log
ssl = yes
ssl_cert = <DIR/certificate
ssl_key = <DIR/key
disable_plaintext_auth = no
auth_mechanisms = plain login
auth_failure_delay = 0
auth_username_chars =
auth_username_format =
auth_verbose = yes
mail_location = maildir:DIR/mail
mail_max_userip_connections = 0
passdb {
  driver = passwd-file
  args = scheme=PLAIN username_format=%u DIR/users
}
userdb {
  driver = static
  args = uid=nobody gid=nogroup home=DIR/mail
}
service anvil {
  unix_listener anvil-auth-penalty {
    mode = 0
  }
}
service imap-login {
  service_count = 0
  inet_listener imap {
    port = PLAIN_PORT
  }
  inet_listener imaps {
    port = TLS_PORT
    ssl = yes
  }
}
"""


def free_port():
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        return holder.getsockname()[1]


class Dovecot:
    """Its certificate is for `localhost`, and its own: `ca_file`. Ports stay the same over a restart."""

    def __init__(self, accounts, more=""):
        self.directory = Path(tempfile.mkdtemp(prefix="dovecot-", dir="/run"))
        self.directory.chmod(0o755)
        self.port, self.tls_port = free_port(), free_port()
        self.ca_file = self.directory / "certificate"
        self.process = None
        (self.directory / "mail").mkdir()
        (self.directory / "mail").chmod(0o777)
        (self.directory / "users").write_text("".join(f"{a.user}:{{PLAIN}}{a.password}\n" for a in accounts))
        text = CONFIGURATION.replace("DIR", str(self.directory)).replace("PLAIN_PORT", str(self.port))
        (self.directory / "dovecot.conf").write_text(text.replace("TLS_PORT", str(self.tls_port)) + more + "\n")
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                        "-days", "2", "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost", "-keyout",
                        self.directory / "key", "-out", self.ca_file], check=True, capture_output=True)

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.stop()
        print(f"--- log of Dovecot:\n{self.log}---")
        shutil.rmtree(self.directory)

    def start(self):
        self.process = subprocess.Popen(["dovecot", "-F", "-c", self.directory / "dovecot.conf"], process_group=0,
                                        stdin=subprocess.DEVNULL)
        eventually(lambda: self._greets() or self.process.poll() is not None, "Dovecot greets", 30)
        assert self.process.poll() is None, f"Dovecot ended at once:\n{self.log}"
        return self

    def stop(self):
        """And all connections with it."""
        if self.process is None:
            return
        self.resume()
        self.process.terminate()
        self.process.wait(30)
        eventually(self._is_group_gone, "Dovecot's processes end")
        self.process = None

    def pause(self):
        """The kernel still accepts connections for it; answers never come."""
        os.killpg(self.process.pid, signal.SIGSTOP)
        eventually(lambda: {process.state for process in self._processes()} == {"T"}, "Dovecot stands still")
        return self

    def resume(self):
        os.killpg(self.process.pid, signal.SIGCONT)

    def _processes(self):
        return [process for process in all_processes() if _group_or_none(process) == self.process.pid
                and process.is_alive]

    @property
    def log(self):
        file = self.directory / "log"
        return file.read_text(errors="backslashreplace") if file.exists() else ""

    @property
    def logins(self):
        """Who was let in, in this order."""
        return [line.partition("Login: user=<")[2].partition(">")[0] for line in self.log.splitlines()
                if "imap-login: Info: Login: user=<" in line]

    def _greets(self):
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=10) as connection:
                return connection.recv(4) == b"* OK"
        except OSError:
            return False

    def _is_group_gone(self):
        """Its orphans are children of this process: see become_subreaper()."""
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
            os.waitpid(-self.process.pid, os.WNOHANG)
            return False
        except ProcessLookupError:
            return True
        except ChildProcessError:
            return False


def _group_or_none(process):
    try:
        return process.group
    except OSError:
        return None
