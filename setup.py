"""Builds the kernels of the correlation, one library for each instruction set, of which the program chooses when it
runs, and the passes over memory that training takes.

They are plain C++ behind a few C functions, without Python or PyTorch in them. Where one does not compile (no
compiler, another processor, a compiler without vectors of its own kind such as Microsoft's) the package does without.
"""

from pathlib import Path

from setuptools import Extension, setup

AVX512 = ["-mavx512f", "-mavx512bw", "-mavx512dq", "-mavx512vl", "-mfma"]
OPTIONS = {
    "amxbf16": [*AVX512, "-mavx512bf16", "-mavx512vbmi", "-mf16c"],
    "avx512bf16": [*AVX512, "-mavx512bf16"],
    "avx512": AVX512,
    "avx2": ["-mavx2", "-mfma"],
    "portable": [],
}


def library(name, source, options):
    return Extension(
        name,
        [f"native/{source}.cpp"],
        depends=sorted(map(str, Path("native").glob("*.h"))),
        extra_compile_args=["-std=c++17", "-O3", "-fopenmp", "-fvisibility=hidden", *options],
        extra_link_args=["-fopenmp"],
        language="c++",
        optional=True,
        py_limited_api=True,
    )


setup(
    ext_modules=[
        *(library(f"nlrn.correlation._{name}", name, options) for name, options in OPTIONS.items()),
        library("nlrn.training._passes", "passes", ["-Wno-psabi"]),
    ],
    # one wheel for all versions of Python: the libraries are not compiled against any
    options={"bdist_wheel": {"py_limited_api": "cp310"}},
)
