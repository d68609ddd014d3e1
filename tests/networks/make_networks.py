#!/usr/bin/env python3
"""Writes goldens/: eight small networks with random weights, an input of each and what PyTorch makes of it.

    make_networks.py            (Debian 12's python3-torch, 1.13, and python3-nibabel)

A file NAME.safetensors has the network's state dict under net., and golden.input and golden.output. PyTorch computes in
float64 with the weights rounded to float32 first. NAME.json beside this script is the same network as a config. Of brain
golden.output is the sample of every 16th voxel that the network makes of testdata/brain.nii.gz.
"""

import pathlib
import sys

import nibabel
import numpy
import torch
from torch import nn
from torch.nn import functional

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "model" / "goldens"))
from make_tensor_files import write_safetensors  # noqa: E402


class Network(nn.Module):
    """Layers by name; `line` runs those of the names in their order."""

    def __init__(self, **layers):
        super().__init__()
        for name, layer in layers.items():
            self.add_module(name, layer)

    def line(self, x, *names):
        for name in names:
            x = getattr(self, name)(x)
        return x

    def forward(self, x):
        return self.line(x, *(name for name, _ in self.named_children()))


class NnUNetDecoder(Network):
    """nnU-Net's way up, without the skips: k = s, InstanceNorm with weights, LeakyReLU."""

    SHAPE = (2, 16, 2, 3, 4)

    def __init__(self):
        super().__init__(up0=nn.ConvTranspose3d(16, 12, 2, 2), norm0=nn.InstanceNorm3d(12, affine=True),
                         act0=nn.LeakyReLU(0.01), up1=nn.ConvTranspose3d(12, 6, 2, 2),
                         norm1=nn.InstanceNorm3d(6, affine=True), act1=nn.LeakyReLU(0.01))


class MonaiUNet(Network):
    """One level of MONAI's UNet with residual units: cat((x, bottom(x))), k3 s2 p1 op1, InstanceNorm, PReLU."""

    SHAPE = (1, 2, 8, 6, 10)

    def __init__(self):
        super().__init__(
            down=nn.Conv3d(2, 6, 3, 2, 1), down_norm=nn.InstanceNorm3d(6), down_act=nn.PReLU(),
            bottom=nn.Conv3d(6, 8, 3, 1, 1), bottom_norm=nn.InstanceNorm3d(8), bottom_act=nn.PReLU(),
            up=nn.ConvTranspose3d(14, 3, 3, 2, 1, 1), up_norm=nn.InstanceNorm3d(3), up_act=nn.PReLU(),
            unit=nn.Conv3d(3, 3, 3, 1, 1))

    def forward(self, x):
        down = self.line(x, "down", "down_norm", "down_act")
        bottom = self.line(down, "bottom", "bottom_norm", "bottom_act")
        up = self.line(torch.cat((down, bottom), 1), "up", "up_norm", "up_act")
        return up + self.unit(up)


class VNet(Network):
    """VNet's transitions down and up: BatchNorm, ELU, cat((up, skip)), a k5 convolution with its residual."""

    SHAPE = (1, 4, 6, 8, 6)

    def __init__(self):
        super().__init__(
            down=nn.Conv3d(4, 8, 2, 2), down_bn=nn.BatchNorm3d(8), down_act=nn.ELU(),
            up=nn.ConvTranspose3d(8, 2, 2, 2), up_bn=nn.BatchNorm3d(2), up_act=nn.ELU(),
            conv=nn.Conv3d(6, 6, 5, padding=2), conv_bn=nn.BatchNorm3d(6), conv_act=nn.ELU(), act=nn.ELU())

    def forward(self, x):
        up = self.line(x, "down", "down_bn", "down_act", "up", "up_bn", "up_act")
        both = torch.cat((up, x), 1)
        return self.act(self.line(both, "conv", "conv_bn", "conv_act") + both)


class Gan3d(Network):
    """3D-GAN's generator: from one voxel of noise, BatchNorm and ReLU, a sigmoid at the end."""

    SHAPE = (2, 24, 1, 1, 1)

    def __init__(self):
        super().__init__(up0=nn.ConvTranspose3d(24, 12, 4, bias=False), bn0=nn.BatchNorm3d(12), act0=nn.ReLU(),
                         up1=nn.ConvTranspose3d(12, 6, 4, 2, 1, bias=False), bn1=nn.BatchNorm3d(6), act1=nn.ReLU(),
                         up2=nn.ConvTranspose3d(6, 1, 4, 2, 1, bias=False), act2=nn.Sigmoid())


class Fsrcnn3d(Network):
    """FSRCNN: wide, narrow, wide again, PReLU with a slope for each channel, and one k9 s2 at the end."""

    SHAPE = (1, 1, 7, 6, 5)

    def __init__(self):
        super().__init__(extract=nn.Conv3d(1, 8, 5, padding=2), act0=nn.PReLU(8), shrink=nn.Conv3d(8, 4, 1), act1=nn.PReLU(4),
                         map0=nn.Conv3d(4, 4, 3, padding=1), act2=nn.PReLU(4), map1=nn.Conv3d(4, 4, 3, padding=1),
                         act3=nn.PReLU(4), expand=nn.Conv3d(4, 8, 1), act4=nn.PReLU(8),
                         up=nn.ConvTranspose3d(8, 1, 9, 2, 4, 1))


class Espcn3d(Network):
    """ESPCN: all work on the small grid, tanh, and a shuffle of channels into voxels, as MONAI's pixelshuffle."""

    SHAPE = (1, 1, 7, 6, 9)

    def __init__(self):
        super().__init__(conv0=nn.Conv3d(1, 8, 5, padding=2), act0=nn.Tanh(), conv1=nn.Conv3d(8, 6, 3, padding=1),
                         act1=nn.Tanh(), conv2=nn.Conv3d(6, 8, 3, padding=1))

    def forward(self, x):
        x = super().forward(x)
        n, _, d, h, w = x.shape
        return x.reshape(n, 1, 2, 2, 2, d, h, w).permute(0, 1, 5, 2, 6, 3, 7, 4).reshape(n, 1, 2 * d, 2 * h, 2 * w)


class ResidualSr(Network):
    """What a small network adds to the input that linear interpolation gives."""

    SHAPE = (1, 1, 7, 6, 9)

    def __init__(self):
        super().__init__(conv0=nn.Conv3d(1, 6, 3, padding=1), act0=nn.ReLU(), conv1=nn.Conv3d(6, 6, 3, padding=1),
                         act1=nn.ReLU(), up=nn.ConvTranspose3d(6, 1, 4, 2, 1))

    def forward(self, x):
        base = functional.interpolate(x, scale_factor=2, mode="trilinear", align_corners=False)
        return super().forward(x) + base


class Autoencoder(Network):
    """An autoencoder's decoder: GroupNorm and SiLU, a residual block, nearest upsampling and a convolution."""

    SHAPE = (1, 4, 4, 5, 6)

    def __init__(self):
        super().__init__(first=nn.Conv3d(4, 8, 3, padding=1), gn0=nn.GroupNorm(2, 8, eps=1e-6), act0=nn.SiLU(),
                         conv0=nn.Conv3d(8, 8, 3, padding=1), up=nn.Upsample(scale_factor=2), conv1=nn.Conv3d(8, 6, 3, padding=1),
                         gn1=nn.GroupNorm(3, 6, eps=1e-6), act1=nn.SiLU(), last=nn.Conv3d(6, 2, 3, padding=1))

    def forward(self, x):
        x = self.first(x)
        x = x + self.line(x, "gn0", "act0", "conv0")
        return self.line(x, "up", "conv1", "gn1", "act1", "last")


class Brain(ResidualSr):
    """The same on a scan, its intensities normalised before and taken back behind."""

    def forward(self, x):
        mean, std = x.mean(), x.std(unbiased=False)
        return super().forward((x - mean) / std) * std + mean


NETWORKS = {"nnunet_decoder": NnUNetDecoder, "monai_unet": MonaiUNet, "vnet": VNet, "gan3d": Gan3d, "fsrcnn3d": Fsrcnn3d,
            "espcn3d": Espcn3d, "residual_sr": ResidualSr, "autoencoder": Autoencoder}


def made(network, seed):
    """A network as if trained a little: norms and slopes do not keep their initial values."""
    torch.manual_seed(seed)
    made = network()
    with torch.no_grad():
        for module in made.modules():
            if isinstance(module, (nn.BatchNorm3d, nn.InstanceNorm3d, nn.GroupNorm, nn.PReLU)):
                for parameter in module.parameters():
                    parameter.add_(0.3 * torch.randn_like(parameter))
            if isinstance(module, nn.BatchNorm3d):
                module.running_mean.normal_(0, 0.3)
                module.running_var.uniform_(0.5, 2)
    return made.eval()


def write(name, network, golden):
    arrays = {f"net.{key}": tensor.numpy() for key, tensor in network.state_dict().items() if tensor.is_floating_point()}
    arrays |= {f"golden.{key}": value.astype("float32") for key, value in golden.items()}
    stored = {key: ("F32", value.shape, numpy.ascontiguousarray(value).tobytes()) for key, value in arrays.items()}
    write_safetensors(HERE / "goldens" / f"{name}.safetensors", stored)


def computed(network, x):
    with torch.no_grad():
        return type(network).forward(network.double(), torch.from_numpy(x.astype("float64"))).numpy()


def main():
    for seed, (name, kind) in enumerate(NETWORKS.items()):
        network = made(kind, seed)
        x = numpy.random.default_rng(seed).standard_normal(kind.SHAPE).astype("float32")
        write(name, made(kind, seed), {"input": x, "output": computed(network, x)})
    scan = numpy.asarray(nibabel.load(HERE.parents[1] / "testdata" / "brain.nii.gz").dataobj)
    output = computed(made(Brain, 99), scan.transpose(2, 1, 0)[None, None])  # (x, y, z) to (N, C, D, H, W)
    write("brain", made(Brain, 99), {"output": output[0, 0, ::16, ::16, ::16]})


if __name__ == "__main__":
    main()
