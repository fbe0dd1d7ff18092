"""Builds the kernels of the correlation, one library for each instruction set; the program chooses when it runs.

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

setup(
    ext_modules=[
        Extension(
            f"nlrn.correlation._{name}",
            [f"native/{name}.cpp"],
            depends=sorted(map(str, Path("native").glob("*.h"))),
            extra_compile_args=["-std=c++17", "-O3", "-fopenmp", "-fvisibility=hidden", *options],
            extra_link_args=["-fopenmp"],
            language="c++",
            optional=True,
            py_limited_api=True,
        )
        for name, options in OPTIONS.items()
    ],
    # one wheel for all versions of Python: the libraries are not compiled against any
    options={"bdist_wheel": {"py_limited_api": "cp310"}},
)
