"""What those find who look for a server's weak points in TLS: sslyze, and openssl's own client.

Both come from outside, with their own idea of what a server must not take.
"""

from __future__ import annotations

import socket
import ssl
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from httpd.certificates import Certificates
from httpd.server.server import Server

from .authority import Authority
from .exchange import serving
from .tools import needs, needs_module

pytestmark = [pytest.mark.tools, pytest.mark.filterwarnings("ignore:Parsed a serial number")]


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def server(authority: Authority) -> Iterator[Server]:
    certificate, key = map(str, authority.issue("localhost", "127.0.0.1"))
    with serving(tls=Certificates([(certificate, key)])) as server:
        yield server


def typed(server: Server, *options: str, data: str = "") -> str:
    """All that openssl's client says."""
    command = [needs("openssl"), "s_client", "-connect", f"127.0.0.1:{server.port}", *options]
    done = subprocess.run(command, input=data, capture_output=True, text=True, timeout=30)
    return done.stdout + done.stderr


# ---- sslyze


@pytest.fixture(scope="module")
def found(server: Server) -> Any:
    """What sslyze has found."""
    needs_module("sslyze")
    from sslyze import ScanCommand, Scanner, ServerNetworkLocation, ServerScanRequest

    commands = {
        ScanCommand.SSL_2_0_CIPHER_SUITES, ScanCommand.SSL_3_0_CIPHER_SUITES, ScanCommand.TLS_1_0_CIPHER_SUITES,
        ScanCommand.TLS_1_1_CIPHER_SUITES, ScanCommand.TLS_1_2_CIPHER_SUITES, ScanCommand.TLS_1_3_CIPHER_SUITES,
        ScanCommand.TLS_COMPRESSION, ScanCommand.TLS_FALLBACK_SCSV, ScanCommand.HEARTBLEED, ScanCommand.ROBOT,
        ScanCommand.OPENSSL_CCS_INJECTION, ScanCommand.SESSION_RENEGOTIATION, ScanCommand.ELLIPTIC_CURVES,
        ScanCommand.CERTIFICATE_INFO, ScanCommand.TLS_EXTENDED_MASTER_SECRET, ScanCommand.TLS_1_3_EARLY_DATA,
    }  # fmt: skip
    scanner = Scanner()
    location = ServerNetworkLocation("localhost", server.port, ip_address="127.0.0.1")
    scanner.queue_scans([ServerScanRequest(location, scan_commands=commands)])
    [result] = scanner.get_results()
    assert result.scan_result is not None, result.connectivity_error_trace
    return result.scan_result


def test_protocols_below_1_2_are_refused(found: Any) -> None:
    for old in (found.ssl_2_0_cipher_suites, found.ssl_3_0_cipher_suites, found.tls_1_0_cipher_suites):
        assert old.result.accepted_cipher_suites == []
    assert found.tls_1_1_cipher_suites.result.accepted_cipher_suites == []


def test_every_suite_is_forward_secret_and_authenticated(found: Any) -> None:
    accepted = [suite.cipher_suite for suite in found.tls_1_2_cipher_suites.result.accepted_cipher_suites]
    assert {suite.name for suite in accepted} == {
        "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",
        "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384",
        "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256",
    }
    newest = [suite.cipher_suite.name for suite in found.tls_1_3_cipher_suites.result.accepted_cipher_suites]
    assert set(newest) == {"TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256"}


def test_none_of_the_known_attacks_works(found: Any) -> None:
    assert not found.tls_compression.result.supports_compression
    assert not found.heartbleed.result.is_vulnerable_to_heartbleed
    assert not found.openssl_ccs_injection.result.is_vulnerable_to_ccs_injection
    assert "NOT_VULNERABLE" in found.robot.result.robot_result.name
    assert not found.session_renegotiation.result.is_vulnerable_to_client_renegotiation_dos
    assert found.session_renegotiation.result.supports_secure_renegotiation
    assert found.tls_extended_master_secret.result.supports_ems_extension
    assert not found.tls_1_3_early_data.result.supports_early_data


def test_the_curves_are_modern(found: Any) -> None:
    curves = {curve.name for curve in found.elliptic_curves.result.supported_curves}
    assert curves == {"X25519", "X448", "secp256r1", "secp384r1", "secp521r1"}


def test_the_chain_comes_whole(found: Any) -> None:
    [deployed] = found.certificate_info.result.certificate_deployments
    names = [certificate.subject.rfc4514_string() for certificate in deployed.received_certificate_chain]
    assert names == ["CN=localhost", "CN=between"]
    assert deployed.received_chain_has_valid_order


# ---- openssl's own client


def test_a_client_that_trusts_the_root_alone_is_content(server: Server, authority: Authority) -> None:
    said = typed(server, "-CAfile", str(authority.trusted), "-verify_return_error", "-verify_hostname", "localhost")
    assert "Verify return code: 0 (ok)" in said
    assert "Verification: OK" in said


@pytest.mark.parametrize(
    "suite", ["AES128-GCM-SHA256", "ECDHE-ECDSA-AES128-SHA256", "DHE-RSA-AES128-GCM-SHA256", "NULL-SHA", "ADH", "PSK"]
)
def test_a_weak_suite_is_refused(server: Server, suite: str) -> None:
    said = typed(server, "-tls1_2", "-cipher", f"{suite}:@SECLEVEL=0")
    assert "Cipher is (NONE)" in said


def test_the_client_chooses_the_suite(server: Server) -> None:
    """All are good, and it knows what its machine does fast."""
    for suite in ("TLS_CHACHA20_POLY1305_SHA256", "TLS_AES_128_GCM_SHA256"):
        others = "TLS_AES_256_GCM_SHA384"
        assert f"Cipher is {suite}" in typed(server, "-ciphersuites", f"{suite}:{others}")


def test_a_session_is_resumed_in_both_versions(server: Server, tmp_path: Path) -> None:
    for version in ("-tls1_2", "-tls1_3"):
        session = str(tmp_path / version)
        request = "GET / HTTP/1.0\r\n\r\n"
        first = typed(server, version, "-sess_out", session, "-ign_eof", data=request)
        assert "New, " in first
        assert "Reused, " in typed(server, version, "-sess_in", session, "-ign_eof", data=request)


# ---- a rotation, counted


@pytest.mark.slow
def test_openssl_under_a_rotation(tmp_path: Path, authority: Authority) -> None:
    """openssl's client takes each certificate, and no handshake of a hundred fails, while the files change under it."""
    certificate, key = tmp_path / "certificate", tmp_path / "key"
    texts = [authority.pem("localhost") for _ in range(2)]
    certificate.write_bytes(texts[0][0])
    key.write_bytes(texts[0][1])
    with serving(tls=Certificates([(str(certificate), str(key))])) as server, ThreadPoolExecutor(3) as pool:

        def serial(_: int) -> str:
            said = typed(server, "-CAfile", str(authority.trusted), "-verify_return_error", "-showcerts")
            assert "Verify return code: 0 (ok)" in said
            return said.partition("-----BEGIN CERTIFICATE-----")[2][:200]

        seen = set(pool.map(serial, range(20)))
        certificate.write_bytes(texts[1][0])
        seen |= set(pool.map(serial, range(20)))
        key.write_bytes(texts[1][1])
        end = time.monotonic() + 20
        while len(seen) < 2 and time.monotonic() < end:
            seen |= set(pool.map(serial, range(6)))
    assert len(seen) == 2


def test_no_client_of_python_s_is_left_out(server: Server, authority: Authority) -> None:
    for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
        context = authority.client()
        context.minimum_version = context.maximum_version = version
        with (
            socket.create_connection(("127.0.0.1", server.port), 10) as sock,
            context.wrap_socket(sock, server_hostname="127.0.0.1") as secure,
        ):
            assert secure.version() == version.name.replace("v1_", "v1.")
            assert secure.compression() is None
