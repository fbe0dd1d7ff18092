"""The package as a whole: it is imported quickly, loads only what it needs, and names what it has."""

import subprocess
import sys

import nlrn

HEAVY = ("torch", "numpy", "PIL", "cv2", "tifffile", "rich", "lightning_fabric", "tensorboard", "skimage")


def modules_after(statement: str) -> set[str]:
    code = f"import sys; {statement}; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def test_importing_loads_nothing_heavy() -> None:
    assert not modules_after("import nlrn").intersection(HEAVY)


def test_the_command_line_waits_for_torch_only_when_it_works() -> None:
    assert not modules_after("import nlrn.cli").intersection({"torch", "cv2", "tifffile", "lightning_fabric"})


def test_restoring_does_not_load_what_training_needs() -> None:
    used = modules_after("import nlrn; nlrn.denoise, nlrn.upscale, nlrn.load")
    assert not used.intersection({"lightning_fabric", "tensorboard", "skimage", "nlrn.training"})


def test_every_public_name_is_there() -> None:
    assert all(getattr(nlrn, name) is not None for name in nlrn.__all__)
    assert set(dir(nlrn)) >= {"__version__"}


def test_the_settings_of_training_are_told_without_what_training_needs() -> None:
    assert "lightning_fabric" not in modules_after("import nlrn.training.settings")
