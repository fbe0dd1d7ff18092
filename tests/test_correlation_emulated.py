"""The kernel for matrix units on processors that have none: its instructions done number by number in plain C++."""

import platform
import shutil
import subprocess
from ctypes import CDLL
from pathlib import Path

import pytest
import torch
from torch import Tensor

from nlrn.correlation import kernels, selftest, tiled

ROOT = Path(__file__).parents[1]
BF16 = torch.bfloat16


def built(kernel: str, folder: Path) -> CDLL:
    if platform.machine() != "x86_64" or shutil.which("g++") is None:
        pytest.skip("the emulation of the instructions needs GCC on x86-64")
    library = folder / f"{kernel}.so"
    options = ["-std=c++17", "-O1", "-fopenmp", "-fPIC", "-shared", "-mavx2", "-mfma", "-mf16c", "-Wno-psabi"]
    source = ["-include", ROOT / "tests/native/emulation.h", ROOT / f"native/{kernel}.cpp"]
    subprocess.run(["g++", *options, *source, "-o", library], check=True)
    return kernels.opened(str(library))


@pytest.fixture(scope="module")
def matrix_unit(tmp_path_factory: pytest.TempPathFactory) -> CDLL:
    return built("amxbf16", tmp_path_factory.mktemp("emulated"))


SIZES = [
    (1, 7, 10, 16, 32, 5),
    (1, 1, 1, 16, 16, 1),
    (2, 3, 1, 16, 32, 3),
    (1, 9, 20, 48, 80, 45),  # a window wider than the image; channels no multiple of 32
    (1, 30, 9, 64, 128, 25),
    (9, 12, 9, 16, 16, 7),  # as many images as share out the work
    (1, 40, 17, 32, 64, 15),  # cut into parts
]


@pytest.mark.parametrize("sizes", SIZES)
def test_the_matrix_unit_computes_the_definition(matrix_unit: CDLL, sizes: tuple[int, ...]) -> None:
    off = selftest.errors(matrix_unit, BF16, *sizes)
    assert max(off.values()) < 1.5e-2, off


@pytest.mark.slow
@pytest.mark.parametrize(("kernel", "most"), [("avx512bf16", 1.5e-2), ("avx512", 1e-5)])
def test_other_kernels_that_few_processors_run(tmp_path: Path, kernel: str, most: float) -> None:
    library = built(kernel, tmp_path)
    for sizes in SIZES:
        assert max(selftest.errors(library, kernels.KERNELS[kernel].dtype, *sizes).values()) < most


def inputs(scale: float, *sizes: int) -> list[Tensor]:
    B, D, M, H, W = sizes
    generator = torch.Generator().manual_seed(0)
    q, k, v = (torch.randn(B, C, H, W, generator=generator) for C in (D, D, M))
    return [x.to(BF16) for x in (q * scale, k * scale, v)]


def exact(q: Tensor, k: Tensor, v: Tensor, window: int) -> Tensor:
    return tiled.forward(q.double(), k.double(), v.double(), window, "softmax")[0]


def test_logits_far_above_that_of_the_own_pixel_do_not_overflow(matrix_unit: CDLL) -> None:
    """The reference of the weights turns out too small: the queries begin again, also with a map in place."""
    q, k, v = inputs(5.0, 1, 32, 16, 12, 11)
    out, lse = kernels.forward(matrix_unit, q, k, v, 7)
    assert lse.isfinite().all()
    torch.testing.assert_close(out.double(), exact(q, k, v, 7), atol=3e-2, rtol=3e-2)
    logits = torch.empty(kernels.map_size(matrix_unit, v.shape, 7))
    twice = [torch.cat([x, x], 1) for x in (q, k)]
    kernels.map_forward(matrix_unit, q, k, v, None, logits, 7)
    out, _ = kernels.map_forward(matrix_unit, q, k, v, logits, logits, 7)
    torch.testing.assert_close(out.double(), exact(*twice, v, 7), atol=3e-2, rtol=3e-2)


def test_rounded_weights_add_up_to_one(matrix_unit: CDLL) -> None:
    q, k, v = inputs(0.1, 1, 16, 16, 13, 14)
    out, _ = kernels.forward(matrix_unit, q, k, torch.ones_like(v), 9)
    assert (out == 1).all()


@pytest.mark.parametrize("which", [0, 1, 2])
def test_not_a_number_is_not_hidden(matrix_unit: CDLL, which: int) -> None:
    given = inputs(1.0, 1, 16, 16, 30, 30)
    given[which][0, :, 15, 14] = torch.nan
    bad = kernels.forward(matrix_unit, *given, 5)[0].isnan().any(1)[0]
    reach = 0 if which == 0 else 2
    assert bad[15 - reach : 16 + reach, 14 - reach : 15 + reach].all()
    # a pixel of the same square may see one key too many, with weight 0: 0 * nan is nan
    bad[7:24, 6:23] = False
    assert not bad.any()


@pytest.mark.parametrize("B", [1, 12])
def test_the_same_bits_for_any_number_of_threads(matrix_unit: CDLL, B: int) -> None:
    q, k, v = inputs(0.5, B, 16, 16, 40 if B == 1 else 6, 9)
    threads, results = torch.get_num_threads(), []
    try:
        for n in (1, 2, 3):
            torch.set_num_threads(n)
            out, lse = kernels.forward(matrix_unit, q, k, v, 9)
            results.append([out, lse, *kernels.backward(matrix_unit, (v, q, k, v, out), lse, 9)])
    finally:
        torch.set_num_threads(threads)
    for other in results[1:]:
        assert all(torch.equal(a, b) for a, b in zip(results[0], other, strict=True))


def test_its_memory_is_predicted(matrix_unit: CDLL) -> None:
    """A map holds what each square of queries has with each square of keys that it sees."""
    assert kernels.map_size(matrix_unit, (1, 16, 8, 8), 1) == 2 * 2 * 256
    per_pixel = kernels.map_size(matrix_unit, (1, 64, 512, 512), 25) / 512**2
    assert 25**2 < per_pixel < 1.3 * 25**2
