"""Denoise a picture with onnxruntime and NumPy alone, without PyTorch or this package.

    nlrn export denoise-gray-lite -o denoise.onnx
    python examples/onnx_without_torch.py denoise.onnx noisy.ppm clean.ppm 25

The pictures are binary PGM or PPM of 8 bits, gray or colour; the last number is sigma, where white is 255.
"""

import re
import sys
from pathlib import Path

import numpy as np
import onnxruntime

model, source, target, sigma = sys.argv[1:]
data = Path(source).read_bytes()
header = re.match(rb"P[56]\s+(\d+)\s+(\d+)\s+255\s", data)
if header is None:
    sys.exit(f"{source}: not a binary PGM or PPM of 8 bits")
width, height = map(int, header.groups())
pixels = np.frombuffer(data, np.uint8, offset=header.end()).reshape(height, width, -1)

planes = pixels.transpose(2, 0, 1)[:, None].astype(np.float32) / 255  # each colour as a gray image of its own
levels = np.full(len(planes), float(sigma) / 255, np.float32)
restored = onnxruntime.InferenceSession(model).run(None, {"image": planes, "sigma": levels})[0]

restored = np.rint(restored.clip(0, 1) * 255).astype(np.uint8)[:, 0].transpose(1, 2, 0)
Path(target).write_bytes(header.group() + restored.tobytes())
