"""The tasks, as records, and the settings of a network, in plain values: nothing here needs torch."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, get_type_hints

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Task:
    """Something that a network can be trained to do."""

    name: str
    """As ``Config.task`` and files have it."""
    verb: str
    """The command that does it, and the function."""
    action: str
    """What a button says."""
    suffix: str
    """What is put behind the name of a result; ``{}`` is the level."""
    level: str
    """What its levels are called, in reports and flags."""
    unit: str
    """How a level is shown; ``{}`` is the number."""
    levels: tuple[int, ...]
    """The levels that the literature reports."""
    enlarges: bool
    """Whether its levels are factors by which results are larger."""
    estimated: bool
    """Whether the level is found in the image where none is given."""
    gray: str
    """What a network of one channel sees of colours: "gray", luma in full range, or "luma", Y in studio range."""
    defaults: Mapping[int, str]
    """The model that serves where none is named, for images of 1 (gray) and 3 (colour) channels."""


DENOISE = Task(
    name="denoise",
    verb="denoise",
    action="Remove noise",
    suffix="-denoised",
    level="sigma",
    unit="sigma {}",
    levels=(15, 25, 50),
    enlarges=False,
    estimated=True,
    gray="gray",
    defaults=MappingProxyType({1: "denoise-gray", 3: "denoise-color"}),
)
SUPER_RESOLUTION = Task(
    name="sr",
    verb="upscale",
    action="Enlarge",
    suffix="-{}",
    level="scale",
    unit="x{}",
    levels=(2, 3, 4),
    enlarges=True,
    estimated=False,
    gray="luma",
    defaults=MappingProxyType({1: "sr", 3: "sr"}),
)
TASKS = MappingProxyType({task.name: task for task in (DENOISE, SUPER_RESOLUTION)})

SIMILARITIES = (
    "embedded-gaussian",  # softmax of theta(x_i) . phi(x_j): the paper's choice
    "symmetric-embedded-gaussian",  # softmax of theta(x_i) . theta(x_j)
    "gaussian",  # softmax of x_i . x_j
    "euclidean",  # softmax of -|x_i - x_j|^2
    "embedded-dot",  # theta(x_i) . phi(x_j), over the number of neighbours
    "dot",  # x_i . x_j, over the number of neighbours
)
SCALES = (2, 3, 4)
"""The factors by which a network of super-resolution enlarges."""
_CODES: dict[str, tuple[Any, ...]] = {"task": tuple(TASKS), "similarity": SIMILARITIES}
_MOST = {"steps": 256, "filters": 4096, "embedding": 4096, "window": 1023, "every": 256, "unshuffle": 16}
"""Beyond these nobody trains a network, and a damaged file would cost all the memory there is."""
_FIRST_FIELDS = 11
"""Settings of a network in the first release."""


@dataclass(frozen=True)
class Config:
    """The settings in which one NLRN differs from another. The defaults are the paper's network.

    Raises:
        ValueError: a setting of another type, or beyond what it can be.

    >>> small = Config(steps=6, filters=64, embedding=32, window=15, every=2)
    >>> list(small.blocks)
    [0, 2, 4]
    """

    task: str = "denoise"
    """What the network restores: "denoise", or "sr" (super-resolution)."""
    channels: int = 1
    """Channels of the image: 1 (gray or luma) or 3 (RGB)."""
    steps: int = 12
    """T, the number of recurrent steps."""
    filters: int = 128
    """Channels of the features."""
    embedding: int = 64
    """Channels of theta and phi."""
    window: int = 45
    """Side of the neighbourhood in pixels, odd."""
    propagate: bool = True
    """Whether a step's logits are added to the next step's (paper, section 3.3)."""
    similarity: str = "embedded-gaussian"
    """How alike two features are; one of SIMILARITIES."""
    groups: int = 1
    """Groups of steps in a row, each of which shares a set of convolutions. The paper's is one group of all steps; as
    many groups as steps leave each step its own."""
    every: int = 1
    """The non-local block stands in every so-many-th step, from the first on; 0 leaves it out."""
    noise_map: bool = False
    """Whether the noise level is given as one more input channel, so that one model serves every sigma."""
    unshuffle: int = 1
    """The network sees squares of so many pixels a side as one, its pixels side by side as channels. An image that
    bicubic has enlarged loses nothing by 2, and takes a quarter of the time; the window then counts squares."""
    post_upsampling: bool = False
    """Super-resolution of the small image itself: the body works at its resolution and the tail makes the pixels of
    the enlarged one, 4 to 16 times less arithmetic. Without it the image is enlarged by bicubic first, as in the
    paper."""

    def __post_init__(self) -> None:
        for name, kind in get_type_hints(Config).items():
            if type(getattr(self, name)) is not kind:
                raise ValueError(f"{name} must be of type {kind.__name__}, not {getattr(self, name)!r}")
        if self.task not in TASKS:
            raise ValueError(f"task must be one of {tuple(TASKS)}, not {self.task!r}")
        if self.channels not in (1, 3):
            raise ValueError(f"channels must be 1 or 3, not {self.channels}")
        if self.enlarges and self.channels != 1:
            raise ValueError("super-resolution works on luma, so channels must be 1")
        if self.post_upsampling and (not self.enlarges or self.unshuffle > 1):
            raise ValueError("post_upsampling is for super-resolution, and without unshuffle")
        if self.similarity not in SIMILARITIES:
            raise ValueError(f"similarity must be one of {SIMILARITIES}, not {self.similarity!r}")
        if min(self.steps, self.filters, self.embedding, self.unshuffle) < 1 or self.every < 0:
            raise ValueError("steps, filters, embedding and unshuffle must be at least 1, and every at least 0")
        if not 1 <= self.groups <= self.steps:
            raise ValueError(f"groups must be from 1 to the {self.steps} steps, not {self.groups}")
        if self.window < 1 or self.window % 2 == 0:
            raise ValueError(f"window must be odd and positive, not {self.window}")
        for name, most in _MOST.items():
            if getattr(self, name) > most:
                raise ValueError(f"{name} must be at most {most}, not {getattr(self, name)}")

    @property
    def blocks(self) -> range:
        """The steps that hold a non-local block, counted from 0."""
        return range(0, self.steps, self.every) if self.every else range(0)

    def group(self, step: int) -> int:
        """The group to which a step belongs, both counted from 0."""
        return step * self.groups // self.steps

    @property
    def enlarges(self) -> bool:
        """Whether it is for making images larger."""
        return TASKS[self.task].enlarges

    @property
    def sees(self) -> str:
        """The part of an image that it is given: "rgb", or what its task takes of the colours."""
        return "rgb" if self.channels == 3 else TASKS[self.task].gray

    def factor(self, scale: int) -> int:
        """The factor from what the network is given to what it makes, where an image is enlarged ``scale`` times."""
        return scale if self.post_upsampling else 1

    def to_tensor(self) -> "Tensor":
        """The configuration as int64, for tools that see nothing of a model but its tensors.

        What came after the first release stands in it only where it is used, so that files fit older releases too.
        """
        import torch

        fields = list(asdict(self).items())
        while len(fields) > _FIRST_FIELDS and fields[-1][1] == getattr(Config, fields[-1][0]):
            fields.pop()
        return torch.tensor([_CODES[n].index(v) if n in _CODES else int(v) for n, v in fields], dtype=torch.int64)

    @classmethod
    def from_tensor(cls, code: "Tensor") -> "Config":
        """The inverse of :meth:`to_tensor`. Raises ValueError where the tensor is not one of ours."""
        import torch

        kinds = get_type_hints(cls)
        values = code.tolist() if code.dtype == torch.int64 and code.dim() == 1 else []
        if not _FIRST_FIELDS <= len(values) <= len(kinds):
            raise ValueError("the tensor 'config_code' is not one that nlrn wrote")
        fields: dict[str, Any] = {}
        for (name, kind), value in zip(kinds.items(), values, strict=False):
            choices = _CODES.get(name, (False, True) if kind is bool else None)
            if choices is not None and not 0 <= value < len(choices):
                raise ValueError(f"the tensor 'config_code' has a {name} that this nlrn does not know ({value})")
            fields[name] = value if choices is None else choices[value]
        fields["groups"] = fields["groups"] or fields["steps"]  # 0.1 said here whether all steps share one set
        return cls(**fields)
