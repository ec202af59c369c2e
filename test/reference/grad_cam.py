"""Writes what pytorch-grad-cam computes of a narrow VGG: test/golden/grad-cam.safetensors.

    venv/bin/pip install torch==2.13.0 torchvision==0.28.0 grad-cam==1.5.5 opencv-python-headless
    venv/bin/python test/reference/grad_cam.py

The network is an nn.Sequential of convolutions, its head too, so that it takes images larger than its own 64x64; the scores are
the mean over positions. Weights and images are the formula's, computed in float64.
"""

import numpy
import torch

from generate import MEAN, SCALE, Case, formula, write

# torchvision's wheel on PyPI is built for CUDA: its operators, which are not used here, do not load beside PyTorch for the CPU
OPERATORS = torch.library.Library("torchvision", "DEF")
for operator in ("nms", "qnms"):
    OPERATORS.define(f"{operator}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")

from pytorch_grad_cam import GradCAM, GuidedBackpropReLUModel  # noqa: E402
from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget  # noqa: E402

LAYERS = ("conv4_2", "pool4", "relu5_2")
CHOSEN = 3
SIZES = {"own": (64, 64), "larger": (96, 80)}


class Normalise(torch.nn.Module):
    def forward(self, x):
        mean, scale = (torch.tensor(values, dtype=x.dtype).reshape(1, -1, 1, 1) for values in (MEAN, SCALE))
        return (x - mean) * scale


class Mean(torch.nn.Module):
    def forward(self, x):
        return x.mean((2, 3))


def sequential(case):
    """The modules, and each by the name of its output."""
    modules, channels = {"input": Normalise()}, 3
    for layer in case.layers[1:]:
        name = layer["name"]
        if layer["kind"] == "max-pool":
            modules[name] = torch.nn.MaxPool2d(2)
            continue
        weight, bias = (case.parameters[f"{name}.{part}"] for part in ("weight", "bias"))
        kernel = layer.get("kernel") or layer["window"][0]
        padding = kernel // 2 if layer["kind"] == "convolution" else 0
        module = torch.nn.Conv2d(channels, layer["outputs"], kernel, padding=padding).double()
        module.weight.data.copy_(weight.reshape(module.weight.shape))
        module.bias.data.copy_(bias)
        modules[name], channels = module, layer["outputs"]
        if "relu" in layer:
            modules[layer["relu"]] = torch.nn.ReLU()
    return torch.nn.Sequential(*modules.values(), Mean()).eval(), modules


def explain(net, modules, images):
    found = {"scores": net(images).detach()}
    for layer in LAYERS:
        with GradCAM(net, [modules[layer]]) as cam:
            for name, targets in (("predicted", None), ("chosen", [ClassifierOutputTarget(CHOSEN)] * len(images))):
                found[f"maps/{layer}/{name}"] = torch.from_numpy(cam(images, targets))
                kept = cam.activations_and_grads
                values, gradients = (part[0].numpy() for part in (kept.activations, kept.gradients))
                own = cam.get_cam_image(images, modules[layer], targets, values, gradients)
                found[f"layer/{layer}/{name}"] = torch.from_numpy(numpy.maximum(own, 0))
    leaf = images.clone().requires_grad_()
    (found["gradients"],) = torch.autograd.grad(net(leaf)[:, CHOSEN].sum(), leaf)
    # it takes one image at a time, and replaces the modules
    guided = GuidedBackpropReLUModel(net, "cpu")
    found["guided"] = torch.stack([
        torch.from_numpy(guided(image[None].clone(), CHOSEN)).permute(2, 0, 1) for image in images
    ])
    return found


def main():
    case = Case("grad-cam", "A", "float32", 2, 10, 64, width=1 / 16, head_width=20)
    tensors = {}
    for size, (height, width) in SIZES.items():
        images = case.images if size == "own" else formula(f"{case.stream}/larger", [1, 3, height, width], 7)
        net, modules = sequential(case)
        for key, value in explain(net, modules, images).items():
            print(size, key, list(value.shape), f"{value.abs().max():.3g}")
            tensors[f"{size}/{key}"] = value
    write(case.name, case.json | {"chosen": CHOSEN}, tensors)


if __name__ == "__main__":
    main()
