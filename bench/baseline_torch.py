"""The baseline PyTorch, on a GPU (cuda) or on the CPU (cpu). Answers each request with a line of JSON, so that bench/step.ts
can interleave its rounds with vggnet's:

    {"do": "versions"}                                  GPU, torch, cuDNN
    {"do": "ceilings", "precision": "bf16"}             rates of a product of 8192^3 random numbers and of a copy of 4 GiB
    {"do": "prepare", "way": "compile", "layout": "channels_last", "variant": "D", "imageSize": 224, "batch": 256, ...}
    {"do": "round", "milliseconds": 400}                milliseconds of a run, the mean of as many runs as fit

Ways: eager, compile, and graphs (compiled and captured as CUDA graphs). Images and labels are on the device before the clock
starts. bf16 is autocast; only inference by compile and graphs has its weights in bf16, because autocast would convert them in
each run. On a GPU cudnn.benchmark is on and SGD is fused. The number of threads is OMP_NUM_THREADS.

    baseline_torch.py cuda|cpu
    baseline_torch.py export FILE [N]   writes VGG-16 for a batch of 8 (or N) at 224x224, with random weights, for onnxruntime-node
"""

import gc
import json
import os
import sys
import time

import torch
from torch import nn

DEVICE = "cuda" if sys.argv[1] == "cuda" else "cpu"
LAYOUTS = {"contiguous": torch.contiguous_format, "channels_last": torch.channels_last}
# on a GPU graphs are captured in the first runs
WARMING_RUNS = 4 if DEVICE == "cuda" else 1
WITHOUT_GRADIENTS = torch.no_grad if DEVICE == "cuda" else torch.inference_mode
DTYPES = {"bf16": torch.bfloat16, "tf32": torch.float32, "float32": torch.float32}
BLOCKS = {"A": [1, 1, 2, 2, 2], "B": [2, 2, 2, 2, 2], "D": [2, 2, 3, 3, 3], "E": [2, 2, 4, 4, 4]}
CHANNELS = [64, 128, 256, 512, 512]


def network(variant, image_size, head_width, classes):
    layers, channels = [], 3
    for outputs, depth in zip(CHANNELS, BLOCKS[variant]):
        for _ in range(depth):
            layers += [nn.Conv2d(channels, outputs, 3, padding=1), nn.ReLU(inplace=True)]
            channels = outputs
        layers.append(nn.MaxPool2d(2))
    features = channels * (image_size // 32) ** 2
    for inputs in (features, head_width):
        layers += [nn.Flatten(), nn.Linear(inputs, head_width), nn.ReLU(inplace=True), nn.Dropout()]
    return nn.Sequential(*layers, nn.Linear(head_width, classes))


def wait():
    if DEVICE == "cuda":
        torch.cuda.synchronize()


def seconds_of(run, runs):
    wait()
    start = time.perf_counter()
    for _ in range(runs):
        run()
    wait()
    return (time.perf_counter() - start) / runs


def best_of(run, runs):
    run()
    run()
    return min(seconds_of(run, runs) for _ in range(5))


def precise(precision):
    """Turns tf32, the products of float32 operands on tensor cores, on or off."""
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = precision != "float32"


def ceilings(precision):
    precise(precision)
    side, elements = (8192, 2**30) if DEVICE == "cuda" else (256, 2**20)
    a, b = (torch.randn(side, side, device=DEVICE, dtype=DTYPES[precision]) for _ in range(2))
    # ten in a row give the rate that the GPU sustains
    product = best_of(lambda: a @ b, 10)
    source = torch.randn(elements, device=DEVICE)
    target = torch.empty_like(source)
    copy = best_of(lambda: target.copy_(source), 5)
    moved = 2 * source.numel() * source.element_size()
    return {"flopsPerSecond": 2 * side**3 / product, "bytesPerSecond": moved / copy}


def wrapped(way, net):
    if way == "eager":
        return net
    return torch.compile(net, mode="reduce-overhead" if way == "graphs" else None)


def training(net, way, precision, images, labels):
    optimizer = torch.optim.SGD(
        net.parameters(), lr=1e-4, momentum=0.9, weight_decay=5e-4, fused=True if DEVICE == "cuda" else None
    )
    call = wrapped(way, net.train())

    def run():
        optimizer.zero_grad(set_to_none=True)
        if way == "graphs":
            torch.compiler.cudagraph_mark_step_begin()
        with torch.autocast(DEVICE, dtype=torch.bfloat16, enabled=precision == "bf16"):
            loss = nn.functional.cross_entropy(call(images), labels)
        loss.backward()
        optimizer.step()

    return run


def inference(net, way, precision, images):
    converted = precision == "bf16" and way != "eager"
    net = net.eval()
    call = wrapped(way, net.to(torch.bfloat16) if converted else net)
    images = images.to(torch.bfloat16) if converted else images

    def run():
        with WITHOUT_GRADIENTS(), torch.autocast(DEVICE, dtype=torch.bfloat16, enabled=precision == "bf16" and not converted):
            if way == "graphs":
                torch.compiler.cudagraph_mark_step_begin()
            call(images)

    return run


def image_gradient(net, images):
    """The gradient of the images from gradients at the last ReLU of each block, without a head."""
    stages, taps = list(net), []
    for index, stage in enumerate(stages):
        if isinstance(stage, nn.MaxPool2d):
            taps.append(index - 1)
    stages = [nn.ReLU() if isinstance(stage, nn.ReLU) else stage for stage in stages[: taps[-1] + 1]]
    for parameter in net.parameters():
        parameter.requires_grad_(False)
    images.requires_grad_(True)

    def values():
        x, found = images, []
        for index, stage in enumerate(stages):
            x = stage(x)
            if index in taps:
                found.append(x)
        return found

    gradients = [torch.ones_like(value) for value in values()]
    return lambda: torch.autograd.grad(values(), images, gradients)


def style(net, images):
    """The loss of neural style of examples/style-loss.ts, and its gradient with respect to the image, without a head."""
    stages = list(net)
    pools = [index for index, stage in enumerate(stages) if isinstance(stage, nn.MaxPool2d)]
    grams = [1, *(pool + 2 for pool in pools[:4])]
    content = grams[3] + 2
    stages = [nn.ReLU() if isinstance(stage, nn.ReLU) else stage for stage in stages[: grams[-1] + 1]]
    for parameter in net.parameters():
        parameter.requires_grad_(False)
    images.requires_grad_(True)

    def gram(x):
        n, c, h, w = x.shape
        rows = x.reshape(n, c, h * w)
        return rows @ rows.transpose(1, 2) / (c * h * w)

    def values():
        x, found = images, {}
        for index, stage in enumerate(stages):
            x = stage(x)
            if index == content or index in grams:
                found[index] = x
        return found

    with torch.no_grad():
        targets = {index: x * 0.9 if index == content else gram(x) * 0.9 for index, x in values().items()}

    def run():
        found = values()
        loss = ((found[content] - targets[content]) ** 2).sum()
        for index in grams:
            loss = loss + 300 * ((gram(found[index]) - targets[index]) ** 2).sum()
        loss = loss + 1e-3 * (images.diff(dim=2).abs().sum() + images.diff(dim=3).abs().sum())
        return torch.autograd.grad(loss, images)

    return run


def prepare(request):
    start = time.perf_counter()
    batch, side, precision = request["batch"], request["imageSize"], request.get("precision", "bf16")
    classes = request.get("classes", 1000)
    torch.backends.cudnn.benchmark = True
    precise(precision)
    torch.manual_seed(0)
    net = network(request["variant"], side, request.get("headWidth", 4096), classes)
    layout = LAYOUTS[request["layout"]]
    net = net.to(device=DEVICE, memory_format=layout)
    images = torch.randn(batch, 3, side, side, device=DEVICE).to(memory_format=layout)
    if request["mode"] == "training":
        labels = torch.arange(batch, device=DEVICE) % classes
        run = training(net, request["way"], precision, images, labels)
    elif request["mode"] == "image-gradient":
        run = image_gradient(net, images)
    elif request["mode"] == "style":
        run = style(net, images)
    else:
        run = inference(net, request["way"], precision, images)
    for _ in range(WARMING_RUNS):
        once = seconds_of(run, 1)
    return Rounds(run, once), {"ready": time.perf_counter() - start}


def forget():
    gc.collect()
    torch._dynamo.reset()
    if DEVICE == "cuda":
        torch.cuda.empty_cache()


class Rounds:
    """Rounds of one network. `once` is the time of a run in the last round, in seconds."""

    def __init__(self, run, once):
        self.run, self.once = run, once

    def round(self, milliseconds):
        runs = max(1, round(milliseconds / 1e3 / self.once))
        if runs > 1:
            self.run()
        self.once = seconds_of(self.run, runs)
        return {"milliseconds": self.once * 1e3, "runs": runs}


def versions():
    return {"torch": torch.__version__, "cudnn": torch.backends.cudnn.version()}


def serve():
    # the libraries' output must not be mixed with the answers
    answers, sys.stdout = os.fdopen(os.dup(1), "w"), sys.stderr
    os.dup2(2, 1)
    rounds = None
    for line in sys.stdin:
        request = json.loads(line)
        try:
            if request["do"] == "prepare":
                rounds = None
                forget()
                rounds, answer = prepare(request)
            elif request["do"] == "round":
                answer = rounds.round(request["milliseconds"])
            elif request["do"] == "ceilings":
                answer = ceilings(request["precision"])
                forget()
            else:
                answer = versions()
        except Exception as error:  # step.ts reports it and continues with the next case
            answer = {"error": f"{type(error).__name__}: {error}"[:500]}
        print(json.dumps(answer), file=answers, flush=True)


def export(file, batch=8):
    torch.manual_seed(0)
    net = network("D", 224, 4096, 1000).eval()
    images = torch.zeros(batch, 3, 224, 224)
    # the TorchScript exporter needs only the onnx package; renamed at the end, as a run may be interrupted
    torch.onnx.export(net, (images,), f"{file}.new", dynamo=False, input_names=["images"], output_names=["logits"])
    os.replace(f"{file}.new", file)


if sys.argv[1] == "export":
    export(sys.argv[2], *map(int, sys.argv[3:]))
else:
    serve()
