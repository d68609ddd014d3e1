#!/usr/bin/env python3
"""Prints random shapes as rows for `convt3d_bench --rows-file`, to find those on which a peer is faster.

usage: bench/random_rows.py SEED COUNT [networks] > FILE

Channels, groups, kernels, strides and sizes as layers have them, odd sizes and paddings too, and some that hardly any layer
has: kernels larger than the volume, strides above the kernel. With `networks` the kernels, paddings and channels of
decoders, over one, two or three axes, on volumes of all proportions and powers of two, several at once too. Up to 4 GFLOP and 120 MB, so that
a hundred take a minute or two.
"""

import random
import sys

CHANNELS = (1, 2, 3, 4, 5, 8, 12, 16, 17, 24, 32, 40, 48, 64, 96, 128, 160, 256)
KERNELS = (((3, 1), 8), ((2, 2), 5), ((4, 2), 5), ((3, 2), 3), ((1, 1), 3), ((5, 1), 2), ((7, 1), 1), ((5, 2), 1), ((4, 4), 1),
           ((3, 3), 1))  # (kernel, stride) and how often
LEAST_FLOP, MOST_FLOP, MOST_BYTES = 2e5, 4e9, 1.2e8


def draw(generator):
    """A shape, or None where the draw does not make a layer of fitting size."""
    cin, cout, groups = generator.choice(CHANNELS), generator.choice(CHANNELS), generator.choice((1, 1, 1, 1, 1, 2, 4, 8))
    if generator.random() < 0.1:
        cout = groups = cin
    if generator.random() < 0.7:
        kernel, stride = [generator.choice((1, 2, 3, 3, 4, 4, 5, 6, 7))] * 3, [generator.choice((1, 2, 2, 3))] * 3
    else:
        kernel, stride = [generator.choice((1, 2, 3, 4, 5)) for _ in range(3)], [generator.choice((1, 2)) for _ in range(3)]
    dilation = [generator.choice((1, 1, 1, 1, 1, 1, 1, 1, 1, 2))] * 3
    extent = generator.choice((8, 12, 16, 24, 32, 48, 64))
    size = [max(1, int(extent * generator.uniform(0.5, 1.6))) for _ in range(3)]
    padding = [generator.randint(0, d * (k - 1) // 2) for k, d in zip(kernel, dilation)]
    return shape_of(1, cin, cout, groups, size, kernel, stride, padding, [0] * 3, dilation)


def draw_of_network(generator):
    """The same of layers that networks have."""
    cin = generator.choice((3, 8, 16, 24, 32, 32, 48, 64, 64, 96, 128, 256, 320))
    cout = generator.choice((cin, cin, max(1, cin // 2), 2 * cin, 1, 3, generator.choice(CHANNELS)))
    groups = cin if cin == cout and generator.random() < 0.1 else generator.choice((1,) * 12 + (2, 4, 8))
    k, s = generator.choices([pair for pair, _ in KERNELS], [often for _, often in KERNELS])[0]
    axes = generator.choice(((1, 1, 1),) * 3 + ((0, 1, 1), (1, 0, 0), (0, 1, 0), (0, 0, 1), (1, 1, 0)))
    kernel, stride = [k if a else 1 for a in axes], [s if a else 1 for a in axes]
    dilation = [2 if s == 1 and a and generator.random() < 0.05 else 1 for a in axes]
    padding = [max(0, d * (k - 1) + 1 - s) // 2 for k, s, d in zip(kernel, stride, dilation)]
    extra = [(d * (k - 1) + 1 - s) % 2 if k > s else 0 for k, s, d in zip(kernel, stride, dilation)]
    extra = [e if e < s else 0 for e, s in zip(extra, stride)]
    powers = generator.random() < 0.5  # of two, as crops and feature maps are
    size = [2 ** generator.randint(2, 7) if powers else int(8 * 2 ** generator.uniform(-1, 5)) for _ in range(3)]
    n = generator.choice((1, 1, 1, 2, 4))
    return shape_of(n, cin, cout, groups, size, kernel, stride, padding, extra, dilation)


def shape_of(n, cin, cout, groups, size, kernel, stride, padding, extra, dilation):
    """The row of a layer, or None where there is no such layer or it is too small or too large."""
    output = [(i - 1) * s - 2 * p + d * (k - 1) + 1 + e
              for i, s, p, d, k, e in zip(size, stride, padding, dilation, kernel, extra)]
    if cin % groups or cout % groups or min(output) < 1:
        return None
    voxels, taps, outputs = (a * b * c for a, b, c in (size, kernel, output))
    flop = 2 * n * cin * cout // groups * voxels * taps
    if not LEAST_FLOP <= flop <= MOST_FLOP or 4 * n * (cin * voxels + cout * outputs) > MOST_BYTES:
        return None
    return [n, cin, cout, groups, *size, *kernel, *stride, *padding, *extra, *dilation]


def main():
    seed, count = map(int, sys.argv[1:3])
    draw_one = draw_of_network if sys.argv[3:] == ["networks"] else draw
    generator = random.Random(seed)
    print("# name  N Cin Cout G  D H W  kd kh kw  sd sh sw  pd ph pw  opd oph opw  dd dh dw")
    number = 0
    while number < count:
        shape = draw_one(generator)
        if shape:
            number += 1
            print(f"R{number}", *shape)


if __name__ == "__main__":
    main()
