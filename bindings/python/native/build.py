"""Makes the extension `wsstream._native` from the library's header: no signature and no number is typed in here."""

import pathlib
import re

import cffi

# By the name alone where setuptools runs this file: it has no other way to the folder.
HERE = pathlib.Path(__file__).resolve().parent
HEADER = HERE.parent.parent.parent / "include" / "wsstream.h"


def declarations(header):
    """The header as cffi takes it: without comments and conditions, the numbers of macros left to the compiler."""
    text = re.sub(r"//.*", "", header)
    text = re.sub(r'extern "C" \{|\\\n', "", text)
    code, conditions = [], 0
    for line in text.splitlines():
        constant = re.match(r"#define (WSSTREAM_\w+) \S", line)
        if line.startswith("#ifdef __cplusplus"):
            conditions += 1
        elif line.startswith("#endif"):
            conditions = 0
        elif constant:
            code.append(f"#define {constant[1]} ...")
        elif not line.startswith("#") and not conditions:
            code.append(line)
    return "\n".join(code)


builder = cffi.FFI()
builder.cdef(declarations(HEADER.read_text()) + declarations((HERE / "batch.h").read_text()))
builder.set_source(
    "wsstream._native",
    '#include <wsstream.h>\n#include "batch.h"\n#include "batch.c"\n',
    py_limited_api=True,
    define_macros=[("Py_LIMITED_API", "0x03090000")],
)
