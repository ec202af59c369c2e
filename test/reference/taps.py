"""Writes golden/taps.safetensors: gradients inside a network by autograd in float64, losses of features, and LPIPS.

    venv/bin/pip install torch==2.13.0 torchvision==0.28.0 lpips==0.1.4 scipy tqdm
    venv/bin/python test/reference/generate.py taps

Weights, images and cotangents are the formula's. LPIPS is that of its authors' package, with the formula's weights in
torchvision's VGG-16.
"""

import torch
from torch.nn import functional

from generate import exponents_of, formula, layers_of, parameter_shapes, write

# torchvision's wheel is built for CUDA, see foreign_torch.py
OPERATORS = torch.library.Library("torchvision", "DEF")
for operator in ("nms", "qnms"):
    OPERATORS.define(f"{operator}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")

import lpips  # noqa: E402

WIDTH = 1 / 16
CALLS = {
    "deep": {"shape": [2, 3, 33, 47], "cotangents": ["relu5_3", "relu4_3"], "wrt": ["image", "relu3_3", "conv3_3"]},
    "pool": {"shape": [1, 3, 64, 40], "cotangents": ["pool2", "conv4_1"], "wrt": ["pool2", "pool1", "relu2_1", "image"]},
}
LAYERS = ["relu1_2", "relu2_2", "relu3_3", "relu4_3"]
WEIGHTS = [1, 0.5, 0.25, 2]


def trunk(width):
    return [layer for layer in layers_of("D", width) if layer["kind"] != "linear"]


def parameters_of(stream, layers):
    shapes = parameter_shapes(layers)
    exponents = exponents_of(shapes)
    return {key: formula(f"{stream}/{key}", shape, exponents[key]) for key, shape in shapes.items()}, exponents


def values_of(layers, parameters, image):
    """Each tensor by its name, all parts of one graph."""
    found, x = {"image": image}, image
    for layer in layers:
        if layer["kind"] == "input":
            mean, scale = (torch.tensor(layer[key], dtype=x.dtype).reshape(1, -1, 1, 1) for key in ("mean", "scale"))
            x = (x - mean) * scale
        elif layer["kind"] == "max-pool":
            if min(x.shape[2:]) < 2:  # small images end before the last pool
                break
            x = found[layer["name"]] = functional.max_pool2d(x, 2)
        else:
            weight, bias = (parameters[f"{layer['name']}.{kind}"] for kind in ("weight", "bias"))
            x = found[layer["name"]] = functional.conv2d(x, weight, bias, padding=1)
            x = found[layer["relu"]] = functional.relu(x)
    return found


def pixels(name, shape):
    return formula(name, shape, 7) + 128


def gram(x):
    n, c, h, w = x.shape
    flat = x.reshape(n, c, h * w)
    return flat @ flat.transpose(1, 2) / (c * h * w)


def loss_of(layers, parameters, a, b, of):
    a = a.clone().requires_grad_(True)
    values, others = values_of(layers, parameters, a), values_of(layers, parameters, b)
    loss = sum(weight * functional.mse_loss(of(values[name]), of(others[name])) for name, weight in zip(LAYERS, WEIGHTS))
    return {"loss": loss.reshape(1), "gradient": torch.autograd.grad(loss, a)[0]}


def distances():
    """LPIPS of two pairs of images from -1 to 1."""
    model = lpips.LPIPS(net="vgg", pnet_rand=True, verbose=False).double().eval()
    layers = trunk(1.0)
    parameters, exponents = parameters_of("lpips", layers)
    convolutions = [module for module in model.net.modules() if isinstance(module, torch.nn.Conv2d)]
    names = [layer["name"] for layer in layers if layer["kind"] == "convolution"]
    for name, convolution in zip(names, convolutions, strict=True):
        convolution.weight.data = parameters[f"{name}.weight"]
        convolution.bias.data = parameters[f"{name}.bias"]
    a, b = (formula(f"lpips/{name}", [2, 3, 40, 56], 0) for name in ("a", "b"))
    a.requires_grad_(True)
    found = model(a, b)
    model.spatial = True
    tensors = {"lpips/distances": found.reshape(2), "lpips/gradient": torch.autograd.grad(found.mean(), a)[0],
               "lpips/spatial": model(a, b)}
    return tensors, exponents


def main():
    layers = trunk(WIDTH)
    parameters, exponents = parameters_of("taps", layers)
    tensors = {}
    for name, call in CALLS.items():
        image = pixels(f"taps/{name}", call["shape"]).requires_grad_(True)
        values = values_of(layers, parameters, image)
        cotangents = [formula(f"taps/{name}/{at}", list(values[at].shape), 0) for at in call["cotangents"]]
        gradients = torch.autograd.grad([values[at] for at in call["cotangents"]], [values[at] for at in call["wrt"]], cotangents)
        tensors |= {f"{name}/{at}": gradient for at, gradient in zip(call["wrt"], gradients)}
    a, b = pixels("taps/a", [2, 3, 31, 26]), pixels("taps/b", [2, 3, 31, 26])
    for name, of in (("perceptual", lambda x: x), ("gram", gram)):
        tensors |= {f"{name}/{key}": value for key, value in loss_of(layers, parameters, a, b, of).items()}
    found, full = distances()
    case = {"layers": layers, "exponents": exponents, "fullExponents": full, "calls": CALLS, "lossLayers": LAYERS, "lossWeights": WEIGHTS}
    write("taps", case, tensors | found)


if __name__ == "__main__":
    main()
