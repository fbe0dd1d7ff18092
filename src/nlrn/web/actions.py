"""What happens on the page: from what its fields hold to what its fields shall hold."""

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn, TypeVar

import gradio as gr
from gradio.processing_utils import save_file_to_cache
from PIL import Image

from nlrn.batch import UsageError
from nlrn.explanation.attention import explain
from nlrn.explanation.heatmaps import draw
from nlrn.pixels.arrays import full_scale
from nlrn.web import work
from nlrn.web.guard import is_ours
from nlrn.web.work import Models, Opened, Order

NOTHING = (
    "PNG, TIFF, JPEG, WebP, BMP, PNM or AVIF; "
    f"up to {work.MAX_PIXELS // 10**6} megapixels and {work.MAX_BYTES >> 20} MB"
)
EMPTY = "The picture appears here, as it came and as restored, with a line between the two to drag."
CAME = "As it came on both sides; the button on the left makes the right one new."
CLICK = "Click into the picture: which of its neighbours does the network look at there?"
VERBS = {"denoise": "Remove noise", "sr": "Enlarge"}

Result = TypeVar("Result")


class Actions:
    """The functions behind the page; what belongs to one visitor is in ``opened`` alone. ``settings`` are the
    fields that :func:`_order` names.

    Args:
        models: what the page offers.
        folder: where Gradio keeps files.
    """

    def __init__(self, models: Models, folder: Path) -> None:
        self._models = models
        self._folder = folder

    def open(self, path: str | None, task: str) -> list[Any]:
        """A file was dropped, or taken away."""
        opened, about, picture = None, NOTHING, None
        if path is not None:
            try:
                # a request may name any file in the folder
                if not is_ours(path, self._folder):
                    raise UsageError("This file was not uploaded.")
                opened = work.open_picture(Path(path))
                about = f"{work.describe(opened)}"
                picture = self._kept(work.shown(opened.picture.pixels))
            except UsageError as error:
                about = f"**Cannot be used.** {error}"
        can = gr.Button(interactive=opened is not None)
        return [
            opened,
            about,
            gr.Dropdown(value=work.default_model(opened, task)),
            gr.Slider(value=0.0 if opened is None else _rounded(opened.sigma)),
            gr.Checkbox(value=True, label=_estimated(opened)),
            None if picture is None else (picture, picture),
            EMPTY if opened is None else CAME,
            gr.DownloadButton(visible=False),
            picture,
            CLICK,
            gr.Image(value=None, visible=False),
            gr.Gallery(value=None, visible=False),
            can,
            can,
            can,
        ]

    def choose(self, task: str, opened: Opened | None) -> list[Any]:
        """Another task was chosen."""
        return [
            gr.Group(visible=task == "denoise"),
            gr.Radio(visible=task == "sr"),
            gr.Dropdown(choices=self._models.names(task), value=work.default_model(opened, task)),
            gr.Button(VERBS[task]),
        ]

    def back_to_estimate(self, opened: Opened | None, estimated: bool) -> Any:
        """The estimate was chosen, or left."""
        return _rounded(opened.sigma) if estimated and opened is not None else gr.skip()

    def restore(
        self,
        opened: Opened | None,
        progress: gr.Progress = gr.Progress(),  # noqa: B008  # how Gradio hands it in
        *settings: Any,
    ) -> list[Any]:
        """The picture restored: shown beside what it was, and as a file."""
        picture, order = _there(opened), _order(*settings)
        progress(0, desc=f"{picture.width} x {picture.height} pixels")

        def report(done: int, total: int) -> None:
            progress(done / total, desc=f"{done / 1e6:.1f} of {total / 1e6:.1f} megapixels")

        with tempfile.TemporaryDirectory(dir=self._folder) as made:
            done = _or_error(lambda: work.restore(picture, order, self._models, Path(made), report))
            file = self._served(done.path)
            name, size = done.path.name, done.path.stat().st_size
        height, width = done.pixels.shape[:2]
        after = work.shown(done.pixels)
        before = work.shown(picture.picture.pixels, (width, height) if order.task == "sr" else None)
        rate = height * width / done.seconds
        speed = f"{width} x {height} pixels in {done.seconds:.1f} s, {rate:,.0f} pixels a second"
        reduced = "" if after.size == (width, height) else f" Shown reduced to {after.width} x {after.height}."
        same = work.command(picture, order)
        return [
            (self._kept(before), self._kept(after)),
            f"{speed}.{reduced}\n\nThe same on the command line: `{same}`",
            gr.DownloadButton(f"Download {name} ({_bytes(size)})", value=file, visible=True),
        ]

    def clicked(self, opened: Opened | None, event: gr.SelectData) -> tuple[int, int]:
        """The pixel that was clicked, in the picture itself, which may be shown reduced."""
        picture = _there(opened)
        return work.pixel_at(picture, *event.index)

    def explain(self, opened: Opened | None, x: float | None, y: float | None, *settings: Any) -> list[Any]:
        """The heat maps of a pixel."""
        picture, order = _there(opened), _order(*settings)
        if x is None or y is None:  # an empty field
            _say(UsageError("Give both X and Y, or click into the picture."))
        pixels = picture.picture.pixels
        level = None if order.sigma is None else order.sigma * full_scale(pixels.dtype) / 255
        network = _or_error(lambda: self._models.get(order.model, order.task))
        found = _or_error(lambda: explain(network, pixels, int(x), int(y), sigma=level, scale=order.scale))
        shown_level = picture.sigma if order.sigma is None else order.sigma
        how = f"at sigma {shown_level:.1f}" if order.task == "denoise" else f"enlarging {order.scale} times"
        said = f"Pixel {int(x)}, {int(y)}; {order.model} {how}."
        return [gr.Image(value=self._kept(Image.fromarray(draw(found))), visible=True), said]

    def compare(
        self,
        opened: Opened | None,
        progress: gr.Progress = gr.Progress(),  # noqa: B008  # how Gradio hands it in
        *settings: Any,
    ) -> Any:
        """The picture through all models of the task."""
        picture, order = _there(opened), _order(*settings)
        progress(0, desc="starting")
        with tempfile.TemporaryDirectory(dir=self._folder) as made:
            pictures = _or_error(
                lambda: work.compare(
                    picture, order, self._models, Path(made), lambda name, share: progress(share, desc=name)
                )
            )
            kept = [(self._served(path), said) for path, said in pictures]
        return gr.Gallery(value=kept, visible=True)

    def _kept(self, image: Image.Image) -> str:
        """A picture for the screen in a file that the browser may have."""
        with tempfile.TemporaryDirectory(dir=self._folder) as made:
            path = work.save_shown(image, Path(made) / "picture.png")
            return self._served(path)

    def _served(self, path: Path) -> str:
        """A copy of a file in the place where the browser may have it."""
        return str(save_file_to_cache(path, str(self._folder)))


def _order(task: str, model: str, estimated: bool, sigma: float, scale: int, ensemble: bool) -> Order:
    """What the fields under the picture ask for, in their order on the page."""
    return Order(task, model, None if estimated else sigma, scale, ensemble)


def _there(opened: Opened | None) -> Opened:
    if opened is None:
        _say(UsageError("Drop a picture first."))
    return opened


def _or_error(action: Callable[[], Result]) -> Result:
    """What an action returns, or its refusal as a message on the page."""
    try:
        return action()
    except (UsageError, ValueError) as error:
        _say(error)


def _say(error: Exception) -> NoReturn:
    words = str(error)
    raise gr.Error(f"{words[:1].upper()}{words[1:]}", duration=None, title="Not possible", print_exception=False)


def _estimated(opened: Opened | None) -> str:
    found = "" if opened is None else f": {opened.sigma:.1f}"
    return f"as estimated from the picture{found}"


def _rounded(sigma: float) -> float:
    """The place of the slider nearest to a noise level."""
    return min(75.0, round(2 * sigma) / 2)


def _bytes(count: int) -> str:
    return f"{count / 1e6:.1f} MB" if count >= 1e6 else f"{count / 1e3:.0f} kB"
