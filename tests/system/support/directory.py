# SPDX-License-Identifier: BSD-2-Clause
"""Who is in the directories that the tests start, as LDIF.

    dc=postern,dc=test
        cn=reader          who searches; sees everything, passwords too
        uid=reader         the same for SASL
        ou=people          nearly everybody; ou=deep below it; DEPUTY, who may act for the reader
        ou=hidden          seen by the reader alone
        ou=odd             names that mean something in a filter or a DN
        ou=hashed          for ldap_auth_method: custom, a scheme each
        ou=barred          whom the password policy keeps out
        ou=aliases         an alias of ALICE
        ou=groups
        ou=example.org     BOB: a branch by the name of a domain
        ou=elsewhere       a referral to the second server, which has EMIL there
"""

import base64
import ctypes
import hashlib
from dataclasses import dataclass

SUFFIX = "dc=postern,dc=test"
READER = f"cn=reader,{SUFFIX}"
READER_PASSWORD = "searching"
PEOPLE = f"ou=people,{SUFFIX}"
GROUPS = f"ou=groups,{SUFFIX}"
ELSEWHERE = f"ou=elsewhere,{SUFFIX}"


def text_bytes(text):
    """Names and passwords are text where they are UTF-8, else bytes."""
    return text.encode() if isinstance(text, str) else text


@dataclass(frozen=True)
class Person:
    uid: str
    password: str | bytes
    branch: str = PEOPLE

    @property
    def dn(self):
        """As slapd writes it in its log."""
        return f"uid={escaped_value(self.uid)},{self.branch}"


def escaped_value(value):
    """A value in a DN as OpenLDAP writes it: special bytes as hexadecimal digits, UTF-8 as it is."""
    odd = set('"+,;<>\\=')
    shown = [f"\\{ord(c):02X}" if c in odd else c for c in value]
    if value[:1] in (" ", "#"):
        shown[0] = f"\\{ord(value[0]):02X}"
    if value[-1:] == " " and len(value) > 1:
        shown[-1] = "\\20"
    return "".join(shown)


ALICE = Person("alice", "wonderland")
CAROL = Person("carol", "christmas")  # in no group
DEPUTY = Person("deputy", "standing-in")
DORA = Person("dora", "explorer", f"ou=deep,{PEOPLE}")
HIDDEN = Person("hidden", "seek", f"ou=hidden,{SUFFIX}")
BOB = Person("bob", "builder", f"ou=example.org,{SUFFIX}")
EMIL = Person("emil", "detective", ELSEWHERE)
LATIN_1 = Person("latin", "pass", f"ou=odd,{SUFFIX}")  # its octetUid is b"j\xfcrgen"
LATIN_1_NAME = "jürgen".encode("latin-1")

LONG_NAME = Person("n" * 200, "long-name")
LONG = {length: Person(f"long{length}", "p" * length) for length in (127, 128, 200)}
EIGHT_BIT = [Person("utf8", "pässwörd €"), Person("latin1", "pässwörd".encode("latin-1"))]
BLANKS = Person("blanks", " around ")
FORGING = Person("colour", "red}#;=%u\"'\\")

# Names with bytes that mean something in a filter, in a DN, or in a pattern of saslauthd.conf.
ODD = {name: Person(uid, "odd-" + name, f"ou=odd,{SUFFIX}") for name, uid in {
    "hash": "a#b", "leading-hash": "#ab", "comma": "a,b", "quote": 'a"b', "parentheses": "a(b)c", "star": "a*b",
    "backslash": "a\\b", "plus": "a+b", "semicolon": "a;b", "less": "a<b", "more": "a>b", "equals": "a=b",
    "blank": "a b", "utf-8": "jürgen", "token": "a%ub", "at": "a@b",
}.items()}

TWINS = [Person("twin-one", "first"), Person("twin-two", "second")]  # both have the mail address twin@postern.test

LOCKED = Person("locked", "wonderland", f"ou=barred,{SUFFIX}")
EXPIRED = Person("expired", "wonderland", f"ou=barred,{SUFFIX}")
MUST_CHANGE = Person("must-change", "wonderland", f"ou=barred,{SUFFIX}")

_libcrypt = ctypes.CDLL("libcrypt.so.1")
_libcrypt.crypt.restype = ctypes.c_char_p


def _hashed(scheme, algorithm, password, salt=b""):
    digest = hashlib.new(algorithm, password.encode() + salt).digest()
    return f"{{{scheme}}}" + base64.b64encode(digest + salt).decode()


def _crypt(password, salt):
    return _libcrypt.crypt(password.encode(), salt.encode()).decode()


HASHED_PASSWORD = "gnome"
HASHES = {  # of that password, as userPassword has it
    "plain": HASHED_PASSWORD,
    "crypt": "{CRYPT}" + _crypt(HASHED_PASSWORD, "$6$rounds=1000$salt"),
    "crypt-in-small-letters": "{crypt}" + _crypt(HASHED_PASSWORD, "$6$rounds=1000$salt"),
    "crypt-des": "{CRYPT}" + _crypt(HASHED_PASSWORD, "ab"),
    "unix": "{UNIX}" + _crypt(HASHED_PASSWORD, "$1$salt"),
    "md5": _hashed("MD5", "md5", HASHED_PASSWORD),
    "smd5": _hashed("SMD5", "md5", HASHED_PASSWORD, b"salt"),
    "sha": _hashed("SHA", "sha1", HASHED_PASSWORD),
    "ssha": _hashed("SSHA", "sha1", HASHED_PASSWORD, b"salt"),
    "ssha-with-a-long-salt": _hashed("SSHA", "sha1", HASHED_PASSWORD, b"0123456789abcdef"),
    "sha256": _hashed("SHA256", "sha256", HASHED_PASSWORD),
    "ssha256": _hashed("SSHA256", "sha256", HASHED_PASSWORD, b"saltsalt"),
    "ssha512": _hashed("SSHA512", "sha512", HASHED_PASSWORD, b"saltsalt"),
}
HASHED = {name: Person(f"by-{name}", HASHED_PASSWORD, f"ou=hashed,{SUFFIX}") for name in HASHES}
TWO_PASSWORDS = Person("two-passwords", "first", f"ou=hashed,{SUFFIX}")
SECOND_PASSWORD = "second"
NO_PASSWORD = Person("no-password", "none", f"ou=hashed,{SUFFIX}")


def _entry(dn, *classes, **attributes):
    lines = [("dn", dn), *(("objectClass", name) for name in classes)]
    for name, values in attributes.items():
        lines += [(name, value) for value in (values if isinstance(values, list) else [values])]
    return "".join(f"{name}:: {base64.b64encode(text_bytes(value)).decode()}\n" for name, value in lines) + "\n"


def _person(person, passwords=None, **more):
    return _entry(person.dn, "inetOrgPerson", *more.pop("classes", []), uid=person.uid, cn=person.uid, sn=person.uid,
                  userPassword=[person.password] if passwords is None else passwords, **more)


def _branch(name, below=SUFFIX):
    return _entry(f"ou={name},{below}", "organizationalUnit", ou=name)


def _policy(name, **rules):
    return _entry(f"cn={name},ou=policies,{SUFFIX}", "device", "pwdPolicy", cn=name, pwdAttribute="userPassword",
                  **rules)


def _trunk():
    yield _entry(SUFFIX, "dcObject", "organization", dc="postern", o="Postern")
    yield _entry(READER, "person", "uidObject", cn="reader", sn="reader", uid="reader", userPassword=READER_PASSWORD)
    for name in ("people", "hidden", "odd", "hashed", "barred", "aliases", "groups", "policies", "example.org"):
        yield _branch(name)
    yield _branch("deep", PEOPLE)


def _people():
    for person in (CAROL, DORA, HIDDEN, LONG_NAME, *LONG.values(), *EIGHT_BIT, BLANKS, FORGING, *ODD.values()):
        yield _person(person)
    yield _person(ALICE, mail="alice@postern.test")
    yield _person(DEPUTY, authzTo=f"dn.exact:{READER}")
    yield _person(BOB, mail="bob@example.org")
    yield _person(LATIN_1, classes=["octetPerson"], octetUid=LATIN_1_NAME)
    for person in TWINS:
        yield _person(person, mail="twin@postern.test")
    for name, hashed in HASHES.items():
        yield _person(HASHED[name], [hashed])
    yield _person(TWO_PASSWORDS, [TWO_PASSWORDS.password, SECOND_PASSWORD])
    yield _person(NO_PASSWORD, [])
    yield _entry(f"uid=white-rabbit,ou=aliases,{SUFFIX}", "alias", "extensibleObject", uid="white-rabbit",
                 aliasedObjectName=ALICE.dn)


def _groups():
    yield _entry(f"cn=staff,{GROUPS}", "groupOfUniqueNames", cn="staff",
                 uniqueMember=[ALICE.dn, BOB.dn, ODD["comma"].dn])
    yield _entry(f"cn=crew,{GROUPS}", "groupOfNames", cn="crew", member=[ALICE.dn, BOB.dn, ODD["parentheses"].dn])
    yield _entry(f"cn=host,{GROUPS}", "posixGroup", cn="host", gidNumber="5000", memberUid=["alice", "bob"])
    yield _entry(f"cn=imap,{GROUPS}", "groupOfNames", cn="imap", member=[ALICE.dn])
    yield _entry(f"cn=example.org,{GROUPS}", "groupOfNames", cn="example.org", member=[ALICE.dn, BOB.dn])


def _barred():
    yield _policy("everybody")
    yield _policy("strict", pwdLockout="TRUE", pwdMaxFailure="3", pwdMaxAge="3600", pwdMustChange="TRUE")
    strict = {"pwdPolicySubentry": f"cn=strict,ou=policies,{SUFFIX}"}
    now = "20990101000000Z"  # a password that will not expire while the suite runs
    yield _person(LOCKED, pwdAccountLockedTime="000001010000Z", pwdChangedTime=now, **strict)
    yield _person(EXPIRED, pwdChangedTime="20200101000000Z", **strict)
    yield _person(MUST_CHANGE, pwdReset="TRUE", pwdChangedTime=now, **strict)


def _elsewhere(referral):
    if referral:
        yield _entry(ELSEWHERE, "referral", "extensibleObject", ou="elsewhere", ref=f"{referral}/{ELSEWHERE}")
    else:
        yield _branch("elsewhere")
        yield _person(EMIL)


def ldif(referral):
    """The whole directory; `referral` is the URI of the server that has ou=elsewhere, if it is another one."""
    parts = (_trunk(), _people(), _groups(), _barred(), _elsewhere(referral))
    return "".join(entry for part in parts for entry in part)
