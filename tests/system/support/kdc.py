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

    def write_krb5_conf(self, port=PORT, more="", **libdefaults):
        """What the hosts that ask read. `more` are further sections."""
        settings = {"default_realm": self.realms[0], "dns_lookup_kdc": "false", "dns_lookup_realm": "false",
                    "rdns": "false", "udp_preference_limit": "1", **libdefaults}
        realms = "".join(f" {realm} = {{\n  kdc = 127.0.0.1:{port}\n }}\n" for realm in self.realms)
        KRB5_CONF.write_text("[libdefaults]\n" + "".join(f" {key} = {value}\n" for key, value in settings.items())
                             + "[realms]\n" + realms + more)

    def write_kdc_conf(self, **relations):
        """`relations` are of every realm."""
        also = "".join(f"  {key} = {value}\n" for key, value in relations.items())
        realms = "".join(f" {realm} = {{\n  database_name = {self.directory}/{realm}\n"
                         f"  key_stash_file = {self.directory}/{realm}.stash\n{also} }}\n" for realm in self.realms)
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


EXTENSIONS = """
[kdc]
keyUsage = digitalSignature
extendedKeyUsage = 1.3.6.1.5.2.3.5
subjectAltName = otherName:1.3.6.1.5.2.2;SEQUENCE:principal
[client]
keyUsage = digitalSignature
extendedKeyUsage = 1.3.6.1.5.2.3.4
subjectAltName = otherName:1.3.6.1.5.2.2;SEQUENCE:principal
[principal]
realm = EXP:0,GeneralString:{realm}
principal_name = EXP:1,SEQUENCE:name
[name]
name_type = EXP:0,INTEGER:{name_type}
name_string = EXP:1,SEQUENCE:strings
[strings]
"""


class PkinitAuthority:
    """Gives the certificates of RFC 4556: what Kerberos takes in the place of a password."""

    def __init__(self, directory):
        self.directory = Path(directory)
        self._certificate, self._key = self.directory / "authority.pem", self.directory / "authority.key"
        self._openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=authority",
                      "-keyout", self._key, "-out", self._certificate)

    @property
    def anchor(self):
        return f"FILE:{self._certificate}"

    def give_kdc(self, realm):
        return self._give("kdc", realm, ["krbtgt", realm], name_type=2)

    def give_client(self, realm, user):
        return self._give("client", realm, [user], name_type=1)

    def _give(self, usage, realm, name, name_type):
        """As libkrb5 wants it written."""
        certificate, key = self.directory / f"{usage}.pem", self.directory / f"{usage}.key"
        request, extensions = self.directory / "request", self.directory / "extensions"
        strings = "".join(f"part{number} = GeneralString:{part}\n" for number, part in enumerate(name))
        extensions.write_text(EXTENSIONS.format(realm=realm, name_type=name_type) + strings)
        self._openssl("req", "-newkey", "rsa:2048", "-nodes", "-subj", f"/CN={usage}", "-keyout", key, "-out", request)
        self._openssl("x509", "-req", "-in", request, "-CA", self._certificate, "-CAkey", self._key, "-CAcreateserial",
                      "-days", "2", "-extfile", extensions, "-extensions", usage, "-out", certificate)
        return f"FILE:{certificate},{key}"

    @staticmethod
    def _openssl(*words):
        done = subprocess.run(["openssl", *words], capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stderr
