"""Writes files of PyTorch with networks of torchvision and timm, and what these libraries compute with them.

    venv/bin/pip install torch==2.13.0 torchvision==0.28.0 timm==1.0.31 safetensors==0.8.0
    venv/bin/python test/reference/generate.py foreign torch

The networks are of torchvision's and timm's own classes, 1/32 as wide as in the paper, for 64x64 pixels and 5 classes;
weights and images are the formula's.
"""

import collections
import io
import struct
import tarfile
import pickle

import safetensors.torch
import torch

from generate import FOLDER, Case, write

# torchvision's wheel on PyPI is built for CUDA. Its operators, which VGG does not use, do not load beside PyTorch for
# the CPU; these are declared so that the classes can be imported.
OPERATORS = torch.library.Library("torchvision", "DEF")
for operator in ("nms", "qnms"):
    OPERATORS.define(f"{operator}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")

import timm.layers  # noqa: E402
import timm.models.vgg  # noqa: E402
import torchvision.models.vgg  # noqa: E402
from torchvision.transforms.functional import normalize  # noqa: E402

WIDTH, SIDE, CLASSES, HEAD = 1 / 32, 64, 5, 16
WINDOW = SIDE // 32
FOREIGN = FOLDER / "foreign"


def configuration(variant):
    return [value if value == "M" else int(value * WIDTH) for value in torchvision.models.vgg.cfgs[variant]]


def torchvision_net(variant, classes=CLASSES, window=WINDOW):
    rows = configuration(variant)
    net = torchvision.models.vgg.VGG(torchvision.models.vgg.make_layers(rows), classes, init_weights=False)
    net.avgpool = torch.nn.AdaptiveAvgPool2d((window, window))
    net.classifier[0] = torch.nn.Linear(rows[-2] * window**2, HEAD)
    net.classifier[3] = torch.nn.Linear(HEAD, HEAD)
    net.classifier[6] = torch.nn.Linear(HEAD, classes)
    return net, {"fc6": net.classifier[0], "fc7": net.classifier[3], "fc8": net.classifier[6]}


def timm_net(variant):
    rows = configuration(variant)
    net = timm.models.vgg.VGG(rows, num_classes=CLASSES)
    net.pre_logits = timm.models.vgg.ConvMlp(rows[-2], HEAD, WINDOW)
    net.head = timm.layers.ClassifierHead(HEAD, CLASSES)
    return net, {"fc6": net.pre_logits.fc1, "fc7": net.pre_logits.fc2, "fc8": net.head.fc}


def made(name, variant, create):
    """The network's dictionary of float32 tensors; its results are written to `name`-results."""
    case = Case(name, variant, "uint8", 1, CLASSES, SIDE, WIDTH, HEAD)
    net, layers = create(variant)
    state = net.state_dict()
    for key, value in zip(state, case.parameters.values(), strict=True):
        state[key] = value.reshape(state[key].shape).float()
    net.load_state_dict(state)
    net.eval().double()
    pools = [layer for layer in net.features if isinstance(layer, torch.nn.MaxPool2d)]
    layers |= {f"pool{index}": layer for index, layer in enumerate(pools, 1)}
    taps = {}
    for tap, layer in layers.items():
        # a copy, since the ReLU after it changes it
        layer.register_forward_hook(lambda _, inputs, output, tap=tap: taps.__setitem__(tap, output.clone()))
    image = normalize(case.images / 255, [0.485, 0.456, 0.406], [0.229, 0.224, 0.225])
    with torch.no_grad():
        logits = net(image)
    print(f"{name}: logits rms {logits.square().mean().sqrt():.3g}")
    shaped = {tap: value.flatten(1) if tap.startswith("fc") else value for tap, value in taps.items()}
    write(f"{name}-results", case.json, {"logits": logits} | shaped)
    return state


def shared(state):
    """The same tensors as parts of one storage, convolutions in channels-last order, fc6 transposed."""
    flat, views, at = torch.empty(sum(value.numel() for value in state.values()) + 3), collections.OrderedDict(), 3
    for key, value in state.items():
        part = flat[at : at + value.numel()]
        at += value.numel()
        if value.dim() == 4:
            outputs, inputs, height, width = value.shape
            view = part.view(outputs, height, width, inputs).permute(0, 3, 1, 2)
        else:
            view = part.view(value.shape[::-1]).T if value.dim() == 2 else part
        views[key] = view.copy_(value)
    return views


def tar(state):
    """The form of PyTorch 0.1, as torch.serialization.legacy_load of later versions reads it."""
    storages, tensors = io.BytesIO(), io.BytesIO()
    pickle.dump(len(state), storages, 2)
    pickle.dump(len(state), tensors, 2)
    for index, value in enumerate(state.values()):
        pickle.dump((index, "cpu", torch.FloatStorage), storages, 2)
        storages.write(struct.pack("<q", value.numel()) + value.numpy().tobytes())
        pickle.dump((1000 + index, index, torch.FloatTensor), tensors, 2)
        sizes = [*value.shape, *value.stride(), 0]
        tensors.write(struct.pack(f"<q{len(sizes)}q", value.dim(), *sizes))
    pickle.dump([], storages, 2)
    keys = {id(value): str(1000 + index) for index, value in enumerate(state.values())}
    objects = io.BytesIO()
    pickler = pickle.Pickler(objects, 2)
    pickler.persistent_id = lambda value: keys.get(id(value))
    pickler.dump(collections.OrderedDict(state))
    with tarfile.open(FOREIGN / "torchvision-A-tar.pth", "w", format=tarfile.GNU_FORMAT) as archive:
        for name, content in (("storages", storages), ("tensors", tensors), ("pickle", objects)):
            member = tarfile.TarInfo(name)
            member.size = content.tell()
            content.seek(0)
            archive.addfile(member, content)
    read = torch.load(FOREIGN / "torchvision-A-tar.pth", weights_only=False)
    assert all(torch.equal(read[key], value) for key, value in state.items())


def readme():
    """A file like vgg16-397923af.pth, which the README loads: 1000 classes, 224x224, the old stream; random weights."""
    torch.manual_seed(1)
    net, _ = torchvision_net("D", 1000, 7)
    return net.state_dict()


def main():
    FOREIGN.mkdir(exist_ok=True)

    def save(value, name, **options):
        torch.save(value, FOREIGN / f"{name}.pth", **options)

    stream = {"_use_new_zipfile_serialization": False}
    save(made("foreign/torchvision-D", "D", torchvision_net), "torchvision-D-stream", **stream)
    save(readme(), "vgg16-narrow", **stream)
    state = made("foreign/torchvision-A", "A", torchvision_net)
    save({"epoch": 7, "state_dict": {f"module.{key}": value for key, value in state.items()}}, "torchvision-A-nested")
    save({key: value.half() for key, value in state.items()}, "torchvision-A-half")
    save({key: value.bfloat16() for key, value in state.items()}, "torchvision-A-bfloat16", **stream)
    save(shared(state), "torchvision-A-shared")
    tar(state)
    small = {"bias": torch.tensor([1.5, -2]), "count": torch.tensor(3), "double": torch.tensor([[0.1], [1e300]]).double()}
    for protocol in range(1, 6):
        save(collections.OrderedDict(small), f"protocol-{protocol}-zip", pickle_protocol=protocol)
        save(collections.OrderedDict(small), f"protocol-{protocol}-stream", pickle_protocol=protocol, **stream)
    state = made("foreign/timm-A", "A", timm_net)
    safetensors.torch.save_file(state, FOREIGN / "timm-A.safetensors", {"format": "pt"})
    for name, dtype in (("half", torch.float16), ("bfloat16", torch.bfloat16)):
        rounded = {key: value.to(dtype) for key, value in state.items()}
        safetensors.torch.save_file(rounded, FOREIGN / f"timm-A-{name}.safetensors", {"format": "pt"})
