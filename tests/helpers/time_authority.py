"""A time authority (RFC 3161) on this machine: OpenSSL's, behind a web server of the tests."""

from __future__ import annotations

import datetime
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

CONFIG = """
[tsa]
default_tsa = policy
[policy]
serial = {folder}/serial
signer_cert = {folder}/tsa.pem
signer_key = {folder}/tsa.key
signer_digest = sha256
default_policy = 1.2.3.4.1
digests = sha256
ess_cert_id_chain = no
ess_cert_id_alg = sha256
"""


def make_authority(folder: Path) -> Path:
    """Keys, certificates and configuration; returns the root's certificate."""
    start = datetime.datetime.now(datetime.UTC) - datetime.timedelta(days=1)

    def certificate(
        name: str, key: rsa.RSAPrivateKey, issuer: str, issuer_key: rsa.RSAPrivateKey
    ) -> x509.Certificate:
        is_root = name == issuer
        builder = (
            x509.CertificateBuilder()
            .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
            .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, issuer)]))
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(start)
            .not_valid_after(start + datetime.timedelta(days=3650))
            .add_extension(x509.BasicConstraints(ca=is_root, path_length=None), True)
            .add_extension(
                x509.KeyUsage(
                    not is_root, False, False, False, False, is_root, is_root, False, False
                ),
                True,
            )
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()), False
            )
        )
        if not is_root:
            usage = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.TIME_STAMPING])
            builder = builder.add_extension(usage, True)
        return builder.sign(issuer_key, hashes.SHA256())

    root_key, key = (rsa.generate_private_key(65537, 2048) for _ in range(2))
    pem = serialization.Encoding.PEM
    (folder / "root.pem").write_bytes(
        certificate("Root of time", root_key, "Root of time", root_key).public_bytes(pem)
    )
    (folder / "tsa.pem").write_bytes(
        certificate("Time authority of tests", key, "Root of time", root_key).public_bytes(pem)
    )
    (folder / "tsa.key").write_bytes(
        key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    (folder / "serial").write_text("01")
    (folder / "tsa.conf").write_text(CONFIG.format(folder=folder))
    return folder / "root.pem"


@contextmanager
def time_authority(folder: Path) -> Iterator[str]:
    """The address of the authority in this folder, for as long as it is needed."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            (folder / "query").write_bytes(self.rfile.read(int(self.headers["content-length"])))
            command = ["openssl", "ts", "-reply", "-config", f"{folder}/tsa.conf", "-section"]
            command += ["policy", "-queryfile", f"{folder}/query", "-out", f"{folder}/reply"]
            subprocess.run(command, check=True, capture_output=True)
            answer = (folder / "reply").read_bytes()
            self.send_response(200)
            self.send_header("content-type", "application/timestamp-reply")
            self.send_header("content-length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
