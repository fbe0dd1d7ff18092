from nlrn.config import Config as Config
from nlrn.errors import ModelError as ModelError
from nlrn.errors import NoiseWarning as NoiseWarning
from nlrn.inference.restore import denoise as denoise
from nlrn.inference.restore import upscale as upscale
from nlrn.inference.restorer import Restorer as Restorer
from nlrn.models import list_models as list_models
from nlrn.models import load as load
from nlrn.models import save as save
from nlrn.network import NLRN as NLRN
from nlrn.network import NonLocalBlock as NonLocalBlock
from nlrn.pixels.noise import estimate_sigma as estimate_sigma
from nlrn.pixels.noise_levels import estimate_noise as estimate_noise

__version__: str
