# SPDX-License-Identifier: BSD-2-Clause
"""A directory as plain as can be: it logs nothing and knows no password policy, so that it is not what is measured."""

import shutil
import subprocess
import tempfile
from pathlib import Path

from support.directory import READER, READER_PASSWORD, SUFFIX
from support.dovecot import free_port
from support.eventually import eventually
from support.sasldb import ALICE

CONFIGURATION = """
include /etc/ldap/schema/core.schema
include /etc/ldap/schema/cosine.schema
include /etc/ldap/schema/inetorgperson.schema
modulepath /usr/lib/ldap
moduleload back_mdb
loglevel 0
database mdb
suffix {suffix}
directory {directory}/data
maxsize 67108864
index uid eq
access to attrs=userPassword by anonymous auth by * none
access to * by * read
"""

TRUNK = f"dn: {SUFFIX}\nobjectClass: dcObject\nobjectClass: organization\ndc: postern\no: Postern\n\n"


def person(dn, name, password):
    return (f"dn: {dn}\nobjectClass: inetOrgPerson\ncn: {name}\nsn: {name}\nuid: {name}\n"
            f"userPassword: {password}\n\n")


class Directory:
    """A slapd with READER, who searches, and ALICE, as long as the context lasts."""

    def __init__(self):
        self.directory = Path(tempfile.mkdtemp(prefix="slapd-", dir="/run"))
        self.port = free_port()
        self.process = None
        (self.directory / "data").mkdir()
        (self.directory / "conf").write_text(CONFIGURATION.format(suffix=SUFFIX, directory=self.directory))
        (self.directory / "ldif").write_text(TRUNK + person(READER, "reader", READER_PASSWORD) +
                                             person(f"uid={ALICE.user},{SUFFIX}", ALICE.user, ALICE.password))
        subprocess.run(["slapadd", "-q", "-f", self.directory / "conf", "-l", self.directory / "ldif"], check=True)

    def __enter__(self):
        uri = f"ldap://localhost:{self.port}/"
        self.process = subprocess.Popen(["slapd", "-f", self.directory / "conf", "-h", uri, "-d", "0"],
                                        stdin=subprocess.DEVNULL)
        eventually(lambda: subprocess.run(["ldapwhoami", "-x", "-H", uri], capture_output=True,
                                          check=False).returncode == 0, "slapd answers", 30)
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait(30)
        shutil.rmtree(self.directory)
