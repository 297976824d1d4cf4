# SPDX-License-Identifier: BSD-2-Clause
"""Real slapds with support/directory.py in them, in directories of their own, on ports of the tests' own network.

What a server was asked is read from its log (`loglevel stats`): it writes a line before it answers.
"""

import re
import shutil
import signal
import subprocess
from dataclasses import dataclass
from pathlib import Path

from support import directory
from support.directory import READER, SUFFIX
from support.eventually import eventually
from support.places import HOST_NAME
from support.processes import Process

SCOPES = {"0": "base", "1": "one", "2": "sub"}
DEREFS = {"0": "never", "1": "search", "2": "find", "3": "always"}

ROOT, ROOT_PASSWORD = f"cn=root,{SUFFIX}", "administering"

CONFIGURATION = """
include /etc/ldap/schema/core.schema
include /etc/ldap/schema/cosine.schema
include /etc/ldap/schema/nis.schema
include /etc/ldap/schema/inetorgperson.schema
attributetype ( 1.3.6.1.4.1.4203.666.1.1 NAME 'octetUid' EQUALITY octetStringMatch
    SYNTAX 1.3.6.1.4.1.1466.115.121.1.40 )
objectclass ( 1.3.6.1.4.1.4203.666.2.1 NAME 'octetPerson' SUP top AUXILIARY MAY octetUid )

modulepath /usr/lib/ldap
moduleload back_mdb
moduleload ppolicy
pidfile {directory}/pid
allow bind_v2
loglevel 0
{more}

TLSCACertificateFile {tls.authority}
TLSCertificateFile {tls.certificate}
TLSCertificateKeyFile {tls.key}

sasl-host localhost
sasl-secprops noanonymous
authz-policy to
authz-regexp "gidNumber=0.uidNumber=0,cn=peercred,cn=external,cn=auth" "{reader}"
authz-regexp "uid=reader,(cn=[^,]+,)?cn=[^,]+,cn=auth" "{reader}"
authz-regexp "uid=([^,]+),(cn=[^,]+,)?cn=[^,]+,cn=auth" "uid=$1,ou=people,{suffix}"

database mdb
suffix {suffix}
directory {directory}/data
rootdn {root}
rootpw {root_password}
maxsize 67108864
dbnosync
index uid eq
overlay ppolicy
ppolicy_default cn=everybody,ou=policies,{suffix}
ppolicy_use_lockout

access to attrs=userPassword by dn.exact="{reader}" read by anonymous auth by * none
access to dn.subtree="ou=hidden,{suffix}" by dn.exact="{reader}" read by anonymous auth by * none
access to * by * read
"""


class Authority:
    """A certificate authority of the tests', and the certificates that it gave."""

    def __init__(self, directory, name="authority"):
        self.directory = directory
        directory.mkdir(parents=True, exist_ok=True)
        self.authority = directory / f"{name}.pem"
        self._key = directory / f"{name}.key"
        self.certificate, self.key = directory / f"{name}-localhost.pem", directory / f"{name}-localhost.key"
        _run("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "30", "-subj", f"/CN={name}",
             "-keyout", self._key, "-out", self.authority)
        (directory / "directory").mkdir(exist_ok=True)
        shutil.copy(self.authority, directory / "directory/authority.pem")
        _run("openssl", "rehash", directory / "directory")
        self._give("localhost", f"subjectAltName=DNS:localhost,DNS:{HOST_NAME}")  # libldap takes the one for the other

    def _give(self, name, extension):
        request, extensions = self.directory / "request", self.directory / "extensions"
        extensions.write_text(extension + "\n")
        _run("openssl", "req", "-newkey", "rsa:2048", "-nodes", "-subj", f"/CN={name}", "-keyout", self.key,
             "-out", request)
        _run("openssl", "x509", "-req", "-in", request, "-CA", self.authority, "-CAkey", self._key, "-CAcreateserial",
             "-days", "30", "-extfile", extensions, "-out", self.certificate)



def ldapi_uri(directory):
    return "ldapi://" + str(directory / "ldapi").replace("/", "%2f")


LDAPI_URI = ldapi_uri(Path("/run/slapd-first"))


@dataclass(frozen=True)
class Operation:
    """What a server was asked, and by whom: the name that the connection was bound as."""

    text: str
    by: str = ""

    def __str__(self):
        return f"{self.text} by {self.by or 'anybody'}"


def bind(dn, acting_for=""):
    return Operation(f"bind {dn}" + (f" for {acting_for}" if acting_for else ""))


def search(filter_, base=SUFFIX, scope="sub", deref="never", by=READER):
    return Operation(f"search {base!r} {scope} {deref} {filter_}", by)


def compare(dn, attribute="uniqueMember", by=READER):
    return Operation(f"compare {dn} {attribute}", by)


def start_tls():
    return Operation("start TLS")


class Slapd:
    """One server. start() and stop() as often as one likes; the directory stays as it was left."""

    def __init__(self, name, tls, port=389, tls_port=636, referral="", more=""):
        self.directory = Path("/run") / f"slapd-{name}"
        self.port, self.tls_port = port, tls_port
        self.uri, self.tls_uri = f"ldap://localhost:{port}", f"ldaps://localhost:{tls_port}"
        self.log_file = self.directory / "log"
        self.daemon = None
        shutil.rmtree(self.directory, ignore_errors=True)
        (self.directory / "data").mkdir(parents=True)
        self.configuration = self.directory / "slapd.conf"
        self.configuration.write_text(CONFIGURATION.format(directory=self.directory, tls=tls, reader=READER,
                                                           suffix=SUFFIX, root=ROOT, root_password=ROOT_PASSWORD,
                                                           more=more))
        (self.directory / "ldif").write_text(directory.ldif(referral))
        _run("slapadd", "-q", "-f", self.configuration, "-l", self.directory / "ldif")

    def start(self):
        """Returns when it answers."""
        with self.log_file.open("ab") as log:
            self.daemon = subprocess.Popen(
                ["slapd", "-f", self.configuration, "-d", "stats",
                 "-h", f"{self.uri}/ {self.tls_uri}/ {ldapi_uri(self.directory)}/"],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        eventually(self._answers, f"{self.uri} answers", 30)
        return self

    def stop(self):
        if self.daemon:
            self.resume()
            self.daemon.terminate()
            self.daemon.wait(30)
            self.daemon = None

    def kill(self):
        self.daemon.kill()
        self.daemon.wait(30)
        self.daemon = None

    def pause(self):
        """The kernel still accepts connections for it; answers never come."""
        self.daemon.send_signal(signal.SIGSTOP)
        eventually(lambda: Process(self.daemon.pid).state == "T", "slapd stands still")
        return self

    def resume(self):
        self.daemon.send_signal(signal.SIGCONT)

    def set_password(self, person, password):
        """As an administrator does it."""
        change = f"dn: {person.dn}\nchangetype: modify\nreplace: userPassword\nuserPassword: {password}\n"
        _run("ldapmodify", "-x", "-H", self.uri, "-D", ROOT, "-w", ROOT_PASSWORD, typed=change)

    def add(self, ldif):
        _run("ldapadd", "-x", "-H", self.uri, "-D", ROOT, "-w", ROOT_PASSWORD, typed=ldif)

    # what it was asked

    @property
    def log(self):
        return self.log_file.read_text(errors="backslashreplace")

    def mark(self):
        """A place in the log, for what follows."""
        return Mark(self)

    def _answers(self):
        if self.daemon.poll() is not None:
            raise AssertionError(f"slapd ended with {self.daemon.returncode}:\n{self.log}")
        return subprocess.run(["ldapwhoami", "-x", "-H", self.uri], capture_output=True, check=False).returncode == 0


_LINE = re.compile(r"conn=(\d+) (?:op|fd)=\d+ (.*)$")
_BIND = re.compile(r'BIND dn="(.*)" method=')
_NAMED = re.compile(r'BIND authcid="(.*)" authzid="(.*)"$')
_AUTHENTICATED = re.compile(r'BIND dn="(.*)" mech=(\S+)')
_SEARCH = re.compile(r'SRCH base="(.*)" scope=(\d) deref=(\d) filter="(.*)"$')
_COMPARE = re.compile(r'CMP dn="(.*)" attr="(.*)"$')


class Mark:
    """What is behind a place in a server's log."""

    def __init__(self, slapd):
        self.slapd = slapd
        self.at = len(slapd.log)

    @property
    def text(self):
        return self.slapd.log[self.at:]

    @property
    def connections(self):
        """How many were accepted."""
        return len(re.findall(r"^.* ACCEPT from ", self.text, re.MULTILINE))

    @property
    def operations(self):
        """In their order; binds by SASL as the name that came of them, and for whom that one acts."""
        bound, acting_for, found = {}, {}, []
        for index, line in enumerate(self.slapd.log.splitlines(keepends=True)):
            self._read(line.rstrip("\n"), bound, acting_for, found, index)
        start = self.slapd.log.count("\n", 0, self.at)
        return [operation for index, operation in found if index >= start]

    @staticmethod
    def _read(line, bound, acting_for, found, index):
        if line.endswith("slapd starting"):
            bound.clear()  # connections are counted anew
        parsed = _LINE.search(line)
        if not parsed:
            return
        connection, what = parsed.groups()
        by = bound.get(connection, "")
        if match := _NAMED.match(what):
            acting_for[connection] = match[2] if match[2] != match[1] else ""
        elif match := _AUTHENTICATED.match(what):
            bound[connection] = match[1]
            if match[2] != "SIMPLE":
                found.append((index, bind(match[1], acting_for.pop(connection, ""))))
        elif match := _BIND.match(what):
            bound[connection] = ""
            if not what.endswith("method=163"):
                found.append((index, bind(match[1])))
        elif what == "STARTTLS":
            found.append((index, start_tls()))
        elif match := _SEARCH.match(what):
            found.append((index, search(match[4], match[1], SCOPES[match[2]], DEREFS[match[3]], by)))
        elif match := _COMPARE.match(what):
            found.append((index, compare(match[1], match[2], by)))


def _run(*command, typed=None):
    done = subprocess.run(command, input=typed, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
