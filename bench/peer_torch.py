"""The rival of step.ts on a CPU: PyTorch on the same cores, contiguous and channels_last, float32.

    THP_MEM_ALLOC_ENABLE=1 python bench/peer_torch.py --variant D --image-size 224 --batch 8 --mode training
"""

import argparse
import time

import torch
from torch import nn

from vgg_torch import BLOCKS, network

parser = argparse.ArgumentParser()
parser.add_argument("--variant", default="D", choices=BLOCKS)
parser.add_argument("--image-size", type=int, default=224)
parser.add_argument("--batch", type=int, default=8)
parser.add_argument("--head-width", type=int, default=4096)
parser.add_argument("--classes", type=int, default=1000)
parser.add_argument("--mode", default="training", choices=["training", "inference"])
parser.add_argument("--rounds", type=int, default=6)
flags = parser.parse_args()


for order in (torch.contiguous_format, torch.channels_last):
    torch.manual_seed(0)
    net = network(flags.variant, flags.image_size, flags.head_width, flags.classes).to(memory_format=order)
    images = torch.randn(flags.batch, 3, flags.image_size, flags.image_size).to(memory_format=order)
    labels = torch.arange(flags.batch) % flags.classes
    optimizer = torch.optim.SGD(net.parameters(), lr=1e-4, momentum=0.9, weight_decay=5e-4)

    def step():
        optimizer.zero_grad(set_to_none=True)
        nn.functional.cross_entropy(net(images), labels).backward()
        optimizer.step()

    def infer():
        with torch.inference_mode():
            net(images)

    run = net.train() and step if flags.mode == "training" else net.eval() and infer
    run()
    seconds = []
    for _ in range(flags.rounds):
        start = time.perf_counter()
        run()
        seconds.append(time.perf_counter() - start)
    seconds.sort()
    size = f"{flags.image_size}x{flags.image_size}"
    print(
        f"torch {torch.__version__} {flags.variant} {size} batch {flags.batch} {flags.mode} {order}: "
        f"best {flags.batch / seconds[0]:.2f}, median {flags.batch / seconds[len(seconds) // 2]:.2f} images/s"
    )
