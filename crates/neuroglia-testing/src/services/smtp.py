"""A mail server by aiosmtpd, that keeps what it takes, and misbehaves towards whom it is told to.

    smtp.py FOLDER PORT [starttls|wrapped] [auth]

What has arrived stands in FOLDER/arrived, one JSON document a line, as Python's own parser reads it. A file
FOLDER/ways/ADDRESS says what happens to mail for that address; its words are those of `answer` below. With `starttls`
or `wrapped`, it speaks TLS with the certificate in FOLDER; with `auth`, it takes mail only from the user of `KNOWN`, and
from nobody while there is a file FOLDER/changed.
"""

import asyncio
import email
import email.policy
import json
import os
import ssl
import sys

from aiosmtpd.smtp import SMTP, AuthResult

KNOWN = (b"pizzeria", b"p@ss word")

folder, port, features = sys.argv[1], int(sys.argv[2]), sys.argv[3:]


def way(address, *words):
    """The way that mail for the address goes, if it is one of the words; what happens once is then forgotten."""
    path = os.path.join(folder, "ways", address)
    try:
        with open(path) as file:
            word = file.read()
    except FileNotFoundError:
        return None
    if word not in words:
        return None
    if word.endswith("-once"):
        os.remove(path)
    return word


def keep(session, envelope):
    message = email.message_from_bytes(envelope.content, policy=email.policy.default)
    part = lambda kind: message.get_body((kind,))
    text = lambda part: part and part.get_content().replace("\r\n", "\n")
    line = json.dumps(
        {
            "from": envelope.mail_from,
            "to": envelope.rcpt_tos,
            "encrypted": session.ssl is not None or "wrapped" in features,
            "user": session.auth_data and session.auth_data.login.decode(),
            "headers": [[name, str(value)] for name, value in message.items()],
            "text": text(part("plain")),
            "html": text(part("html")),
        }
    )
    with open(os.path.join(folder, "arrived"), "a") as file:
        file.write(line + "\n")


class Handler:
    async def handle_RCPT(self, server, session, envelope, address, options):
        match way(address, "refuse", "refuse-once"):
            case "refuse":
                return f"550 5.1.1 <{address}> is nobody here"
            case "refuse-once":
                return "451 4.7.1 come again"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope):
        match way(envelope.rcpt_tos[0], "refuse-content", "leave-once", "lose-answer-once"):
            case "refuse-content":
                return "554 5.7.1 this looks like advertisement"
            case "leave-once":
                server.transport.abort()
                return "421 gone"
            case "lose-answer-once":
                keep(session, envelope)
                server.transport.abort()
                return "421 gone"
        keep(session, envelope)
        return "250 OK"


def let_in(server, session, envelope, mechanism, data):
    known = (data.login, data.password) == KNOWN and not os.path.exists(os.path.join(folder, "changed"))
    return AuthResult(success=known, handled=known, auth_data=data)


def context():
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.load_cert_chain(os.path.join(folder, "server.crt"), os.path.join(folder, "server.key"))
    return made


def connection():
    return SMTP(
        Handler(),
        hostname="mail.test",
        tls_context=context() if "starttls" in features else None,
        authenticator=let_in,
        auth_required="auth" in features,
        auth_require_tls=False,
    )


async def serve():
    server = await asyncio.get_running_loop().create_server(
        connection, "127.0.0.1", port, ssl=context() if "wrapped" in features else None
    )
    await server.serve_forever()


asyncio.run(serve())
