#!/usr/bin/env python3
"""What only a compiler can show: the README's programs compile, and misuse is refused with a diagnosis that names it.

    compiles_and_does_not_compile.py COMPILER REPOSITORY FLAGS...

What the language itself can ask, such as whether a view of a temporary compiles, is in values.cpp.
"""

import pathlib
import re
import subprocess
import sys
import tempfile

compiler, repository, *flags = sys.argv[1:]
root = pathlib.Path(repository)
binding = root / "bindings" / "cpp"
is_clang = "clang" in pathlib.Path(compiler).name
INCLUDES = [f"-I{binding}", f"-I{root / 'include'}"]

# Each is a function's body: what is wrong, what the compiler has to say about it (all of them in one run), and whether only
# clang sees it.
REFUSED = [
    ("a write whose outcome is not looked at", 'stream.write("text", 1s);', r"nodiscard|unused", False),
    ("a read whose outcome is not looked at", "stream.read();", r"nodiscard|unused", False),
    ("a result that is not looked at", 'stream.try_write("text");', r"nodiscard|unused", False),
    ("text of a temporary", "auto text = (*stream.read()).text();", r"deleted", False),
    ("a message through a temporary", "auto text = stream.read()->text();", r"deleted", False),
    ("a result as a condition", 'if (stream.try_write("text")) return;', r"bool", False),
    ("a number as a time", "(void)stream.read(5);", r"no matching", False),
    ("an url of a temporary", "auto url = ws_stream::stream().url();", r"deleted", False),
    ("options that dangle", "auto& with = ws_stream::options().deflate(false);", r"lvalue|rvalue|temporary", False),
    ("views of a temporary string as messages", 'ws_stream::outgoing what = std::string("gone");',
     r"dangling|destroyed at the end", True),
    ("a view that outlives its message",
     "auto view = [](ws_stream::message message) { return message.text(); }(ws_stream::message());",
     r"address of stack memory|stack memory", True),
]
HEAD = "#include <wsstream.hpp>\nusing namespace std::chrono_literals;\n"

# A result becomes a std::expected, where that exists.
NEWEST = """
#include <version>
#if defined(__cpp_lib_expected)
#include <expected>
std::expected<ws_stream::stream, ws_stream::error> opened() { return ws_stream::stream::try_open("ws://localhost"); }
std::expected<void, ws_stream::error> closed(const ws_stream::stream& stream) { return stream.try_close(); }
#endif
"""


def compile_text(text, *more):
    with tempfile.TemporaryDirectory() as folder:
        source = pathlib.Path(folder) / "source.cpp"
        source.write_text(text, encoding="utf-8")
        done = subprocess.run([compiler, "-fsyntax-only", *flags, *INCLUDES, *more, str(source)],
                              capture_output=True, text=True, check=False)
    return done.returncode, done.stderr


def must_compile(what, text, *more):
    status, said = compile_text(text, *more)
    if status != 0:
        sys.exit(f"{what} does not compile with {compiler} {' '.join(more)}\n{said}")


def must_be_refused():
    """All in one run: each body is a function on lines of its own, and a diagnosis has to name its line."""
    text = HEAD
    lines = {}
    for what, body, says, clang_only in REFUSED:
        if clang_only and not is_clang:
            continue
        text += f"void of(const ws_stream::stream& stream);\nvoid of(const ws_stream::stream& stream) {{\n  (void)stream;\n  {body}\n}}\n"
        text = text.replace("void of(", f"void of_{len(lines)}(")
        lines[text.count("\n") - 1] = (what, says)
    status, said = compile_text(text, "-std=c++17", "-fmax-errors=0" if not is_clang else "-ferror-limit=0",
                                "-Wno-unused-variable")
    if status == 0:
        sys.exit("nothing was refused")
    found = {}
    for line, diagnosis in re.findall(r"source\.cpp:(\d+):\d+: (?:error|warning): (.*)", said):
        found.setdefault(int(line), []).append(diagnosis)
    for line, (what, says) in lines.items():
        if not any(re.search(says, diagnosis) for diagnosis in found.get(line, [])):
            sys.exit(f"{what}: {found.get(line, 'not refused')}\n{said}")


def readme():
    """Its blocks in order: one with a main is a program, a coroutine stands by itself, the others are bodies of functions."""
    blocks = re.findall(r"^```cpp\n(.*?)^```$", (binding / "README.md").read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    if len(blocks) < 8:
        sys.exit(f"the README has {len(blocks)} blocks of C++")
    includes = "".join(f"#include <{name}>\n" for name in ("functional", "iostream", "thread", "wsstream.hpp"))
    text = includes + (binding / "tests" / "readme.hpp").read_text(encoding="utf-8")
    for index, block in enumerate(blocks):
        if re.search(r"^(task|int) \w+\(", block, re.MULTILINE):
            text += block
        else:
            text += f"void block_{index}(stream& stream);\nvoid block_{index}(ws_stream::stream& stream) {{\n(void)stream;\n{block}}}\n"
    must_compile("the README", text, "-std=c++20", "-Wno-unused")


must_be_refused()
if is_clang:
    # With g++ a whole program is: without_exceptions.cpp.
    must_compile("the header without exceptions", HEAD, "-std=c++17", "-fno-exceptions", "-fno-rtti")
must_compile("the header in the newest standard", HEAD + NEWEST, "-std=c++2b", "-Wno-missing-declarations")
readme()
