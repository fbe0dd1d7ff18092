"""The page: a picture and what to do with it on the left, three views of it on the right."""

from pathlib import Path
from typing import Any

import gradio as gr

from nlrn import images
from nlrn.config import DENOISE
from nlrn.inference.restorer import SCALES
from nlrn.web.actions import CLICK, EMPTY, NOTHING, VERBS, Actions
from nlrn.web.work import Models

_HEAD = (
    "# nlrn\nRemove noise from a picture, or enlarge it, with the Non-Local Recurrent Network. "
    "It stays on this machine."
)
_COMPARE = "The picture through every model of the task, with the settings on the left; click one to enlarge it."


def look() -> dict[str, Any]:
    """How the page looks, for the function of Gradio that mounts it: fonts of the machine, one style sheet."""
    theme = gr.themes.Base(
        primary_hue="teal",
        spacing_size="sm",
        neutral_hue="slate",
        font=["system-ui", "sans-serif"],
        font_mono=["ui-monospace", "monospace"],
    )
    return {"theme": theme, "css": (Path(__file__).parent / "look.css").read_text()}


def build(models: Models, folder: Path) -> gr.Blocks:
    """The page with everything that happens on it.

    Args:
        models: what it offers.
        folder: where Gradio keeps files.
    """
    page = _Page(models)
    # uploads and results are forgotten a day after they were last used, looked for every hour
    whole = gr.Blocks(title="nlrn", analytics_enabled=False, delete_cache=(3600, 86400), fill_width=True)
    with whole:
        gr.Markdown(_HEAD, elem_id="head")
        with gr.Row():
            with gr.Column(scale=1, min_width=310):
                page.settings()
            with gr.Column(scale=3, min_width=560), gr.Tabs():
                with gr.Tab("Before and after"):
                    page.before_and_after()
                with gr.Tab("What it looks at"):
                    page.what_it_looks_at()
                with gr.Tab("All models"):
                    page.all_models()
        page.connect(Actions(models, folder))
    return whole


class _Page:
    """The fields of the page."""

    def __init__(self, models: Models) -> None:
        self._models = models

    def settings(self) -> None:
        self.opened = gr.State(None)
        self.file = gr.File(label="Picture", file_types=list(images.SUFFIXES), height=110, elem_id="file")
        self.about = gr.Markdown(NOTHING, elem_id="about")
        tasks = [(verb, task) for task, verb in VERBS.items()]
        self.task = gr.Radio(tasks, value="denoise", label="What to do", elem_id="task")
        with gr.Group() as self.for_denoise:
            self.sigma = gr.Slider(
                0,
                75,
                value=0,
                step=0.5,
                label="Noise level",
                info="Sigma, where white is 255",
                buttons=[],
                elem_id="sigma",
            )
            self.estimated = gr.Checkbox(True, label="as estimated from the picture", elem_id="estimated")
        scales = [(f"{n}x", n) for n in SCALES]
        self.scale = gr.Radio(scales, value=2, label="How much", visible=False, elem_id="scale")
        names = self._models.names("denoise")
        self.model = gr.Dropdown(names, value=DENOISE.defaults[3], label="Model", filterable=False, elem_id="model")
        self.ensemble = gr.Checkbox(False, label="Flips and turns: 8 times as long, slightly better")
        self.go = gr.Button(VERBS["denoise"], variant="primary", interactive=False, elem_id="go")

    def before_and_after(self) -> None:
        self.slider = gr.ImageSlider(
            show_label=False,
            interactive=False,
            buttons=["fullscreen"],
            height=430,
            max_height=430,
            elem_id="slider",
        )
        self.status = gr.Markdown(EMPTY, elem_id="status")
        self.download = gr.DownloadButton("Download", visible=False, elem_id="download")

    def what_it_looks_at(self) -> None:
        with gr.Row():
            self.picture = gr.Image(
                show_label=False,
                interactive=False,
                buttons=["fullscreen"],
                height=240,
                scale=3,
                elem_id="picture",
            )
            with gr.Column(scale=1, min_width=220):
                self.said = gr.Markdown(CLICK, elem_id="said")
                with gr.Row():
                    self.x = gr.Number(0, label="X", precision=0, minimum=0, min_width=60, elem_id="x")
                    self.y = gr.Number(0, label="Y", precision=0, minimum=0, min_width=60, elem_id="y")
                self.explain = gr.Button("Look there", interactive=False, elem_id="explain")
        self.maps = gr.Image(
            show_label=False, interactive=False, buttons=["download", "fullscreen"], visible=False, elem_id="maps"
        )

    def all_models(self) -> None:
        gr.Markdown(_COMPARE)
        self.compare = gr.Button("Run all models", interactive=False, elem_id="compare")
        self.gallery = gr.Gallery(
            show_label=False,
            interactive=False,
            columns=2,
            object_fit="contain",
            height="auto",
            buttons=["download", "fullscreen"],
            visible=False,
            elem_id="gallery",
        )

    def connect(self, actions: Actions) -> None:
        """What happens when."""
        self.file.change(
            actions.open,
            [self.file, self.task],
            [
                self.opened,
                self.about,
                self.model,
                self.sigma,
                self.estimated,
                self.slider,
                self.status,
                self.download,
                self.picture,
                self.said,
                self.maps,
                self.gallery,
                self.go,
                self.explain,
                self.compare,
            ],
        )
        self.task.change(
            actions.choose,
            [self.task, self.opened],
            [self.for_denoise, self.scale, self.model, self.go],
            show_progress="hidden",
        )
        self.sigma.input(lambda: False, None, self.estimated, show_progress="hidden")
        self.estimated.input(
            actions.back_to_estimate, [self.opened, self.estimated], self.sigma, show_progress="hidden"
        )
        settings = [self.task, self.model, self.estimated, self.sigma, self.scale, self.ensemble]
        # one at a time: each takes all cores
        self.go.click(
            actions.restore,
            [self.opened, *settings],
            [self.slider, self.status, self.download],
            concurrency_id="work",
            show_progress_on=self.slider,
        )
        maps: dict[str, Any] = {
            "fn": actions.explain,
            "inputs": [self.opened, self.x, self.y, *settings],
            "outputs": [self.maps, self.said],
            "concurrency_id": "work",
            "show_progress_on": self.maps,
        }
        self.picture.select(actions.clicked, self.opened, [self.x, self.y], show_progress="hidden").then(**maps)
        self.explain.click(**maps)
        self.compare.click(actions.compare, [self.opened, *settings], self.gallery, concurrency_id="work")
