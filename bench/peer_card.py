"""The rival of step.ts on a card: PyTorch, channels_last, bf16, cudnn.benchmark, fused SGD. Answers requests, one line of JSON
each, so that step.ts can run the two in turns:

    {"do": "versions"}                                  card, torch, cuDNN
    {"do": "ceilings", "precision": "bf16"}             a product of 8192^3 of random numbers, a copy of 4 GiB
    {"do": "prepare", "way": "compile", "variant": "D", "imageSize": 224, "batch": 256, "mode": "training"}
    {"do": "round", "milliseconds": 400}                milliseconds of one run, in as many runs as fit

Ways: eager, compile, and graphs (compiled and captured as CUDA graphs). Images and labels lie on the card before the clock
starts. Inference by compile and graphs has its weights in bf16, which autocast would convert each time.
"""

import gc
import json
import os
import sys
import time

import torch
from torch import nn

from vgg_torch import network

DEVICE = os.environ.get("VGGNET_PEER_DEVICE", "cuda")  # cpu: to try this file where there is no card
DTYPES = {"bf16": torch.bfloat16, "tf32": torch.float32, "float32": torch.float32}


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
    """Products of float32 operands on tensor cores (tf32) or not."""
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = precision != "float32"


def ceilings(precision):
    precise(precision)
    side, elements = (8192, 2**30) if DEVICE == "cuda" else (256, 2**20)
    a, b = (torch.randn(side, side, device=DEVICE, dtype=DTYPES[precision]) for _ in range(2))
    # ten in a row: what the card sustains, not its first burst
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
        with torch.no_grad(), torch.autocast(DEVICE, dtype=torch.bfloat16, enabled=precision == "bf16" and not converted):
            if way == "graphs":
                torch.compiler.cudagraph_mark_step_begin()
            call(images)

    return run


def prepare(request):
    start = time.perf_counter()
    batch, side, precision = request["batch"], request["imageSize"], request.get("precision", "bf16")
    classes = request.get("classes", 1000)
    torch.backends.cudnn.benchmark = True
    precise(precision)
    torch.manual_seed(0)
    net = network(request["variant"], side, request.get("headWidth", 4096), classes)
    net = net.to(device=DEVICE, memory_format=torch.channels_last)
    images = torch.randn(batch, 3, side, side, device=DEVICE).to(memory_format=torch.channels_last)
    if request["mode"] == "training":
        labels = torch.arange(batch, device=DEVICE) % classes
        run = training(net, request["way"], precision, images, labels)
    else:
        run = inference(net, request["way"], precision, images)
    for _ in range(4):
        run()
    wait()
    return run, {"ready": time.perf_counter() - start}


def forget():
    gc.collect()
    torch._dynamo.reset()
    if DEVICE == "cuda":
        torch.cuda.empty_cache()


def round_of(run, milliseconds):
    once = seconds_of(run, 1)
    runs = max(1, round(milliseconds / 1e3 / once))
    return {"milliseconds": seconds_of(run, runs) * 1e3, "runs": runs}


def versions():
    card = torch.cuda.get_device_name(0) if DEVICE == "cuda" else "cpu"
    return {"card": card, "torch": torch.__version__, "cudnn": torch.backends.cudnn.version()}


def serve():
    # what libraries print must not come between the answers
    answers, sys.stdout = os.fdopen(os.dup(1), "w"), sys.stderr
    os.dup2(2, 1)
    run = None
    for line in sys.stdin:
        request = json.loads(line)
        try:
            if request["do"] == "prepare":
                run = None
                forget()
                run, answer = prepare(request)
            elif request["do"] == "round":
                answer = round_of(run, request["milliseconds"])
            elif request["do"] == "ceilings":
                answer = ceilings(request["precision"])
                forget()
            else:
                answer = versions()
        except Exception as error:  # said to step.ts, which goes on with the next case
            answer = {"error": f"{type(error).__name__}: {error}"[:500]}
        print(json.dumps(answer), file=answers, flush=True)


if __name__ == "__main__":
    serve()
