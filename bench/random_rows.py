#!/usr/bin/env python3
"""Prints random shapes as rows for `convt3d_bench --rows-file`, to find those on which a peer is faster.

usage: bench/random_rows.py SEED COUNT > FILE

Channels, groups, kernels, strides and sizes as layers have them, odd sizes and paddings too, and some that hardly any layer
has: kernels larger than the volume, strides above the kernel. Up to 4 GFLOP and 120 MB, so that a hundred take a minute or two.
"""

import random
import sys

CHANNELS = (1, 2, 3, 4, 5, 8, 12, 16, 17, 24, 32, 40, 48, 64, 96, 128, 160, 256)
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
    output = [(i - 1) * s - 2 * p + d * (k - 1) + 1
              for i, s, p, d, k in zip(size, stride, padding, dilation, kernel)]
    if cin % groups or cout % groups or min(output) < 1:
        return None
    voxels, taps, outputs = (a * b * c for a, b, c in (size, kernel, output))
    flop = 2 * cin * cout // groups * voxels * taps
    if not LEAST_FLOP <= flop <= MOST_FLOP or 4 * (cin * voxels + cout * outputs) > MOST_BYTES:
        return None
    return [1, cin, cout, groups, *size, *kernel, *stride, *padding, 0, 0, 0, *dilation]


def main():
    seed, count = map(int, sys.argv[1:])
    generator = random.Random(seed)
    print("# name  N Cin Cout G  D H W  kd kh kw  sd sh sw  pd ph pw  opd oph opw  dd dh dw")
    number = 0
    while number < count:
        shape = draw(generator)
        if shape:
            number += 1
            print(f"R{number}", *shape)


if __name__ == "__main__":
    main()
