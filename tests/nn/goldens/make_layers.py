"""Writes layers.txt: what PyTorch prints for each layer, and what it makes of a few numbers.

usage: make_layers.py > layers.txt     (Debian's python3-torch; its version is the file's first line)

A line is: name <tab> PyTorch's repr <tab> dtype <tab> input shape <tab> outputs. The inputs are -6 + i/8, i = 0, 1, ...
in C order, which float32 holds exactly.
"""

import torch
from torch import nn

SHAPE = (1, 3, 2, 4, 4)
SLOPES = [0.5, -1.0, 0.125]


def prelu(slopes):
    layer = nn.PReLU(len(slopes))
    with torch.no_grad():
        layer.weight.copy_(torch.tensor(slopes))
    return layer


def norm(layer):
    if getattr(layer, "running_mean", None) is not None:
        layer.running_mean.copy_(torch.tensor([0.5, -2.0, 1.25]))
        layer.running_var.copy_(torch.tensor([0.25, 3.0, 1.5]))
    if layer.affine:
        with torch.no_grad():
            layer.weight.copy_(torch.tensor(SLOPES))
            layer.bias.copy_(torch.tensor([-0.75, 0.5, 2.0]))
    return layer.eval()


class Clamp(nn.Module):
    def __init__(self, **bounds):
        super().__init__()
        self.bounds = bounds

    def extra_repr(self):
        return ", ".join(f"{key}={value}" for key, value in self.bounds.items())

    def forward(self, x):
        return torch.clamp(x, **self.bounds)


class PixelShuffle3d(nn.Module):
    """As MONAI's pixelshuffle; its order of channels is that of torch.nn.PixelShuffle."""

    def __init__(self, factor):
        super().__init__()
        self.factor = factor

    def extra_repr(self):
        return f"upscale_factor={self.factor}"

    def forward(self, x):
        n, c, d, h, w = x.shape
        r = self.factor
        blocks = x.reshape(n, c // r**3, r, r, r, d, h, w)
        return blocks.permute(0, 1, 5, 2, 6, 3, 7, 4).reshape(n, c // r**3, d * r, h * r, w * r)


LAYERS = {
    "relu": nn.ReLU(),
    "relu_inplace": nn.ReLU(inplace=True),
    "leaky_relu": nn.LeakyReLU(),
    "leaky_relu_steep": nn.LeakyReLU(0.2, inplace=True),
    "prelu": nn.PReLU(),
    "prelu_channels": prelu(SLOPES),
    "elu": nn.ELU(),
    "elu_half": nn.ELU(0.5),
    "gelu": nn.GELU(),
    "gelu_tanh": nn.GELU("tanh"),
    "silu": nn.SiLU(),
    "sigmoid": nn.Sigmoid(),
    "tanh": nn.Tanh(),
    "softplus": nn.Softplus(),
    "softplus_sharp": nn.Softplus(beta=2.5, threshold=3.5),
    "hardtanh": nn.Hardtanh(),
    "hardtanh_relu6": nn.Hardtanh(0.0, 6.0),
    "batch_norm": norm(nn.BatchNorm3d(3)),
    "batch_norm_plain": norm(nn.BatchNorm3d(3, affine=False, eps=0.01, momentum=None)),
    "instance_norm": norm(nn.InstanceNorm3d(3)),
    "instance_norm_affine": norm(nn.InstanceNorm3d(3, eps=0.01, momentum=0.2, affine=True)),
    "instance_norm_running": norm(nn.InstanceNorm3d(3, affine=True, track_running_stats=True)),
    "group_norm": norm(nn.GroupNorm(1, 3)),
    "group_norm_plain": norm(nn.GroupNorm(3, 3, eps=0.5, affine=False)),
    "clamp": Clamp(min=-1.5, max=2.0),
    "clamp_below": Clamp(min=0.0),
    "softmax": nn.Softmax(dim=1),
    "pixel_shuffle": PixelShuffle3d(2),
    "up_nearest": nn.Upsample(scale_factor=2),
    "up_nearest_uneven": nn.Upsample(scale_factor=(1.5, 2.5, 0.6)),
    "up_nearest_size": nn.Upsample(size=(3, 7, 3)),
    "up_trilinear": nn.Upsample(scale_factor=2, mode="trilinear"),
    "up_trilinear_uneven": nn.Upsample(scale_factor=(1.5, 2.3, 0.75), mode="trilinear", align_corners=False),
    "up_trilinear_size": nn.Upsample(size=(3, 7, 3), mode="trilinear"),
    "up_trilinear_corners": nn.Upsample(size=(5, 7, 3), mode="trilinear", align_corners=True),
    "up_trilinear_corners_by_factor": nn.Upsample(scale_factor=3, mode="trilinear", align_corners=True),
    "up_trilinear_corners_of_one": nn.Upsample(size=(1, 1, 9), mode="trilinear", align_corners=True),
    "pad_replicate": nn.ReplicationPad3d((1, 0, 2, 1, 0, 3)),
    "pad_reflect": nn.ReflectionPad3d((3, 1, 0, 2, 1, 1)),
}

SHAPES = {"pixel_shuffle": (1, 16, 1, 2, 3)}

print(f"# torch {torch.__version__}")
for name, layer in LAYERS.items():
    for dtype in (torch.float32, torch.float64):
        shape = SHAPES.get(name, SHAPE)
        count = torch.tensor(shape).prod()
        values = (torch.arange(count, dtype=dtype) / 8 - 6).reshape(shape)
        with torch.no_grad():
            outputs = layer.to(dtype)(values.clone()).flatten().tolist()
        numbers = " ".join(f"{value:.{9 if dtype == torch.float32 else 17}g}" for value in outputs)
        print(name, layer, str(dtype).removeprefix("torch."), " ".join(map(str, shape)), numbers, sep="\t")
