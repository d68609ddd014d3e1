"""PyTorch's side of bench/networks.py: makes the network, saves it for the others, and answers as bench/network.cpp does.

usage: network_torch.py FOLDER THREADS CHANNELS...
FOLDER gets input.f32, weights.npz and network.onnx; the channels are those of the chain, from one layer to the next.
"""

import pathlib
import resource
import sys
import time

import numpy
import torch
from torch import nn

EXTENT = 8


def chain(channels):
    layers = []
    for i, (before, after) in enumerate(zip(channels, channels[1:])):
        layers += [nn.ConvTranspose3d(before, after, 2, 2), nn.InstanceNorm3d(after, affine=True), nn.LeakyReLU(0.01)]
    network = nn.Sequential(*layers)
    with torch.no_grad():
        for norm in network[1::3]:
            norm.weight.uniform_(0.5, 1.5)
            norm.bias.normal_(0, 0.3)
    return network.eval()


def save(network, x, folder):
    x.numpy().tofile(folder / "input.f32")
    numpy.savez(folder / "weights.npz", **{key: tensor.numpy() for key, tensor in network.state_dict().items()})
    torch.onnx.export(network, x, folder / "network.onnx", input_names=["x"], output_names=["y"], opset_version=11)


def main(folder, threads, *channels):
    torch.manual_seed(0)
    torch.set_num_threads(int(threads))
    channels = [int(one) for one in channels]
    network, x = chain(channels), torch.randn(1, channels[0], EXTENT, EXTENT, EXTENT)
    if not (pathlib.Path(folder) / "network.onnx").exists():  # a process of its own: what it takes is not the network's
        return save(network, x, pathlib.Path(folder))
    print("ready", flush=True)
    y = None
    with torch.inference_mode():
        for line in sys.stdin:
            verb, *words = line.split()
            if verb == "run":
                y = None  # its memory is the next output's
                began = time.perf_counter()
                y = network(x)
                print(1000 * (time.perf_counter() - began), flush=True)
            elif verb == "output":
                y.numpy().tofile(words[0])
                print("written", flush=True)
            elif verb == "peak":
                print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024, flush=True)


main(*sys.argv[1:])
