"""Writes networks as Caffe writes them, and what OpenCV, the one reader that is left of them, computes with them.

    venv/bin/pip install grpcio-tools==1.85.3 protobuf "opencv-python-headless<5"
    venv/bin/python test/reference/generate.py foreign caffe

The messages are those of Caffe's own caffe.proto, from the source of Caffe that PyPI's brocolli-caffe is (BSD-2-Clause);
it is fetched and compiled here, and not kept. Weights and images are the formula's, in the order of the file: BGR.
"""

import hashlib
import importlib
import pathlib
import subprocess
import sys
import tarfile
import tempfile

import cv2
import numpy
import torch
from google.protobuf import text_format

from generate import FOLDER, Case, write

SOURCE = "brocolli-caffe==9.0.2"
PROTO_SHA256 = "dadd11269dc738fad59062d3373930435f490b845a489c19c88d31dc504eb670"
TAPS = ["pool1", "pool2", "pool3", "pool4", "pool5", "fc6", "fc7", "fc8"]


def messages(folder):
    """The module of Caffe's messages, compiled in `folder`."""
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", folder, SOURCE]
    subprocess.run(pip, check=True, stderr=subprocess.DEVNULL)
    [archive] = pathlib.Path(folder).glob("*.tar.gz")
    with tarfile.open(archive) as files:
        [member] = [one for one in files.getmembers() if one.name.endswith("src/caffe/proto/caffe.proto")]
        proto = files.extractfile(member).read()
    if hashlib.sha256(proto).hexdigest() != PROTO_SHA256:
        raise SystemExit(f"{SOURCE} has another caffe.proto")
    (pathlib.Path(folder) / "caffe.proto").write_bytes(proto)
    subprocess.run([sys.executable, "-m", "grpc_tools.protoc", f"-I{folder}", f"--python_out={folder}", "caffe.proto"],
                   check=True, stderr=subprocess.DEVNULL)
    sys.path.insert(0, folder)
    return importlib.import_module("caffe_pb2")


class OldForm:
    """Layers as in the authors' release of 2014: V1LayerParameter, blobs of four axes."""

    def __init__(self, caffe):
        self.add, self.kind = lambda net: net.layers.add(), caffe.V1LayerParameter.LayerType.Value

    def of(self, kind):
        return self.kind({"ReLU": "RELU", "InnerProduct": "INNER_PRODUCT"}.get(kind, kind.upper()))

    def shape(self, blob, shape):
        blob.num, blob.channels, blob.height, blob.width = [1] * (4 - len(shape)) + shape


class NewForm:
    """Layers as Caffe has written them since 2014: LayerParameter, blobs of any axes."""

    def __init__(self, _):
        self.add = lambda net: net.layer.add()

    def of(self, kind):
        return kind

    def shape(self, blob, shape):
        blob.shape.dim.extend(shape)


def layer_of(form, net, name, kind, bottom, top=None):
    layer = form.add(net)
    layer.name, layer.type = name, form.of(kind)
    layer.bottom.append(bottom)
    layer.top.append(top or name)
    return layer


def add_layer(form, net, layer, parameters, before):
    """Adds a layer of ours with its ReLU and dropout; returns the name of its output."""
    name, kind = layer["name"], layer["kind"]
    if kind == "max-pool":
        pool = layer_of(form, net, name, "Pooling", before).pooling_param
        pool.kernel_size = pool.stride = 2
        return name
    added = layer_of(form, net, name, "Convolution" if kind == "convolution" else "InnerProduct", before)
    if kind == "convolution":
        added.convolution_param.num_output = layer["outputs"]
        added.convolution_param.pad.append(1)
        added.convolution_param.kernel_size.append(layer["kernel"])
    else:
        added.inner_product_param.num_output = layer["outputs"]
    for part in ("weight", "bias"):
        value = parameters[f"{name}.{part}"]
        blob = added.blobs.add()
        form.shape(blob, list(value.shape))
        blob.data.extend(value.flatten().tolist())
    if "relu" in layer:
        layer_of(form, net, layer["relu"], "ReLU", name, name)
    if name in ("fc6", "fc7"):
        layer_of(form, net, f"drop{name[2]}", "Dropout", name, name).dropout_param.dropout_ratio = 0.5
    return name


def network(caffe, form, name, layers, parameters, side):
    net = caffe.NetParameter(name=name)
    net.input.append("data")
    net.input_dim.extend([1, 3, side, side])
    before = "data"
    for layer in layers[1:]:
        before = add_layer(form, net, layer, parameters, before)
    layer_of(form, net, "prob", "Softmax", before, "prob")
    return net


def definition(net, form):
    """The network without its weights, as the text that goes with it (.prototxt)."""
    bare = type(net).FromString(net.SerializeToString())
    for layer in bare.layers if isinstance(form, OldForm) else bare.layer:
        del layer.blobs[:]
    return text_format.MessageToString(bare)


def computed(path, text, images):
    """What OpenCV computes: each tap, without fusing layers; images BGR, mean subtracted."""
    net = cv2.dnn.readNetFromCaffe(text, str(path))
    net.enableFusion(False)
    net.enableWinograd(False)
    net.setInput(numpy.ascontiguousarray(images, dtype=numpy.float32))
    return {tap: torch.from_numpy(net.forward(tap).copy()) for tap in TAPS}


def golden(caffe, name, form, mean_bgr, **size):
    case = Case(name, pixels="uint8", batch=1, stream=f"foreign/{name}", **size)
    net = network(caffe, form, name, case.layers, case.parameters, size["side"])
    path = FOLDER / "foreign" / f"{name}.caffemodel"
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(net.SerializeToString())
    images = case.images.numpy()[:, ::-1] - numpy.array(mean_bgr).reshape(1, 3, 1, 1)
    text = FOLDER / "foreign" / f"{name}.prototxt"
    text.write_text(definition(net, form))
    taps = computed(path, str(text), images)
    text.unlink()
    write(f"foreign/{name}", case.json, taps)
    print(f"{name}: {path.stat().st_size} bytes, logits rms {taps['fc8'].square().mean().sqrt():.3g}")


def main():
    with tempfile.TemporaryDirectory() as folder:
        caffe = messages(folder)
        golden(caffe, "caffe-v1", OldForm(caffe), [103.939, 116.779, 123.68],
               variant="D", classes=1000, side=64, width=0.0625, head_width=8)
        golden(caffe, "caffe-face", NewForm(caffe), [93.594, 104.7624, 129.1863],
               variant="A", classes=2622, side=64, width=0.0625, head_width=8)
