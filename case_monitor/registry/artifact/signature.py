"""OpenSSF model signatures, verified offline with what the operator named.

What verifies is an extra, `case-monitor[signing]`, and imported where a signature is asked for.
"""

import base64
import binascii
import hashlib
import json
import stat
from pathlib import Path
from typing import Any

from case_monitor.domain.errors import ConfigError
from case_monitor.registry.artifact.files import ADDED_BY_MLFLOW, SIGNATURE, entries
from case_monitor.registry.artifact.refusal import Refusal, shown

_LARGEST = 16 << 20


def verified_signer(folder: Path, signing_key: Path | None) -> str:
    """Who signed all files of a version.

    Args:
        folder: its files, with the signature in `model.sig`.
        signing_key: a public key (elliptic curve), or certificates of those who may issue a signer's, as PEM.

    Returns:
        `key sha256:...`, of the key's DER form, or `certificate <subject> sha256:...`.

    Raises:
        Refusal: it is not signed, by somebody else, or has other files than were signed.
        ConfigError: the key cannot be read, or the extra `signing` is not installed.
    """
    trusted = _pem(signing_key)
    # A folder of that name would hide what is in it.
    unsigned = {SIGNATURE, ADDED_BY_MLFLOW}
    files = {name for name, status in entries(folder) if stat.S_ISREG(status.st_mode)}
    if SIGNATURE not in files or (folder / SIGNATURE).stat().st_size > _LARGEST:
        raise Refusal(SIGNATURE, "an OpenSSF model signature", "none")
    bundle = _bundle(folder / SIGNATURE)
    _verify(folder, trusted, bundle)
    signed = _signed_names(bundle)
    for name in sorted((files - unsigned) ^ signed):
        raise Refusal(name, "the files that were signed", "one more" if name in files else "one less")
    return _signer(trusted, bundle)


def _pem(path: Path | None) -> tuple[Path, str, bytes]:
    """The file, what is in it, and its first block's bytes."""
    if path is None:
        raise ConfigError("signing_key: a public key was expected because `pickles` is `signed`, none came")
    try:
        text = path.read_text(encoding="ascii")
    except (OSError, UnicodeDecodeError):
        raise ConfigError(f"signing_key: a public key or certificates in PEM were expected at {path}") from None
    for kind in ("PUBLIC KEY", "CERTIFICATE"):
        _, found, rest = text.partition(f"-----BEGIN {kind}-----")
        body, ended, _ = rest.partition(f"-----END {kind}-----")
        if found and ended:
            try:
                return path, kind, base64.b64decode("".join(body.split()), validate=True)
            except binascii.Error:
                break
    raise ConfigError(f"signing_key: a public key or certificates in PEM were expected in {path}")


def _bundle(path: Path) -> dict[str, object]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError):
        content = None
    material = content.get("verificationMaterial") if isinstance(content, dict) else None
    if not isinstance(material, dict):
        raise Refusal(SIGNATURE, "an OpenSSF model signature", "something else")
    return {**content, "verificationMaterial": material}


def _verify(folder: Path, trusted: tuple[Path, str, bytes], bundle: dict[str, Any]) -> None:
    path, kind, _ = trusted
    material = bundle["verificationMaterial"]
    try:
        from model_signing import hashing, verifying
    except ImportError:
        raise ConfigError("pickles: signed needs the extra case-monitor[signing], which is not installed") from None
    of = "publicKey" if kind == "PUBLIC KEY" else "x509CertificateChain"
    if not isinstance(material.get(of), dict) or (kind == "PUBLIC KEY" and not material[of].get("hint")):
        raise Refusal(SIGNATURE, f"a signature of model-signing 1.0 or newer with {kind.lower()}", "another")
    left_out = [Path(SIGNATURE), Path(ADDED_BY_MLFLOW)]
    # The library's constructors carry no types.
    asked = verifying.Config().set_hashing_config(  # type: ignore[no-untyped-call]
        hashing.Config().use_file_serialization().set_ignored_paths(paths=left_out, ignore_git_paths=False)  # type: ignore[no-untyped-call]
    )
    try:
        if kind == "PUBLIC KEY":
            asked.use_elliptic_key_verifier(public_key=path)
        else:
            asked.use_certificate_verifier(certificate_chain=[path])
    except Exception as error:
        raise ConfigError(f"signing_key: {path} cannot be used: {shown(str(error))}") from None
    try:
        asked.verify(folder, folder / SIGNATURE)
    except Exception as error:  # that of whichever library first stumbled over it
        said = shown(str(error) or type(error).__name__)
        raise Refusal(SIGNATURE, f"the signature of all files with {path.name}", said) from None


def _signed_names(bundle: dict[str, Any]) -> set[str]:
    """Of the files under a signature that was verified. What its author left out is not under it."""
    try:
        payload = json.loads(base64.b64decode(bundle["dsseEnvelope"]["payload"]))
        return {str(resource["name"]) for resource in payload["predicate"]["resources"]}
    except (ValueError, KeyError, TypeError):
        raise Refusal(SIGNATURE, "the names of what was signed", "others") from None


def _signer(trusted: tuple[Path, str, bytes], bundle: dict[str, Any]) -> str:
    _, kind, der = trusted
    if kind == "PUBLIC KEY":
        return f"key sha256:{hashlib.sha256(der).hexdigest()}"
    from cryptography import x509

    chain = bundle["verificationMaterial"]["x509CertificateChain"]["certificates"]
    der = base64.b64decode(chain[0]["rawBytes"])
    subject = x509.load_der_x509_certificate(der).subject.rfc4514_string()
    return f"certificate {shown(subject)} sha256:{hashlib.sha256(der).hexdigest()}"
