#!/usr/bin/env python3
"""What the C header has, the C++ header uses: every function and every enumerator.

    every_name_of_the_c_header_is_used.py wsstream.h wsstream.hpp
"""

import pathlib
import re
import sys

# What C++ has in another form, and why.
OTHERWISE = {
    "wsstream_status_name": "web_name",
    "WSSTREAM_OK": "result::ok",
    "WSSTREAM_NUL": "std::string_view has its size",
}
header, binding = (pathlib.Path(path).read_text(encoding="utf-8") for path in sys.argv[1:])
code = re.sub(r"//.*", "", header)
functions = set(re.findall(r"\b(wsstream_\w+)\(", code))
enumerators = set(re.findall(r"^  (WSSTREAM_\w+) = ", code, re.MULTILINE))
sentinels = set(re.findall(r"^#define (WSSTREAM_[A-Z]\w+) \(", code, re.MULTILINE))
if len(functions) < 50 or len(enumerators) < 80 or not sentinels:
    sys.exit(f"the header is not understood: {len(functions)} functions, {len(enumerators)} enumerators")
used = set(re.findall(r"\b(?:wsstream|WSSTREAM)_\w+", re.sub(r"//.*", "", binding)))
missing = (functions | enumerators | sentinels) - used - set(OTHERWISE)
if missing:
    sys.exit(f"not in the C++ header: {', '.join(sorted(missing))}")
unknown = used - functions - enumerators - sentinels - set(re.findall(r"\b(?:wsstream|WSSTREAM)_\w+", code))
if unknown - {"WSSTREAM_HPP"}:
    sys.exit(f"not in the C header: {', '.join(sorted(unknown))}")
