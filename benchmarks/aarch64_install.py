"""What `pip install ser-edge` loads and stores on a 64-bit ARM Linux, found out on any machine.

    python benchmarks/aarch64_install.py                        # Python 3.11 to 3.13
    python benchmarks/aarch64_install.py --extra litert 3.13

Resolves the dependencies to wheels for aarch64 and glibc 2.28, never to sources, downloads them
and unpacks them into a temporary folder. Prints a line of JSON for each Python; ends with an error
where a package has no such wheel. Environment markers (`; python_version < ...`) are evaluated for
the Python that this runs on, since pip takes no others.
"""

from __future__ import annotations

import argparse
import compileall
import json
import subprocess
import sys
import tempfile
import tomllib
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PYTHONS = ("3.11", "3.12", "3.13")
# pip takes platforms as they are named: older ones have to be listed.
PLATFORMS = ("manylinux2014_aarch64", *(f"manylinux_2_{minor}_aarch64" for minor in range(17, 29)))


def requirements(extras: list[str]) -> list[str]:
    """The base dependencies of ser-edge, and those of extras."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    more = (project["optional-dependencies"][extra] for extra in extras)
    return [*project["dependencies"], *(requirement for extra in more for requirement in extra)]


def pip(*arguments: object) -> None:
    """Run pip; end with what it says if it fails."""
    command = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    done = subprocess.run([*command, *map(str, arguments)], capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"error: pip {arguments[0]} failed:\n{done.stderr.strip()}")


def megabytes(folder: Path) -> float:
    """Size of the files in a folder, in MB of 10^6 bytes."""
    return round(sum(p.stat().st_size for p in folder.rglob("*") if p.is_file()) / 1e6, 1)


def install(python: str, wanted: list[str]) -> dict[str, object]:
    """Names of the wheels, and megabytes of download and installation."""
    target = ["--only-binary=:all:", "--implementation=cp", f"--python-version={python}"]
    target += [f"--platform={platform}" for platform in PLATFORMS]
    with tempfile.TemporaryDirectory() as folder:
        wheels, installed = Path(folder, "wheels"), Path(folder, "installed")
        pip("download", *target, "--dest", wheels, *wanted)
        # Unpacked, not installed: older pips refuse wheels of another Python.
        for wheel in wheels.iterdir():
            zipfile.ZipFile(wheel).extractall(installed)
        # Byte code is part of an installation, and here of about the size that Python there makes.
        compileall.compile_dir(installed, quiet=2)
        return {
            "python": python,
            "download_mb": megabytes(wheels),
            "installed_mb": megabytes(installed),
            "wheels": sorted(path.name for path in wheels.iterdir()),
        }


def main() -> None:
    """Entry point."""
    parser = argparse.ArgumentParser(description="Size of ser-edge on 64-bit ARM")
    parser.add_argument("pythons", nargs="*", default=PYTHONS, metavar="PYTHON")
    parser.add_argument("--extra", action="append", choices=("litert", "plot"), default=[])
    arguments = parser.parse_args()
    for python in arguments.pythons:
        print(json.dumps(install(python, requirements(arguments.extra))), flush=True)


if __name__ == "__main__":
    main()
