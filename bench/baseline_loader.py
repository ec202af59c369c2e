"""PyTorch's DataLoader with Pillow over a folder of images, the baseline of loader.ts. Answers a line of JSON for each line.

The transforms are those of torchvision, which need not be installed: Resize of the smaller edge (bilinear with
antialiasing, by Pillow), RandomCrop(224), RandomHorizontalFlip, PILToTensor: uint8 in the order c, h, w. float32 adds the
division by 255 and Normalize, which vggnet computes on the device.

    baseline_loader.py FOLDER BATCH WORKERS LEAST_SIDE MOST_SIDE uint8|float32
"""

import ctypes
import json
import os
import random
import signal
import sys
import time

import numpy
import PIL
import torch
from PIL import Image


class Images(torch.utils.data.Dataset):
    def __init__(self, folder, least, most, floats):
        self.files = sorted(
            os.path.join(root, name) for root, _, names in os.walk(folder) for name in names if name.endswith(".jpg")
        )
        self.least, self.most, self.floats = least, most, floats
        self.mean = torch.tensor([0.485, 0.456, 0.406]).view(3, 1, 1)
        self.deviation = torch.tensor([0.229, 0.224, 0.225]).view(3, 1, 1)

    def __len__(self):
        return len(self.files)

    def __getitem__(self, index):
        with open(self.files[index], "rb") as file:
            image = Image.open(file).convert("RGB")
        side = random.randint(self.least, self.most)
        width, height = image.size
        scale = side / min(width, height)
        width, height = max(side, round(width * scale)), max(side, round(height * scale))
        image = image.resize((width, height), Image.Resampling.BILINEAR)
        left, top = random.randint(0, width - 224), random.randint(0, height - 224)
        image = image.crop((left, top, left + 224, top + 224))
        if random.random() < 0.5:
            image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        pixels = torch.from_numpy(numpy.array(image)).permute(2, 0, 1).contiguous()
        if self.floats:
            pixels = pixels.to(torch.float32).div(255).sub_(self.mean).div_(self.deviation)
        return pixels, index % 8


def processor_seconds():
    """Processor time of this process and the loader's workers."""
    me, ticks = os.getpid(), 0
    for name in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{name}/stat") as file:
                fields = file.read().rsplit(")", 1)[1].split()
        except OSError:
            continue
        if int(name) == me or int(fields[1]) == me:
            ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def die_with_parent(*_):
    """Ends this process with its parent, also while it is stopped."""
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG


def main():
    die_with_parent()
    folder, batch, workers, least, most = sys.argv[1], *map(int, sys.argv[2:6])
    loader = torch.utils.data.DataLoader(
        Images(folder, least, most, sys.argv[6] == "float32"),
        batch_size=batch,
        shuffle=True,
        num_workers=workers,
        persistent_workers=True,
        drop_last=False,
        worker_init_fn=die_with_parent,
    )

    def endless():
        while True:
            yield from loader

    batches = endless()
    for line in sys.stdin:
        request = json.loads(line)
        if request["do"] == "versions":
            answer = {"torch": torch.__version__, "pillow": PIL.__version__}
        else:
            # batches that are ready were read before this round
            for _ in range(2 * workers + 1):
                next(batches)
            images, start, used = 0, time.perf_counter(), processor_seconds()
            while (time.perf_counter() - start) * 1000 < request["milliseconds"]:
                images += len(next(batches)[1])
            seconds, used = time.perf_counter() - start, processor_seconds() - used
            answer = {"milliseconds": seconds * 1000 / images, "processor": used * 1000 / images}
        print(json.dumps(answer), flush=True)


main()
