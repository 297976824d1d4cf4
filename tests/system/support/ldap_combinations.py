# SPDX-License-Identifier: BSD-2-Clause
"""Texts of /etc/saslauthd.conf, and what a directory must be asked because of each.

A combination is a text, a login, and the operations that the directory sees when the password is right: bases, scopes,
filters and names, as slapd writes them in its log, and as whom. They belong to the table and not to the programs: a
pattern that expands to something else is seen even where the verdict is the same.
"""

from dataclasses import dataclass
from pathlib import Path

from support.directory import (ALICE, BLANKS, BOB, CAROL, DEPUTY, DORA, EIGHT_BIT, EMIL, EXPIRED, FORGING, GROUPS,
                               HASHED, HASHED_PASSWORD, HIDDEN, LATIN_1, LATIN_1_NAME, LOCKED, LONG, LONG_NAME,
                               MUST_CHANGE, NO_PASSWORD, ODD, PEOPLE, READER, READER_PASSWORD, SECOND_PASSWORD, SUFFIX,
                               TWINS, TWO_PASSWORDS)
from support.slapd import LDAPI_URI, bind, compare, search, start_tls

TLS = Path("/run/ldap-tls")
ACCEPTED, REFUSED = ("OK", "NO", "NO"), ("NO", "NO", "NO")  # of the right password, a wrong one, and of nobody
NOBODY = "nobody-of-that-name"

READING = f"ldap_bind_dn: {READER}\nldap_password: {READER_PASSWORD}\n"
SEARCHING = READING + f"ldap_search_base: {SUFFIX}\n"
FASTBIND = "ldap_auth_method: fastbind\n"
PEOPLES_DN = f"ldap_filter: uid=%u,{PEOPLE}\n"
CUSTOM = SEARCHING + "ldap_auth_method: custom\n"
START_TLS = SEARCHING + f"ldap_tls_cacert_file: {TLS}/authority.pem\n"
OWN_CERTIFICATE = f"ldap_tls_cert: {TLS}/authority-localhost.pem\nldap_tls_key: {TLS}/authority-localhost.key\n"
STRICT_PORT, STRICT_TLS_PORT = 2389, 2636  # of a server that wants to see a certificate
STRICT_START_TLS = f"ldap_servers: ldap://localhost:{STRICT_PORT}/\nldap_start_tls: yes\n"
STRICT_LDAPS = f"ldap_servers: ldaps://localhost:{STRICT_TLS_PORT}/\n"
FOR_THE_READER = (f"ldap_id: {DEPUTY.uid}\nldap_password: {DEPUTY.password}\nldap_use_sasl: yes\n"
                  "ldap_authz_id: u:reader\n")


@dataclass(frozen=True)
class Combination:
    name: str
    conf: str
    login: str | bytes
    password: str | bytes
    asks: tuple  # of operations; more binds as the reader are nobody's business
    service: str = "imap"
    realm: str = ""
    flags: tuple = ()
    nobody: str | bytes = NOBODY
    theirs: tuple = ACCEPTED  # what saslauthd answers
    postern_asks: tuple | None = None  # where it differs, with a row in docs/differences.md

    def __str__(self):
        return self.name

    @property
    def requests(self):
        """By the names of cases: the right password, a wrong one, and somebody who does not exist."""
        wrong = b"looking-glass" if isinstance(self.password, bytes) else "looking-glass"
        return {self.name: (self.login, self.password), f"{self.name}-wrong": (self.login, wrong),
                f"{self.name}-unknown": (self.nobody, self.password)}


def _of(name, conf, person, asks, login=None, password=None, **more):
    return Combination(name, conf, person.uid if login is None else login,
                       person.password if password is None else password, tuple(asks), **more)


def _found(person, filter_=None, **how):
    """A search that finds, and the bind as what was found."""
    return [search(filter_ or f"(uid={person.uid})", **how), bind(person.dn)]


def _methods():
    yield _of("bind", SEARCHING, ALICE, _found(ALICE))
    yield _of("bind-by-name", SEARCHING + "ldap_auth_method: bind\n", ALICE, _found(ALICE))
    yield _of("bind-anybody", f"ldap_search_base: {SUFFIX}\n", ALICE, _found(ALICE, by=""))
    yield _of("bind-anybody-sees-less", f"ldap_search_base: {SUFFIX}\n", HIDDEN, [search("(uid=hidden)", by="")],
              theirs=REFUSED)
    yield _of("bind-the-reader-sees-more", SEARCHING, HIDDEN, _found(HIDDEN))
    yield _of("custom", CUSTOM, ALICE, [search("(uid=alice)")])
    yield _of("custom-anybody-reads-no-password", f"ldap_search_base: {SUFFIX}\nldap_auth_method: custom\n", ALICE,
              [search("(uid=alice)", by="")], theirs=REFUSED,
              postern_asks=(search("(uid=alice)", by=""), compare(ALICE.dn, "userPassword", by="")))
    yield _of("fastbind", FASTBIND + PEOPLES_DN, ALICE, [bind(ALICE.dn)])
    yield _of("fastbind-needs-no-reader", SEARCHING + FASTBIND + PEOPLES_DN, ALICE, [bind(ALICE.dn)])


def _tokens():
    def of(name, filter_, person, asks, **more):
        return _of(f"token-{name}", SEARCHING + f"ldap_filter: {filter_}\n", person, asks, **more)

    yield of("percent", "(|(uid=%u)(cn=100%%))", ALICE, _found(ALICE, "(|(uid=alice)(cn=100%))"))
    yield of("percent-before-a-letter", "(|(uid=%u)(cn=%%u))", ALICE, _found(ALICE, "(|(uid=alice)(cn=%u))"))
    yield of("u", "(&(objectClass=person)(uid=%u))", ALICE, _found(ALICE, "(&(objectClass=person)(uid=alice))"))
    yield of("u-whole-address", "(mail=%u)", ALICE, _found(ALICE, "(mail=alice@postern.test)"),
             login="alice@postern.test")
    yield of("u-twice", "(|(uid=%u)(mail=%u))", ALICE, _found(ALICE, "(|(uid=alice)(mail=alice))"))
    yield of("U", "(uid=%U)", ALICE, _found(ALICE), login="alice@postern.test")
    yield of("U-first-at", "(uid=%U)", ALICE, _found(ALICE), login="alice@postern@test")
    yield of("U-without-domain", "(uid=%U)", ALICE, _found(ALICE))
    yield of("d", "(mail=%U@%d)", BOB, _found(BOB, "(mail=bob@example.org)"), login="bob@example.org")
    yield of("d-in-the-base", f"(uid=%U)\nldap_search_base: ou=%d,{SUFFIX}", BOB,
             _found(BOB, base=f"ou=example.org,{SUFFIX}"), login="bob@example.org", nobody="nobody@example.org")
    yield of("d-of-the-realm", "(mail=%U@%d)", BOB, [search("(mail=bob@)")], realm="example.org", theirs=REFUSED,
             postern_asks=tuple(_found(BOB, "(mail=bob@example.org)")))
    yield of("1-and-2-in-the-base", "(uid=%U)\nldap_search_base: dc=%2,dc=%1", ALICE, _found(ALICE),
             login="alice@postern.test", nobody="nobody@postern.test")
    yield of("1-to-9", "(|(uid=%U)(cn=%9-%8-%7-%6-%5-%4-%3-%2-%1))", ALICE,
             _found(ALICE, "(|(uid=alice)(cn=i-h-g-f-e-d-c-b-a))"), login="alice@i.h.g.f.e.d.c.b.a")
    yield of("2-of-a-short-domain", "(|(uid=%U)(cn=<%2>))", ALICE, _found(ALICE, "(|(uid=alice)(cn=<>))"),
             login="alice@test")
    yield of("1-of-the-realm", "(mail=%u@%2.%1)", BOB, _found(BOB, "(mail=bob@example.org)"), realm="example.org")
    yield of("1-without-domain", "(|(uid=%u)(cn=<%1>))", ALICE, _found(ALICE, "(|(uid=alice)(cn=<>))"))
    yield of("s", "(|(uid=%u)(cn=%s))", ALICE, _found(ALICE, "(|(uid=alice)(cn=smtp))"), service="smtp")
    yield of("s-empty", "(|(uid=%u)(cn=<%s>))", ALICE, _found(ALICE, "(|(uid=alice)(cn=<>))"), service="")
    yield of("r", "(mail=%u@%r)", BOB, _found(BOB, "(mail=bob@example.org)"), realm="example.org")
    yield of("r-empty", "(|(uid=%u)(cn=<%r>))", ALICE, _found(ALICE, "(|(uid=alice)(cn=<>))"))
    yield of("R", "(mail=%u%R)", BOB, _found(BOB, "(mail=bob@example.org)"), realm="example.org")
    yield of("R-empty", "(uid=%u%R)", ALICE, _found(ALICE))
    for alias in ("ldap_default_realm", "ldap_default_domain"):
        yield of(f"r-by-{alias}", f"(mail=%u@%r)\n{alias}: example.org", BOB, _found(BOB, "(mail=bob@example.org)"))
    yield of("R-of-the-default", "(mail=%u%R)\nldap_default_realm: example.org", BOB,
             _found(BOB, "(mail=bob@example.org)"))
    yield of("1-of-the-default", "(mail=%u@%2.%1)\nldap_default_realm: example.org", BOB,
             _found(BOB, "(mail=bob@example.org)"))
    yield of("r-before-the-default", "(mail=%u@%r)\nldap_default_realm: postern.test", BOB,
             _found(BOB, "(mail=bob@example.org)"), realm="example.org")
    yield of("D-where-none-is-known", "(|(uid=%u)(cn=<%D>))", ALICE, _found(ALICE, "(|(uid=alice)(cn=<>))"))
    yield of("of-nobody", "(|(uid=%u)(cn=<%x>))", ALICE, _found(ALICE, "(|(uid=alice)(cn=<>))"))
    yield of("percent-at-the-end", "uid=%u%", ALICE, [search("(uid=alice%)")], theirs=REFUSED)
    yield of("joined", "(mail=%u)", BOB, _found(BOB, "(mail=bob@example.org)"), realm="example.org", flags=("-r",))
    yield of("joined-U-and-d", "(mail=%U@%d)", BOB, _found(BOB, "(mail=bob@example.org)"), realm="example.org",
             flags=("-r",))
    yield of("of-a-user", "(|(uid=%u)(cn=<%s>))", ODD["token"], _found(ODD["token"], "(|(uid=a%ub)(cn=<imap>))"))
    yield of("filter-without-parentheses", "uid=%u", ALICE, _found(ALICE))


def _groups():
    def of(name, conf, person, asks, before=SEARCHING, **more):
        return _of(f"group-{name}", before + conf, person, asks, **more)

    staff, crew, imap = (f"cn={name},{GROUPS}" for name in ("staff", "crew", "imap"))
    by_filter = "ldap_group_match_method: filter\n"
    yield of("dn", f"ldap_group_dn: {staff}\n", ALICE, [*_found(ALICE), compare(staff)])
    yield of("attr", f"ldap_group_dn: {crew}\nldap_group_attr: member\nldap_group_match_method: attr\n", ALICE,
             [*_found(ALICE), compare(crew, "member")])
    yield of("of-a-name-with-a-comma", f"ldap_group_dn: {staff}\n", ODD["comma"],
             [*_found(ODD["comma"]), compare(staff)])
    yield of("refused", f"ldap_group_dn: {staff}\n", CAROL, [*_found(CAROL), compare(staff)], theirs=REFUSED)
    yield of("attr-that-it-has-not", f"ldap_group_dn: cn=host,{GROUPS}\nldap_group_attr: member\n", ALICE,
             [*_found(ALICE), compare(f"cn=host,{GROUPS}", "member")], theirs=REFUSED)
    yield of("dn-by-service", f"ldap_group_dn: cn=%s,{GROUPS}\nldap_group_attr: member\n", ALICE,
             [*_found(ALICE), compare(imap, "member")])
    yield of("dn-by-domain", f"ldap_filter: uid=%U\nldap_group_dn: cn=%d,{GROUPS}\nldap_group_attr: member\n", BOB,
             [*_found(BOB), compare(f"cn=example.org,{GROUPS}", "member")], login="bob@example.org")
    yield of("filter", by_filter + "ldap_group_filter: (&(cn=crew)(member=%D))\n", ALICE,
             [*_found(ALICE), search(f"(&(cn=crew)(member={ALICE.dn}))")])
    yield of("filter-and-its-base", by_filter + f"ldap_group_filter: (uniqueMember=%D)\n"
             f"ldap_group_search_base: {GROUPS}\n", ALICE,
             [*_found(ALICE), search(f"(uniqueMember={ALICE.dn})", GROUPS)])
    yield of("filter-finds-several", by_filter + "ldap_group_filter: (member=%D)\n", ALICE,
             [*_found(ALICE), search(f"(member={ALICE.dn})")], theirs=REFUSED)
    yield of("filter-finds-several-no-limit", by_filter + "ldap_group_filter: (member=%D)\nldap_size_limit: 0\n", ALICE,
             [*_found(ALICE), search(f"(member={ALICE.dn})")])
    yield of("filter-scope-one",
             by_filter + "ldap_group_filter: (memberUid=%u)\nldap_group_scope: one\n"
             f"ldap_group_search_base: {GROUPS}\n",
             ALICE, [*_found(ALICE), search("(memberUid=alice)", GROUPS, "one")])
    yield of("filter-scope-base",
             by_filter + f"ldap_group_filter: (member=%D)\nldap_group_search_base: {crew}\nldap_group_scope: base\n",
             ALICE, [*_found(ALICE), search(f"(member={ALICE.dn})", crew, "base")])
    yield of("filter-scope-is-its-own",
             f"ldap_search_base: {PEOPLE}\nldap_scope: one\n{by_filter}ldap_group_filter: (uid=%u)\n", ALICE,
             [search("(uid=alice)", PEOPLE, "one"), bind(ALICE.dn), search("(uid=alice)", PEOPLE)])
    yield of("filter-base-by-service",
             by_filter + f"ldap_group_filter: (member=%D)\nldap_group_search_base: cn=%s,{GROUPS}\n", ALICE,
             [*_found(ALICE), search(f"(member={ALICE.dn})", imap)])
    yield of("filter-refuses", by_filter + "ldap_group_filter: (&(cn=crew)(member=%D))\n", CAROL,
             [*_found(CAROL), search(f"(&(cn=crew)(member={CAROL.dn}))")], theirs=REFUSED)
    yield of("filter-and-odd-name", by_filter + "ldap_group_filter: (&(cn=crew)(member=%D))\n", ODD["parentheses"],
             [search(r"(uid=a\28b\29c)"), bind(ODD["parentheses"].dn),
              search(rf"(&(cn=crew)(member=uid=a\28b\29c,ou=odd,{SUFFIX}))")])
    yield of("of-custom", f"ldap_group_dn: {staff}\n", ALICE, [search("(uid=alice)"), compare(staff)], before=CUSTOM)
    yield of("of-custom-filter", by_filter + "ldap_group_filter: (&(cn=crew)(member=%D))\n", ALICE,
             [search("(uid=alice)"), search(f"(&(cn=crew)(member={ALICE.dn}))")], before=CUSTOM)
    yield of("of-custom-refused", f"ldap_group_dn: {staff}\n", CAROL, [search("(uid=carol)"), compare(staff)],
             before=CUSTOM, theirs=REFUSED)
    yield of("of-fastbind", f"ldap_group_dn: {staff}\n", ALICE, [bind(ALICE.dn), compare(staff, by=ALICE.dn)],
             before=FASTBIND + PEOPLES_DN)
    yield of("of-fastbind-refused", f"ldap_group_dn: {staff}\n", CAROL, [bind(CAROL.dn), compare(staff, by=CAROL.dn)],
             before=FASTBIND + PEOPLES_DN, theirs=REFUSED)


    by_sasl = SEARCHING + "ldap_use_sasl: yes\nldap_mech: DIGEST-MD5\n"
    yield of("of-sasl", f"ldap_group_dn: {staff}\n", ALICE, [bind(ALICE.dn), compare(staff, by=ALICE.dn)],
             before=by_sasl, theirs=REFUSED)
    yield of("of-sasl-filter", by_filter + "ldap_group_filter: (&(cn=crew)(member=%D))\n", ALICE,
             [bind(ALICE.dn), search(f"(&(cn=crew)(?member=dn:{ALICE.dn}))", by=ALICE.dn)], before=by_sasl,
             theirs=REFUSED, postern_asks=(bind(ALICE.dn), search(f"(&(cn=crew)(member={ALICE.dn}))", by=ALICE.dn)))


def _searches():
    def of(name, conf, person, asks, **more):
        return _of(name, READING + conf, person, asks, **more)

    yield of("scope-sub", f"ldap_search_base: {SUFFIX}\nldap_scope: sub\n", DORA, _found(DORA))
    yield of("scope-one", f"ldap_search_base: {PEOPLE}\nldap_scope: one\n", ALICE,
             _found(ALICE, base=PEOPLE, scope="one"))
    yield of("scope-one-too-deep", f"ldap_search_base: {PEOPLE}\nldap_scope: one\n", DORA,
             [search("(uid=dora)", PEOPLE, "one")], theirs=REFUSED)
    yield of("scope-base", f"ldap_search_base: uid=%u,{PEOPLE}\nldap_scope: base\nldap_filter: (objectClass=person)\n",
             ALICE, _found(ALICE, "(objectClass=person)", base=ALICE.dn, scope="base"))
    aliases = f"ou=aliases,{SUFFIX}"
    yield of("deref-never", f"ldap_search_base: {aliases}\nldap_deref: never\n", ALICE,
             [search("(uid=alice)", aliases)], theirs=REFUSED)
    yield of("deref-search", f"ldap_search_base: {aliases}\nldap_deref: search\n", ALICE,
             _found(ALICE, base=aliases, deref="search"))
    yield of("deref-find", f"ldap_search_base: uid=white-rabbit,{aliases}\nldap_deref: find\n", ALICE,
             _found(ALICE, base=f"uid=white-rabbit,{aliases}", deref="find"))
    yield of("deref-always", f"ldap_search_base: {aliases}\nldap_deref: always\n", ALICE,
             _found(ALICE, base=aliases, deref="always"))
    twin, address = "(mail=twin@postern.test)", "twin@postern.test"
    by_mail = f"ldap_search_base: {SUFFIX}\nldap_filter: (mail=%u)\n"
    yield of("two-matches", by_mail, TWINS[0], [search(twin)], login=address, theirs=REFUSED)
    yield of("two-matches-the-other", by_mail, TWINS[1], [search(twin)], login=address, theirs=REFUSED)
    yield of("two-matches-no-limit", by_mail + "ldap_size_limit: 0\n", TWINS[0], [search(twin)], login=address,
             theirs=REFUSED)
    yield of("two-matches-custom", by_mail + "ldap_size_limit: 2\nldap_auth_method: custom\n", TWINS[1],
             [search(twin)], login=address, theirs=REFUSED)
    everywhere = f"ldap_search_base: {SUFFIX}\n"
    yield of("referrals-not-followed", everywhere + "ldap_referrals: no\n", EMIL, [search("(uid=emil)")],
             theirs=REFUSED)
    yield of("referrals-followed", everywhere + "ldap_referrals: yes\n", ALICE,
             [*_found(ALICE), search("(uid=alice)", f"ou=elsewhere,{SUFFIX}", by="")])
    yield of("referrals-followed-to-a-user", everywhere + "ldap_referrals: yes\n", EMIL,
             [*_found(EMIL), search("(uid=emil)", f"ou=elsewhere,{SUFFIX}", by="")], theirs=REFUSED)


def _ways():
    """To the server: servers, TLS, UNIX sockets, SASL."""
    def of(name, conf, asks=None, person=ALICE, **more):
        return _of(name, conf, person, _found(person) if asks is None else asks, **more)

    yield of("servers-by-name", SEARCHING + "ldap_servers: ldap://localhost:389/\n")
    yield of("servers-the-second-answers", SEARCHING + "ldap_servers: ldap://localhost:9/ ldap://localhost/\n")
    yield of("servers-two-blanks", SEARCHING + "ldap_servers: ldap://localhost:9/  ldap://localhost:389\n")
    yield of("servers-with-a-dn", SEARCHING + "ldap_servers: ldap://localhost/dc=nobody\n")
    yield of("servers-with-an-escape", SEARCHING + "ldap_servers: ldap://local%68ost:389/\n")
    yield of("servers-by-name-in-brackets", SEARCHING + "ldap_servers: ldap://[localhost]:389/\n")
    yield of("servers-the-later-line", SEARCHING + "ldap_servers: ldap://host:port/\nldap_servers: ldap://localhost/\n")
    yield of("ldapi", SEARCHING + f"ldap_servers: {LDAPI_URI}\n")
    authority = f"ldap_tls_cacert_file: {TLS}/authority.pem\n"
    yield of("start-tls", START_TLS + "ldap_start_tls: yes\n", [start_tls(), *_found(ALICE)])
    yield of("ldaps", SEARCHING + f"ldap_servers: ldaps://localhost/\n{authority}")
    yield of("ldaps-with-an-escape", SEARCHING + f"ldap_servers: ldaps://local%68ost/\n{authority}")
    yield of("ldaps-by-name-in-brackets", SEARCHING + f"ldap_servers: ldaps://[localhost]/\n{authority}")
    yield of("ldaps-the-later-file", START_TLS.replace(authority, "ldap_tls_cacert_file: a.pem\n" + authority)
             + "ldap_servers: ldaps://localhost/\n")
    yield of("ldaps-checked", SEARCHING + f"ldap_servers: ldaps://localhost/\n{authority}ldap_tls_check_peer: yes\n")
    yield of("ldaps-unchecked", SEARCHING + "ldap_servers: ldaps://localhost/\nldap_tls_check_peer: no\n")
    yield of("ldaps-ciphers", SEARCHING + f"ldap_servers: ldaps://localhost/\n{authority}ldap_tls_ciphers: NORMAL\n")
    yield of("ldaps-own-certificate", SEARCHING + f"ldap_servers: ldaps://localhost/\n{authority}{OWN_CERTIFICATE}")
    yield of("ldaps-own-certificate-demanded", START_TLS + STRICT_LDAPS + OWN_CERTIFICATE)
    yield of("start-tls-own-certificate-demanded", START_TLS + STRICT_START_TLS + OWN_CERTIFICATE,
             [start_tls(), *_found(ALICE)])
    yield of("ldaps-directory", SEARCHING + f"ldap_servers: ldaps://localhost/\nldap_tls_cacert_dir: {TLS}/directory\n")
    yield of("start-tls-fastbind", START_TLS + "ldap_start_tls: yes\n" + FASTBIND + PEOPLES_DN,
             [start_tls(), bind(ALICE.dn)])
    yield of("start-tls-custom", START_TLS + "ldap_start_tls: yes\nldap_auth_method: custom\n",
             [start_tls(), search("(uid=alice)")])
    external = SEARCHING + f"ldap_servers: {LDAPI_URI}\nldap_use_sasl: yes\nldap_mech: EXTERNAL\n"
    yield of("ldapi-external", external + "ldap_auth_method: custom\n", [search("(uid=alice)"), bind(READER)])
    in_clear = "ldap_sasl_secprops: none\n"  # libldap would not send it
    for mech in ("DIGEST-MD5", "CRAM-MD5", "SCRAM-SHA-1", "SCRAM-SHA-256", "PLAIN"):
        by_mech = f"ldap_mech: {mech}\n" + (in_clear if mech == "PLAIN" else "")
        yield of(f"sasl-{mech}", f"ldap_use_sasl: yes\n{by_mech}", [bind(ALICE.dn)])
        yield of(f"sasl-{mech}-custom", CUSTOM + f"ldap_use_sasl: yes\n{by_mech}ldap_id: reader\n",
                 [bind(READER), search("(uid=alice)")])
        if mech != "CRAM-MD5":  # which knows nobody to act for (RFC 2195)
            yield of(f"sasl-{mech}-for-another", CUSTOM + FOR_THE_READER + by_mech,
                     [bind(DEPUTY.dn, "u:reader"), search("(uid=alice)", by=DEPUTY.dn)])
    yield of("sasl-aliases", f"ldap_search_base: {SUFFIX}\nldap_bind_pw: {READER_PASSWORD}\nldap_auth_method: custom\n"
             "ldap_use_sasl: yes\nldap_sasl_mech: DIGEST-MD5\nldap_sasl_realm: postern.test\n"
             "ldap_sasl_authc_id: reader\nldap_sasl_authz_id: u:reader\n",
             [bind(READER, "u:reader"), search("(uid=alice)")])
    yield of("sasl-realm-that-is-not-offered", CUSTOM + "ldap_use_sasl: yes\nldap_mech: DIGEST-MD5\nldap_id: reader\n"
             "ldap_realm: elsewhere.test\n", [bind(READER), search("(uid=alice)")])
    yield of("sasl-secprops", "ldap_use_sasl: yes\nldap_mech: DIGEST-MD5\nldap_sasl_secprops: noanonymous,minssf=128\n",
             [bind(ALICE.dn)])
    yield of("sasl-is-fastbind", "ldap_use_sasl: yes\nldap_mech: DIGEST-MD5\nldap_auth_method: bind\n",
             [bind(ALICE.dn)])


def _booleans():
    """Seen by whether TLS begins."""
    def of(value, is_yes, **more):
        return _of(f"boolean-{value}", START_TLS + f"ldap_start_tls: {value}\n", ALICE,
                   [*([start_tls()] if is_yes else []), *_found(ALICE)], **more)

    for value in ("yes", "y", "true", "t", "on", "1", "yes please"):
        yield of(value, True)
    for value in ("no", "n", "false", "f", "off", "0"):
        yield of(value, False)
    for value in ("Yes", "YES", "True", "TRUE", "On", "ON", "Y", "T"):
        yield of(value, False, postern_asks=(start_tls(), *_found(ALICE)))


def _hashes():
    for name, person in HASHED.items():
        is_known = name not in ("sha256", "ssha256", "ssha512")
        yield _of(f"scheme-{name}", CUSTOM, person, [search(f"(uid=by-{name})")], password=HASHED_PASSWORD,
                  theirs=ACCEPTED if is_known else REFUSED)
    yield _of("scheme-of-another-attribute", CUSTOM + "ldap_password_attr: mail\n", ALICE, [search("(uid=alice)")],
              password="alice@postern.test")
    yield _of("scheme-first-of-two-values", CUSTOM, TWO_PASSWORDS, [search("(uid=two-passwords)")], theirs=REFUSED)
    yield _of("scheme-last-of-two-values", CUSTOM, TWO_PASSWORDS, [search("(uid=two-passwords)")],
              password=SECOND_PASSWORD)
    yield _of("scheme-no-value", CUSTOM, NO_PASSWORD, [search("(uid=no-password)")], theirs=REFUSED,
              postern_asks=(search("(uid=no-password)"), compare(NO_PASSWORD.dn, "userPassword")))


def _options():
    def of(name, conf, **more):
        return _of(f"option-{name}", SEARCHING + conf, ALICE, _found(ALICE), **more)

    yield of("password-alias", f"ldap_password: other\nldap_bind_pw: {READER_PASSWORD}\n")
    yield of("later-wins", f"ldap_filter: (cn=nobody)\nldap_filter: (uid=%u)\nldap_search_base: {SUFFIX}\n")
    yield _of("option-scope-twice", READING + f"ldap_search_base: {PEOPLE}\nldap_scope: one\nldap_scope: sub\n", DORA,
              [search("(uid=dora)", PEOPLE, "one")], theirs=REFUSED, postern_asks=tuple(_found(DORA, base=PEOPLE)))
    yield of("numbers", "ldap_timeout: 3\nldap_time_limit: 3\nldap_size_limit: 1\nldap_restart: yes\n")
    yield of("no-limits", "ldap_time_limit: 0\nldap_size_limit: 0\nldap_restart: no\n")
    yield _of("option-version-2", READING + f"ldap_search_base: {PEOPLE}\nldap_version: 2\n", ALICE,
              _found(ALICE, base=PEOPLE))
    yield of("version-3", "ldap_version: 3\n")
    for end, name in ((" ", "blank"), ("\t", "tab"), ("\r", "cr")):
        yield of(f"word-and-{name}", f"ldap_auth_method: fastbind{end}\nldap_group_match_method: filter{end}\n")
        yield _of(f"option-scope-and-{name}", READING + f"ldap_search_base: {PEOPLE}\nldap_scope: one{end}\n", DORA,
                  _found(DORA, base=PEOPLE))
    yield of("start-tls-the-later-line", "ldap_start_tls: perhaps\nldap_start_tls: no\n")
    yield of("spelling", "\n# a comment\n   # another\n\n  LDAP_Filter:(uid=%u)\nldap_scope:     sub\n")
    yield of("unknown-key", "ldap_starttls: yes\nldap_ssl: start_tls\nldap_port: 9\n")


def _names():
    """As they are typed, in a filter; and in a DN, where saslauthd escapes as if it were a filter."""
    logged = {"star": r"(uid=a\2Ab)", "parentheses": r"(uid=a\28b\29c)", "backslash": r"(uid=a\5Cb)",
              "utf-8": r"(uid=j\C3\BCrgen)"}
    for name, person in ODD.items():
        yield _of(f"name-{name}", SEARCHING, person, _found(person, logged.get(name)))
    injected = ("leading-hash", "comma", "quote", "plus", "semicolon", "less", "more")
    for name, person in ODD.items():
        is_broken = name in injected
        yield _of(f"dn-{name}", FASTBIND + f"ldap_filter: uid=%u,ou=odd,{SUFFIX}\n", person,
                  [] if is_broken else [bind(person.dn)], theirs=REFUSED if is_broken else ACCEPTED,
                  postern_asks=(bind(person.dn),) if is_broken else None)
    yield _of("name-latin-1", SEARCHING + "ldap_filter: (octetUid=%u)\n", LATIN_1,
              _found(LATIN_1, r"(octetUid=j\FCrgen)"), login=LATIN_1_NAME, nobody=b"nobody-\xfc")
    yield _of("name-of-200-bytes", SEARCHING, LONG_NAME, _found(LONG_NAME))
    yield _of("name-with-blanks-around", SEARCHING, ALICE, _found(ALICE), login=" alice ")
    yield _of("name-in-capitals", SEARCHING, ALICE, _found(ALICE), login="ALICE")
    yield _of("name-a-filter", SEARCHING, ALICE, [search(r"(uid=\2A\29\28uid=\2A)")], login="*)(uid=*", theirs=REFUSED)
    yield _of("name-a-pattern", SEARCHING, ALICE, [search(r"(uid=al\2A)")], login="al*", theirs=REFUSED)
    yield _of("name-an-escape", SEARCHING, ALICE, [search(r"(uid=\5C61lice)")], login=r"\61lice", theirs=REFUSED)
    yield _of("dn-a-dn", FASTBIND + f"ldap_filter: uid=%u,{SUFFIX}\n", ALICE, [bind(ALICE.dn)], login="alice,ou=people",
              postern_asks=(bind(rf"uid=alice\2Cou\3Dpeople,{SUFFIX}"),))
    yield _of("base-a-dn", READING + f"ldap_search_base: ou=%d,{SUFFIX}\nldap_filter: (uid=%U)\n", DORA,
              _found(DORA, base=f"ou=deep,{PEOPLE}"), login="dora@deep,ou=people",
              postern_asks=(search("(uid=dora)", rf"ou=deep\2Cou\3Dpeople,{SUFFIX}"),))


def _passwords():
    for person in (*EIGHT_BIT, BLANKS, FORGING, LONG[127]):
        yield _of(f"password-{person.uid}", SEARCHING, person, _found(person))
    for length in (128, 200):
        yield _of(f"password-long{length}", SEARCHING, LONG[length], _found(LONG[length]), theirs=REFUSED)
    yield _of("password-8-bit-custom", CUSTOM, EIGHT_BIT[1], [search("(uid=latin1)")])
    yield _of("password-long127-custom", CUSTOM, LONG[127], [search("(uid=long127)")])
    yield _of("password-long127-fastbind", FASTBIND + PEOPLES_DN, LONG[127], [bind(LONG[127].dn)])
    yield _of("policy-locked", SEARCHING, LOCKED, _found(LOCKED), theirs=REFUSED)
    yield _of("policy-expired", SEARCHING, EXPIRED, _found(EXPIRED), theirs=REFUSED)
    yield _of("policy-must-change", SEARCHING, MUST_CHANGE, _found(MUST_CHANGE))


COMBINATIONS = [combination for part in (_methods, _tokens, _groups, _searches, _ways, _booleans, _hashes, _options,
                                         _names, _passwords) for combination in part()]
