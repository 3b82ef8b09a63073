"""Compiles the modules that take most of the time of extraction, if Cython and a C compiler are there.

Without them the build goes on: the same files run as they are, slower. pyproject.toml says everything else.
"""

import hashlib
import os
import re
from pathlib import Path

from setuptools import Extension, setup

_NAMES = """html/html_scan html/html_stack html/html_starts html/html_reader html/controls html/attribute_scan
    html/hiding html/tree html/nodes text_writer layout pictures/image_place text/markup_words text/text_blocks
    text/surroundings text/row_writer text/place_rows text/block_words text/feature_rows text/second_look text/forest
    text/judge"""
COMPILED = tuple(f"pipelines/extract/{name}" for name in _NAMES.split())
"""Modules in Cython's pure Python mode, without ".py"."""
SHARED = "pipelines.extract.cython_shared"
"""What all compiled modules need of Cython, compiled once."""
BUILT = Path("build/cython")
DIRECTIVES = {
    "language_level": "3",
    "boundscheck": False,
    "wraparound": False,
    "initializedcheck": False,
    "cdivision": True,
}


def digest(module: str) -> str:
    """A digest of what a module is compiled from: its source, and the declarations that this and they name."""
    found = [Path(f"{module}.py")]
    for path in found:  # which grows
        names = [module.replace("/", "."), *re.findall(r"pipelines\.extract\.[\w.]+", path.read_text())]
        declarations = (Path(f"{name.replace('.', '/')}.pxd") for name in names)
        found += sorted({pxd for pxd in declarations if pxd.exists()} - set(found))
    return hashlib.sha256(b"".join(path.read_bytes() for path in found)).hexdigest()


def extension(module: str) -> Extension:
    """The extension of a module; it holds the digest of its source, so that a test finds one that is out of date."""
    mark = BUILT / f"{module.replace('/', '_')}_digest.c"
    mark.parent.mkdir(parents=True, exist_ok=True)
    text = f'const char openm3w_source[] = "openm3w-source:{digest(module)}";\n'
    if not mark.exists() or mark.read_text() != text:  # a new file would be compiled again
        mark.write_text(text)
    name = module.replace("/", ".")
    return Extension(name, [f"{module}.py", str(mark)], extra_compile_args=["-O3"])


def extensions() -> list[Extension]:
    """The modules to compile; none without Cython, or where OPENM3W_COMPILE=0 asks for none."""
    if os.environ.get("OPENM3W_COMPILE") == "0":
        return []
    try:
        from Cython.Build import cythonize
    except ImportError:
        return []
    modules = cythonize(
        [Extension(SHARED, [f"{SHARED.replace('.', '/')}.c"]), *(extension(module) for module in COMPILED)],
        build_dir=str(BUILT),
        compiler_directives=DIRECTIVES,
        shared_utility_qualified_name=SHARED,
        quiet=True,
    )
    for module in modules:
        module.optional = True
    return list(modules)


setup(ext_modules=extensions())
