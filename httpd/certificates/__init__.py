"""Certificates, for TLS: one of our own at once, those that a person has got elsewhere, and new ones in their place."""

from .contexts import CertificateError, from_files, server_context
from .own import SelfSigned, self_signed
from .renewed import Certificates

__all__ = ["CertificateError", "Certificates", "SelfSigned", "from_files", "self_signed", "server_context"]
