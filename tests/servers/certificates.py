"""A throw-away certificate authority: good certificates, and each way of being a bad one."""
from __future__ import annotations

import datetime
import ipaddress
import ssl
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

DAY, ROOT = datetime.timedelta(days=1), "Test root"


def name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


class Authority:
    """`ca_file` is its root; `context(...)` makes a server's TLS context."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.ca_file = str(folder / "ca.pem")
        # Python 3.13 verifies strictly (RFC 5280): key identifiers and the root's usage are needed
        usage = x509.KeyUsage(False, False, False, False, False, True, True, False, False)
        root = self._build(ROOT, self.key.public_key(), ROOT, self.key, usage, critical=True)
        Path(self.ca_file).write_bytes(root.public_bytes(serialization.Encoding.PEM))

    @staticmethod
    def _build(subject: str, public_key, issuer: str, signer, extension, critical: bool = False,
               expired: bool = False):
        now = datetime.datetime.now(datetime.timezone.utc)
        end = now - DAY if expired else now + 30 * DAY
        builder = x509.CertificateBuilder(name(issuer), name(subject), public_key,
                                          x509.random_serial_number(), end - 60 * DAY, end)
        for each, is_critical in (
                (x509.SubjectKeyIdentifier.from_public_key(public_key), False),
                (x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), False),
                (x509.BasicConstraints(critical, None), True), (extension, critical)):
            builder = builder.add_extension(each, is_critical)
        return builder.sign(signer, hashes.SHA256())

    def context(self, *names: str, **how: bool) -> ssl.SSLContext:
        """A server context whose certificate is for these names or addresses."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.chain(*names, **how))
        return context

    def chain(self, *names: str, expired: bool = False, self_signed: bool = False) -> Path:
        """A file with such a certificate and its key."""
        key = ec.generate_private_key(ec.SECP256R1())
        issuer, signer = (names[0], key) if self_signed else (ROOT, self.key)
        alternatives = [x509.IPAddress(ipaddress.ip_address(each)) if each[0].isdigit()
                        else x509.DNSName(each) for each in names]
        certificate = self._build(names[0], key.public_key(), issuer, signer,
                                  x509.SubjectAlternativeName(alternatives), expired=expired)
        path = self.folder / f"{certificate.serial_number}.pem"
        path.write_bytes(certificate.public_bytes(serialization.Encoding.PEM) + key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption()))
        return path
