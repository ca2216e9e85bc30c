"""Loads the cases of `autobahntestsuite`, written in Python 2, as classes of Python 3, and deals them out.

Owns the translation; knows no network and no verdict. Invariant: inside a case a byte string
of Python 2 is a `str` with one character per byte, and `as_bytes` is the only way out of it.
"""

import ast
import binascii
import builtins
import functools
import importlib.abc
import importlib.machinery
import importlib.metadata
import importlib.util
import pathlib
import re
import sys
import types
import warnings

from autobahn.websocket.utf8validator import Utf8Validator

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)
    from lib2to3.refactor import RefactoringTool

SUITE = "autobahntestsuite"
# The suite's own package imports its command line and its reactor, so its cases get a package of their own.
PACKAGE = "autobahn_cases"
FIXERS = [f"lib2to3.fixes.fix_{name}" for name in ("import", "print", "unicode", "xrange")]

suite_folder = pathlib.Path(importlib.util.find_spec(SUITE).origin).parent


def as_bytes(value):
    return value.encode("latin-1") if isinstance(value, str) else value


def suite_version():
    return importlib.metadata.version(SUITE)


def natural_order(case_id):
    return [int(number) for number in case_id.split(".")]


def load_cases():
    """The case classes by id ("5.19"), in natural order."""
    sys.meta_path.insert(0, CaseFinder())
    module = importlib.import_module(PACKAGE)
    module.Case.compare = same_events
    by_id = {re.sub("^Case", "", case.__name__).replace("_", "."): case for case in module.Cases}
    return dict(sorted(by_id.items(), key=lambda item: natural_order(item[0])))


def is_with_compression(case_id):
    """Whether the case is one of permessage-deflate, which take longest."""
    return natural_order(case_id)[0] in (12, 13)


def deal(ids, cases, count):
    """Parts the cases into `count` hands of about the same work, the same ones each time."""

    def size(case_id):
        return cases[case_id].LEN * cases[case_id].COUNT if is_with_compression(case_id) else 0

    ordered = sorted(ids, key=size, reverse=True)
    return [sorted(ordered[index::count], key=natural_order) for index in range(count)]


def same_events(_case, left, right):
    """Replaces a comparison of pickles, which in Python 3 differ for equal values."""
    return [tuple(map(as_bytes, event)) for event in left] == [tuple(map(as_bytes, event)) for event in right]


class CaseFinder(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name == PACKAGE:
            origin = str(suite_folder / "case" / "__init__.py")
            loader = CaseLoader(name, origin)
            return importlib.util.spec_from_file_location(
                name, origin, loader=loader, submodule_search_locations=[str(suite_folder / "case")]
            )
        if name.startswith(PACKAGE + "."):
            return importlib.machinery.FileFinder(path[0], (CaseLoader, [".py"])).find_spec(name)
        return None


class CaseLoader(importlib.machinery.SourceFileLoader):
    # Not `source_to_code`: that would take bytecode from the cache, which pip fills with untranslated modules.
    def get_code(self, name):
        source = pathlib.Path(self.path).read_bytes().decode("latin-1")
        # lib2to3 looks beside the file which imports are relative, and wants a newline at the end.
        tree = ast.parse(str(translator().refactor_string(source + "\n", self.path)))
        return compile(ast.fix_missing_locations(IntegerDivision().visit(tree)), self.path, "exec")

    def exec_module(self, module):
        module.__dict__["__builtins__"] = PYTHON2_BUILTINS
        super().exec_module(module)


@functools.cache
def translator():
    return RefactoringTool(FIXERS)


class IntegerDivision(ast.NodeTransformer):
    """Python 2 divides integers to an integer, and the cases divide nothing else."""

    def visit_Div(self, _node):
        return ast.FloorDiv()


class TextUtf8Validator(Utf8Validator):
    def validate(self, text):
        return super().validate(as_bytes(text))


def python2_type(name, bases, namespace):
    # `Case` is an old-style class in Python 2, where `(object, Case)` is an order that exists.
    return type(name, tuple(base for base in bases if base is not object), namespace)


def python2_import(name, globals=None, locals=None, fromlist=(), level=0):
    if level == 0 and name in PYTHON2_MODULES:
        return PYTHON2_MODULES[name]
    return builtins.__import__(name, globals, locals, fromlist, level)


PYTHON2_BUILTINS = {**vars(builtins), "type": python2_type, "__import__": python2_import}

# What the cases import and Python 3 has no longer, or has for bytes only.
PYTHON2_MODULES = {
    "autobahn.websocket.utf8validator": types.SimpleNamespace(Utf8Validator=TextUtf8Validator),
    "binascii": types.SimpleNamespace(
        b2a_hex=lambda text: as_bytes(text).hex(),
        hexlify=lambda text: as_bytes(text).hex(),
        a2b_hex=lambda text: binascii.a2b_hex(text).decode("latin-1"),
    ),
    "pkg_resources": types.SimpleNamespace(resource_filename=lambda _package, name: str(suite_folder / name)),
    "zope.interface": types.SimpleNamespace(implements=lambda *_interfaces: None),
}
