"""Animations go in and out frame by frame, with their timing; what cannot hold them says so."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from nlrn import images

DURATIONS = [40, 120, 500]


def frames(mode: str) -> list[Image.Image]:
    """A square that moves over a soft ground."""
    rows, columns = np.mgrid[:24, :32]
    found = []
    for number in range(3):
        ground = np.stack([rows * 9, columns * 7, rows + columns, rows * 0 + 255], -1).astype(np.uint8)
        ground[4:12, 4 + 8 * number : 12 + 8 * number] = (250, 20, 20, 255)
        if mode == "RGBA":
            ground[14:, :8] = 0
        found.append(Image.fromarray(ground).convert(mode))
    return found


def shown(path: Path) -> list[tuple[np.ndarray, float]]:
    """What a viewer shows, by Pillow, and for how long."""
    with Image.open(path) as file:
        found = []
        for number in range(file.n_frames):
            file.seek(number)
            file.load()
            found.append((np.asarray(file.convert("RGBA")), file.info["duration"]))
        return found


@pytest.mark.parametrize("mode", ["RGB", "RGBA"])
@pytest.mark.parametrize("loop", [0, 1, 3])
@pytest.mark.parametrize("target", [".gif", ".png", ".webp", ".avif"])
@pytest.mark.parametrize("source", [".gif", ".png", ".webp", ".avif"])
def test_frames_and_timing_go_from_any_format_to_any_other(
    tmp_path: Path, source: str, target: str, loop: int, mode: str
) -> None:
    options = {"lossless": True} if source == ".webp" else {"quality": 95} if source == ".avif" else {}
    made = frames(mode)
    repeat = {} if source == ".gif" and loop == 1 else {"loop": loop - 1 if source == ".gif" and loop else loop}
    made[0].save(
        tmp_path / f"x{source}", save_all=True, append_images=made[1:], duration=DURATIONS, **repeat, **options
    )
    found = images.read_pages(tmp_path / f"x{source}")
    assert [page.metadata.duration for page in found] == DURATIONS
    assert [page.metadata.loop for page in found] == [0 if source == ".avif" else loop] * 3
    for page, (pixels, _) in zip(found, shown(tmp_path / f"x{source}"), strict=True):
        seen = pixels[..., 3] > 0
        np.testing.assert_array_equal(page.pixels[seen][:, :3], pixels[seen][:, :3])
    images.write_pages(tmp_path / f"y{target}", found)
    again = shown(tmp_path / f"y{target}")
    assert [duration for _, duration in again] == DURATIONS
    for page, (pixels, _) in zip(found, again, strict=True):
        seen = pixels[..., 3] > 128
        assert np.abs(page.pixels[seen][:, :3].astype(int) - pixels[seen][:, :3]).mean() < 8
        if page.pixels.shape[2] == 4:
            assert ((page.pixels[..., 3] > 128) == seen).mean() > 0.98
    if target != ".avif":
        assert {page.metadata.loop for page in images.read_pages(tmp_path / f"y{target}")} == {found[0].metadata.loop}


@pytest.mark.parametrize("target", [".jpg", ".bmp", ".ppm"])
def test_a_format_without_animations_refuses_one(tmp_path: Path, target: str) -> None:
    made = frames("RGB")
    made[0].save(tmp_path / "x.gif", save_all=True, append_images=made[1:], duration=DURATIONS)
    found = images.read_pages(tmp_path / "x.gif")
    with pytest.raises(images.ImageFileError, match=r"holds no 3 pages, \.tif does"):
        images.write_pages(tmp_path / f"y{target}", found)
    with pytest.raises(images.ImageFileError, match=r"holds no 3 pages, \.tif does"):
        images.check_writable(tmp_path / f"y{target}", found)
    images.write_pages(tmp_path / "y.tif", found)
    assert len(images.read_pages(tmp_path / "y.tif")) == 3


def test_a_gif_with_a_transparent_colour_and_a_comment(tmp_path: Path) -> None:
    made = frames("RGBA")[0]
    made.save(tmp_path / "x.gif", comment="made by hand")
    picture = images.read(tmp_path / "x.gif")
    np.testing.assert_array_equal(picture.pixels[..., 3], np.asarray(made)[..., 3])
    images.write(tmp_path / "y.gif", picture.pixels, picture)
    again = images.read(tmp_path / "y.gif")
    assert again.metadata.text == (("Comment", "made by hand"),)
    np.testing.assert_array_equal(again.pixels[..., 3], picture.pixels[..., 3])


def test_the_picture_for_viewers_without_animations_is_no_frame(tmp_path: Path) -> None:
    made = frames("RGB")
    made[0].save(
        tmp_path / "x.png", save_all=True, append_images=made[1:], default_image=True, duration=DURATIONS[1:]
    )
    found = images.read_pages(tmp_path / "x.png")
    assert [page.metadata.duration for page in found] == DURATIONS[1:]
    np.testing.assert_array_equal(found[0].pixels, np.asarray(made[1]))


def test_frames_of_16_bits_go_into_pages_only(tmp_path: Path) -> None:
    pages = [images.Picture(np.zeros((4, 5), np.uint16), images.Metadata(duration=50.0)) for _ in range(2)]
    with pytest.raises(images.ImageFileError, match="8 bits"):
        images.write_pages(tmp_path / "x.png", pages)
