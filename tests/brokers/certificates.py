"""A certificate authority of the tests' own and a broker certificate by it, made with the tool that comes with Java."""

import shutil
import subprocess
from pathlib import Path

from tests.brokers.absence import AbsentError
from tests.brokers.loopback import HOST

VALID_DAYS = "2"


class Certificates:
    """Files in a directory: `authority.pem` for clients to trust, `broker.p12` for the broker."""

    def __init__(self, directory: Path, password: str) -> None:
        if not shutil.which("keytool"):
            raise AbsentError("no `keytool` on the path to make certificates with")
        self._directory, self._password = directory, password
        self.authority = directory / "authority.pem"
        self.store = directory / "broker.p12"

    def make(self) -> None:
        """An authority, a certificate by it for the loopback address, and the store that the broker reads."""
        self._pair("authority", "-ext", "bc:c=ca:true", "-ext", "ku:c=keyCertSign,cRLSign")
        self._pair("broker")
        request, certificate = self._directory / "broker.csr", self._directory / "broker.pem"
        self._tool("broker", "-certreq", "-alias", "broker", "-file", request)
        usage = ("-ext", f"san=ip:{HOST}", "-ext", "ku:c=digitalSignature", "-ext", "eku=serverAuth")
        files = ("-infile", request, "-outfile", certificate, "-rfc", "-validity", VALID_DAYS)
        self._tool("authority", "-gencert", "-alias", "authority", *usage, *files)
        self._tool("authority", "-exportcert", "-rfc", "-alias", "authority", "-file", self.authority)
        self._tool("broker", "-importcert", "-noprompt", "-alias", "authority", "-file", self.authority)
        self._tool("broker", "-importcert", "-noprompt", "-alias", "broker", "-file", certificate)

    def _pair(self, name: str, *options: str) -> None:
        algorithm = ("-keyalg", "EC", "-groupname", "secp256r1", "-validity", VALID_DAYS)
        self._tool(name, "-genkeypair", "-alias", name, "-dname", f"CN=tests of clawx: {name}", *algorithm, *options)

    def _tool(self, store: str, *arguments: object) -> None:
        where = ("-keystore", self._directory / f"{store}.p12", "-storetype", "PKCS12", "-storepass", self._password)
        command = ["keytool", "-J-XX:TieredStopAtLevel=1", *map(str, (*arguments, *where))]
        done = subprocess.run(command, check=False, capture_output=True, text=True, stdin=subprocess.DEVNULL)
        assert done.returncode == 0, f"{command}: {done.stdout} {done.stderr}"
