"""VGG in PyTorch, as both rivals run it."""

from torch import nn

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
