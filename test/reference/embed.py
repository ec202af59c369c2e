"""Writes golden/embed.safetensors: dense features of whole images, pooled, of a narrow VGG, in float64.

    venv/bin/python test/reference/generate.py embed

Images of three shapes are resized with antialiasing to two smaller sides, and rounded; each goes through the network as it is and
mirrored.
"""

import torch
from torch.nn import functional

from generate import Case, formula_bytes, write

SIZES = {"wide": [48, 64], "tall": [75, 40], "square": [56, 56]}
SCALES = [40, 56]
LAYERS = ["relu7", "relu4_2"]


def resized(image, side):
    height, width = image.shape[2:]
    scale = side / min(height, width)
    size = [side if length == min(height, width) else round(length * scale) for length in (height, width)]
    return functional.interpolate(image.double(), size, mode="bilinear", antialias=True).round()


def maps(case, x):
    """The tensors by name; the fully connected layers are convolutions."""
    found = {}
    for layer in case.layers:
        if layer["kind"] == "input":
            mean, scale = (torch.tensor(layer[key], dtype=x.dtype).reshape(1, -1, 1, 1) for key in ("mean", "scale"))
            x = (x - mean) * scale
        elif layer["kind"] == "max-pool":
            x = functional.max_pool2d(x, 2)
        else:
            weight, bias = (case.parameters[f"{layer['name']}.{kind}"] for kind in ("weight", "bias"))
            if layer["kind"] == "linear":
                weight = weight.reshape(layer["outputs"], -1, *layer["window"])
            padding = layer["kernel"] // 2 if layer["kind"] == "convolution" else 0
            x = functional.conv2d(x, weight, bias, padding=padding)
            x = found[layer.get("relu", layer["name"])] = torch.relu(x) if "relu" in layer else x
    return found


def pooled(case, image, log1p):
    found = maps(case, image.double())
    rows = [pool for layer in LAYERS for pool in (found[layer].mean((2, 3)), found[layer].amax((2, 3)))]
    row = torch.cat(rows, 1)[0]
    return row.log1p() if log1p else row


def main():
    case = Case("embed", "A", "uint8", 1, 10, 32, 1 / 16, head_width=20)
    mean, stack = [], []
    for name, (height, width) in SIZES.items():
        image = formula_bytes(f"embed/{name}", [height, width, 3]).permute(2, 0, 1)[None].contiguous()
        versions = [[resized(image, side), resized(image, side).flip(3)] for side in SCALES]
        mean.append(torch.stack([pooled(case, image, False) for pair in versions for image in pair]).mean(0))
        rows = torch.stack([torch.stack([pooled(case, image, True) for image in pair]).mean(0) for pair in versions])
        stack.append(rows / rows.square().sum().sqrt())
    write("embed", case.json | {"sizes": SIZES, "scales": SCALES, "asked": LAYERS},
          {"mean": torch.stack(mean), "stack": torch.stack(stack)})
    print(f"embed: means rms {torch.stack(mean).square().mean().sqrt():.3g}")
