"""Writes what torchvision and timm say of the 1,000 classes of ImageNet: lib/weights/imagenet.ts is compared with it.

    venv/bin/pip install torchvision timm
    venv/bin/python test/reference/generate.py foreign imagenet
"""

import hashlib
import importlib.metadata
import json
import runpy

from generate import FOLDER

# Every fiftieth, and the names that occur twice or nearly so: Cardigan and cardigan, crane, maillot.
INDICES = sorted({*range(0, 1000, 50), 134, 264, 474, 517, 638, 639, 999})


def file_of(package, path):
    """A file of an installed package, which is not imported."""
    return importlib.metadata.distribution(package).locate_file(path)


def main():
    names = runpy.run_path(str(file_of("torchvision", "torchvision/models/_meta.py")))["_IMAGENET_CATEGORIES"]
    folder = file_of("timm", "timm/data/_info")
    synsets = (folder / "imagenet_synsets.txt").read_text().split()
    lemmas = dict(line.split("\t", 1) for line in (folder / "imagenet_synset_to_lemma.txt").read_text().splitlines())
    golden = {
        "torchvision": hashlib.sha256("\n".join(names).encode()).hexdigest(),
        "timm": {str(index): lemmas[synsets[index]] for index in INDICES},
    }
    (FOLDER / "foreign").mkdir(exist_ok=True)
    (FOLDER / "foreign" / "imagenet.json").write_text(json.dumps(golden, indent=1) + "\n")
