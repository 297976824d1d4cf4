# SPDX-License-Identifier: BSD-2-Clause
"""Debian's libsasl2, asked as a server without saslauthd asks it: it reads /etc/sasldb2 itself."""

import ctypes

SASL_OK = 0
SASL_BADAUTH = -13
SASL_NOUSER = -20


def accepts(user, password):
    """Whether sasl_checkpass(3) takes the password; an error is neither yes nor no."""
    library = ctypes.CDLL("libsasl2.so.2")
    connection = ctypes.c_void_p()
    assert library.sasl_server_init(None, b"postern-test") == SASL_OK
    assert library.sasl_server_new(b"imap", None, None, None, None, None, 0, ctypes.byref(connection)) == SASL_OK
    name, secret = user.encode(), password.encode()
    status = library.sasl_checkpass(connection, name, len(name), secret, len(secret))
    library.sasl_dispose(ctypes.byref(connection))
    library.sasl_done()
    assert status in (SASL_OK, SASL_BADAUTH, SASL_NOUSER), f"sasl_checkpass: {status}"
    return status == SASL_OK
