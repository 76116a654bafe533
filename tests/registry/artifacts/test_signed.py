"""OpenSSF signatures: whose they are, and that nothing else lies in the folder."""

import json
import sys
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from model_signing import hashing, signing

from case_monitor.domain.errors import ConfigError
from case_monitor.registry.artifact import Trust, check_artifact
from tests.registry.artifacts.asking import DIGITS_3, refusal_of

PEM, PUBLIC = serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo


def new_key(folder: Path, name: str) -> Path:
    """A private key's file; the public one is beside it."""
    key = ec.generate_private_key(ec.SECP256R1())
    none = serialization.NoEncryption()
    (folder / name).write_bytes(key.private_bytes(PEM, serialization.PrivateFormat.PKCS8, none))
    (folder / f"{name}.pub").write_bytes(key.public_key().public_bytes(PEM, PUBLIC))
    return folder / name


def sign(version: Path, config: signing.Config, ignored: tuple[str, ...] = ()) -> None:
    signature = version / "model.sig"
    left_out = [Path("model.sig"), *map(Path, ignored)]
    files = hashing.Config().use_file_serialization().set_ignored_paths(paths=left_out)
    config.set_hashing_config(files).sign(version, signature)


@pytest.fixture
def key(tmp_path: Path) -> Path:
    return new_key(tmp_path, "key")


@pytest.fixture
def trust(key: Path) -> Trust:
    return Trust(pickles="signed", signing_key=key.with_name("key.pub"))


@pytest.fixture
def signed(version: Path, key: Path) -> Path:
    (version / "data" / "model.pth").write_bytes(b"a pickle")  # signed, it may be one
    sign(version, signing.Config().use_elliptic_key_signer(private_key=key))
    return version


def test_the_signer_is_named_by_the_key(signed: Path, trust: Trust, capsys: pytest.CaptureFixture[str]) -> None:
    (signed / "registered_model_meta").write_text("added by MLflow")
    der = serialization.load_pem_public_key(trust.signing_key.read_bytes()).public_bytes(
        serialization.Encoding.DER, PUBLIC
    )
    assert check_artifact(signed, DIGITS_3, trust) == f"key sha256:{sha256(der).hexdigest()}"
    assert capsys.readouterr().out == ""


def test_another_key_is_not_that_of_the_signer(signed: Path, tmp_path: Path) -> None:
    other = Trust(pickles="signed", signing_key=new_key(tmp_path, "other").with_name("other.pub"))
    assert ": model.sig: " in refusal_of(signed, other)


def test_a_version_without_a_signature_is_refused(version: Path, trust: Trust) -> None:
    assert ": model.sig: an OpenSSF model signature was expected, none came" in refusal_of(version, trust)


@pytest.mark.parametrize("content", [b"", b"[]", b"\xff", b"{}", b'{"verificationMaterial": {}}', b"[" * 5000])
def test_what_is_no_signature_is_refused(signed: Path, trust: Trust, content: bytes) -> None:
    (signed / "model.sig").write_bytes(content)
    assert ": model.sig: " in refusal_of(signed, trust)


def test_a_changed_file_is_refused(signed: Path, trust: Trust) -> None:
    (signed / "data" / "model.pth").write_bytes(b"another")
    assert "model.pth" in refusal_of(signed, trust)


@pytest.mark.parametrize("name", ["code.py", ".gitignore", "data/registered_model_meta", "data/model.sig"])
def test_one_more_file_is_refused(signed: Path, trust: Trust, name: str) -> None:
    (signed / name).write_bytes(b"")
    assert name in refusal_of(signed, trust)


@pytest.mark.parametrize("name", [".git/config.py", "registered_model_meta/code.py", "__pycache__/x.pyc"])
def test_one_more_folder_is_refused(signed: Path, trust: Trust, name: str) -> None:
    (signed / name).parent.mkdir()
    (signed / name).write_bytes(b"")
    assert name in refusal_of(signed, trust)


def test_what_its_signer_left_out_is_refused(version: Path, key: Path, trust: Trust) -> None:
    (version / "code").mkdir()
    (version / "code" / "x.py").write_text("")
    sign(version, signing.Config().use_elliptic_key_signer(private_key=key), ignored=("code",))
    assert "code/x.py: the files that were signed was expected, one more came" in refusal_of(version, trust)


def test_a_link_is_refused(signed: Path, trust: Trust, tmp_path: Path) -> None:
    (signed / "MLmodel").rename(tmp_path / "MLmodel")
    (signed / "MLmodel").symlink_to(tmp_path / "MLmodel")
    assert ": MLmodel: a file or a folder was expected, a link came" in refusal_of(signed, trust)


def test_an_old_signature_that_names_no_key_is_refused(signed: Path, trust: Trust) -> None:
    content = json.loads((signed / "model.sig").read_text())
    content["verificationMaterial"]["publicKey"] = {}
    (signed / "model.sig").write_text(json.dumps(content))
    assert "a signature of model-signing 1.0 or newer" in refusal_of(signed, trust)


@pytest.mark.parametrize("content", [None, b"", b"\xff", b"-----BEGIN PUBLIC KEY-----\n!\n-----END PUBLIC KEY-----\n"])
def test_a_key_that_is_none_is_an_error_of_the_configuration(signed: Path, tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "broken.pub"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ConfigError, match=rf"^signing_key: .*{path}"):
        check_artifact(signed, DIGITS_3, Trust(pickles="signed", signing_key=path))


def test_without_the_extra_nothing_is_loaded(signed: Path, trust: Trust, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "model_signing", None)
    with pytest.raises(ConfigError, match=r"^pickles: signed needs the extra case-monitor\[signing\]"):
        check_artifact(signed, DIGITS_3, trust)


def certificate(
    subject: str, key: ec.EllipticCurvePrivateKey, issuer: str, by: ec.EllipticCurvePrivateKey, *, ca: bool
) -> x509.Certificate:
    names = [x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)]) for name in (subject, issuer)]
    others = ("content_commitment", "key_encipherment", "data_encipherment", "key_agreement")
    usage = dict.fromkeys((*others, "encipher_only", "decipher_only"), False)
    return (
        x509.CertificateBuilder()
        .subject_name(names[0])
        .issuer_name(names[1])
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(datetime.now(UTC) - timedelta(days=1))
        .not_valid_after(datetime.now(UTC) + timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
        .add_extension(x509.KeyUsage(digital_signature=True, key_cert_sign=ca, crl_sign=ca, **usage), critical=True)
        .sign(by, hashes.SHA256())
    )


def test_the_signer_is_named_by_the_certificate(version: Path, tmp_path: Path) -> None:
    keys = [serialization.load_pem_private_key(new_key(tmp_path, name).read_bytes(), None) for name in ("root", "ann")]
    root, ann = keys
    trusted, own = (
        certificate("Root", root, "Root", root, ca=True),
        certificate("Ann", ann, "Root", root, ca=False),
    )
    (tmp_path / "root.pem").write_bytes(trusted.public_bytes(PEM))
    (tmp_path / "ann.pem").write_bytes(own.public_bytes(PEM))
    signer = signing.Config().use_certificate_signer(
        private_key=tmp_path / "ann",
        signing_certificate=tmp_path / "ann.pem",
        certificate_chain=[tmp_path / "root.pem"],
    )
    sign(version, signer)
    trust = Trust(pickles="signed", signing_key=tmp_path / "root.pem")
    fingerprint = own.fingerprint(hashes.SHA256()).hex()
    assert check_artifact(version, DIGITS_3, trust) == f"certificate CN=Ann sha256:{fingerprint}"
    other = certificate("Root", ann, "Root", ann, ca=True)
    (tmp_path / "root.pem").write_bytes(other.public_bytes(PEM))
    assert ": model.sig: " in refusal_of(version, trust)
