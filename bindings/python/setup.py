"""Builds the wheel: the extension made from the header, and the library beside it.

The library is the file that WSSTREAM_LIBRARY names, else the one in the project's build folder, which is WSSTREAM_BUILD_DIR or
`build`. Nothing is written elsewhere.
"""

import os
import pathlib
import re
import shutil

from setuptools import setup
from setuptools.command.bdist_wheel import bdist_wheel
from setuptools.command.build_ext import build_ext

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
BUILD = pathlib.Path(os.environ.get("WSSTREAM_BUILD_DIR") or ROOT / "build").resolve()
LIBRARY = pathlib.Path(os.environ.get("WSSTREAM_LIBRARY") or BUILD / "cargo/release/libwsstream.so").resolve()
OLDEST_PYTHON = "cp39"


def found(pattern, path):
    """What a file says of itself, as the names in an ELF file's string table are."""
    return re.findall(pattern, path.read_bytes())


class BuildExtension(build_ext):
    def build_extension(self, extension):
        soname = found(rb"libwsstream\.so\.\d+", LIBRARY)[0].decode()
        extension.include_dirs += [str(ROOT / "include"), str(HERE / "native")]
        extension.extra_objects.append(str(LIBRARY))
        extension.extra_link_args.append("-Wl,-rpath,$ORIGIN")
        super().build_extension(extension)
        # Loaded by its SONAME, from the folder of the extension.
        shutil.copyfile(LIBRARY, pathlib.Path(self.get_ext_fullpath(extension.name)).parent / soname)


class Wheel(bdist_wheel):
    def get_tag(self):
        """One wheel for every CPython from the oldest on, and for every glibc from the one that the binaries need."""
        files = [LIBRARY, *pathlib.Path(self.bdist_dir).rglob("*.so")]
        needed = max(int(minor) for file in files for minor in found(rb"GLIBC_2\.(\d+)", file))
        machine = os.uname().machine
        return OLDEST_PYTHON, "abi3", f"manylinux_2_{needed}_{machine}"


(BUILD / "python").mkdir(parents=True, exist_ok=True)
setup(
    version=re.search(r'^version = "(.*)"', (ROOT / "Cargo.toml").read_text(), re.MULTILINE)[1],
    cffi_modules=["native/build.py:builder"],
    cmdclass={"build_ext": BuildExtension, "bdist_wheel": Wheel},
    options={
        "bdist_wheel": {"py_limited_api": OLDEST_PYTHON},
        "build": {"build_base": str(BUILD / "python" / "wheel")},
        "egg_info": {"egg_base": str(BUILD / "python")},
    },
)
