"""export_onnx.py FILE: VGG-16 for a batch of 8 at 224x224, with random weights, for onnxruntime-node."""

import os
import sys

import torch

from vgg_torch import network

file = sys.argv[1]
torch.manual_seed(0)
net = network("D", 224, 4096, 1000).eval()
images = torch.zeros(8, 3, 224, 224)
# the exporter of old needs the onnx package only; whole or not at all, as a run may be interrupted
torch.onnx.export(net, (images,), f"{file}.new", dynamo=False, input_names=["images"], output_names=["logits"])
os.replace(f"{file}.new", file)
