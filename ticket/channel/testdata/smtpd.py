"""A real mail server for the tests (aiosmtpd, Debian's python3-aiosmtpd): STARTTLS, sign-in, and three kinds of recipients.

smtpd.py HOST PORT CERT KEY USER PASSWORD FOLDER

Mail to gone@… is refused for good (550), to later@… for now (451) until the file FOLDER/open is there; all others are kept,
one file each: a line of JSON with the envelope, then the mail.
"""
import asyncio
import json
import os
import ssl
import sys

from aiosmtpd.smtp import SMTP, AuthResult, LoginPassword

host, port, cert, key, user, password, folder = sys.argv[1:]


class Keep:
    count = len(os.listdir(folder))  # those that it took before it was stopped stay

    async def handle_RCPT(self, server, session, envelope, address, options):
        if address.startswith("gone@"):
            return "550 5.1.1 no such user here"
        if address.startswith("later@") and not os.path.exists(os.path.join(folder, "open")):
            return "451 4.7.1 greylisted, come again"
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 ok"

    async def handle_DATA(self, server, session, envelope):
        Keep.count += 1
        name = os.path.join(folder, "%06d" % Keep.count)
        with open(name + ".part", "wb") as f:
            f.write(json.dumps({"from": envelope.mail_from, "to": envelope.rcpt_tos, "tls": session.ssl is not None, "user": session.authenticated}).encode() + b"\n")
            f.write(envelope.original_content)
        os.rename(name + ".part", name + ".mail")
        return "250 2.0.0 queued as %d" % Keep.count


def signs_in(server, session, envelope, mechanism, data):
    good = isinstance(data, LoginPassword) and data.login == user.encode() and data.password == password.encode()
    return AuthResult(success=good)


async def main():
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(cert, key)
    loop = asyncio.get_running_loop()
    server = await loop.create_server(
        lambda: SMTP(Keep(), hostname="mail.test", tls_context=tls, require_starttls=True, authenticator=signs_in, auth_required=True, loop=loop),
        host, int(port))
    async with server:
        await server.serve_forever()


asyncio.run(main())
