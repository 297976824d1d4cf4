# SPDX-License-Identifier: BSD-2-Clause
"""A Kerberos realm as Debian ships it: krb5kdc, its database, and the krb5.conf and keytab of the mail host."""

import os
import socket
import subprocess
from pathlib import Path

from support.eventually import eventually
from support.places import HOST_NAME

REALM = "POSTERN.TEST"
PORT = 88
KRB5_CONF = Path("/etc/krb5.conf")
KEYTAB = Path("/etc/krb5.keytab")
HOST_PRINCIPAL = f"host/{HOST_NAME}"


class Kdc:
    """One on 127.0.0.1, with `realms` of its own; start() writes /etc/krb5.conf and /etc/krb5.keytab.

    `directory` keeps its databases, `address` is where clients are told to ask: a proxy's, perhaps.
    """

    def __init__(self, directory, realms=(REALM,)):
        self.directory = Path(directory)
        self.realms = realms
        self.process = None
        self.port = PORT

    def create(self):
        self.write_kdc_conf()
        self.write_krb5_conf()
        for realm in self.realms:
            self._run("kdb5_util", "-r", realm, "create", "-s", "-P", "master")
        self.add_key(HOST_PRINCIPAL, KEYTAB)
        return self

    def write_krb5_conf(self, port=PORT, **libdefaults):
        """What the hosts that ask read."""
        settings = {"default_realm": self.realms[0], "dns_lookup_kdc": "false", "dns_lookup_realm": "false",
                    "rdns": "false", "udp_preference_limit": "1", **libdefaults}
        realms = "".join(f" {realm} = {{\n  kdc = 127.0.0.1:{port}\n }}\n" for realm in self.realms)
        KRB5_CONF.write_text("[libdefaults]\n" + "".join(f" {key} = {value}\n" for key, value in settings.items())
                             + "[realms]\n" + realms)

    def write_kdc_conf(self):
        realms = "".join(f" {realm} = {{\n  database_name = {self.directory}/{realm}\n"
                         f"  key_stash_file = {self.directory}/{realm}.stash\n }}\n" for realm in self.realms)
        self._profile.write_text(f"[kdcdefaults]\n kdc_listen = 127.0.0.1:{PORT}\n kdc_tcp_listen = 127.0.0.1:{PORT}\n"
                                 f"[realms]\n{realms}[logging]\n kdc = FILE:{self.directory}/kdc.log\n")

    @property
    def log(self):
        file = self.directory / "kdc.log"
        return file.read_text(errors="backslashreplace") if file.exists() else ""

    def start(self):
        realms = [word for realm in self.realms for word in ("-r", realm)]
        self.process = subprocess.Popen(["krb5kdc", "-n", *realms], env=self._environment, stdin=subprocess.DEVNULL,
                                        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        eventually(lambda: self.process.poll() is not None or self._answers(), "krb5kdc answers")
        assert self.process.poll() is None, self.log
        return self

    def stop(self):
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    def add(self, principal, password, *options, realm=None):
        self._kadmin("addprinc", "-pw", password, *options, principal, realm=realm)

    def add_key(self, principal, keytab):
        self._kadmin("addprinc", "-randkey", principal)
        self._kadmin("ktadd", "-k", str(keytab), principal)

    def _kadmin(self, *words, realm=None):
        errors = self._run("kadmin.local", "-r", realm or self.realms[0], *words).stderr
        assert "while" not in errors, errors  # its status is 0 all the same

    def _run(self, *words):
        done = subprocess.run(words, env=self._environment, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stderr
        return done

    def _answers(self):
        try:
            socket.create_connection(("127.0.0.1", PORT), timeout=10).close()
            return True
        except OSError:
            return False

    @property
    def _profile(self):
        return self.directory / "kdc.conf"

    @property
    def _environment(self):
        return {**os.environ, "KRB5_KDC_PROFILE": str(self._profile)}
