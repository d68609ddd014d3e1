#!/usr/bin/python3
"""Makes the volumes of this folder from Debian's mricron-data (ch2, ch2bet); the same input gives the same bytes.

usage: make_testdata.py [FOLDER]     default: this folder

Needs Debian's python3-numpy, python3-nibabel and mricron-data.
"""

import gzip
import sys
import zlib
from pathlib import Path

import nibabel as nib
import numpy as np

TEMPLATES = Path("/usr/share/mricron/templates")
RAS_TO_LPS = np.diag([-1.0, -1.0, 1.0, 1.0])


def load(name):
    image = nib.load(TEMPLATES / name)
    return np.asarray(image.dataobj).astype(np.float64), image.affine


def block_mean(voxels, affine, factors):
    """Means over blocks of `factors` voxels; a block's voxel lies in its middle. A rest that fills no block is cut off."""
    sizes = [size // factor for size, factor in zip(voxels.shape, factors)]
    cut = voxels[tuple(slice(size * factor) for size, factor in zip(sizes, factors))]
    means = cut.reshape([n for pair in zip(sizes, factors) for n in pair]).mean(axis=(1, 3, 5))
    step = np.diag([*map(float, factors), 1.0])
    step[:3, 3] = [(factor - 1) / 2 for factor in factors]
    return means, affine @ step


def crop(voxels, affine, start, size):
    part = voxels[tuple(slice(begin, begin + count) for begin, count in zip(start, size))]
    move = np.eye(4)
    move[:3, 3] = start
    return part, affine @ move


def rotation(axis, degrees):
    """About an axis, by Rodrigues' formula."""
    x, y, z = np.asarray(axis) / np.linalg.norm(axis)
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    angle = np.radians(degrees)
    turn = np.eye(4)
    turn[:3, :3] += np.sin(angle) * cross + (1 - np.cos(angle)) * cross @ cross
    return turn


def write_nifti(path, voxels, affine, qform_code, sform_code, frame_seconds=None):
    image = nib.Nifti1Image(voxels, affine)
    image.set_qform(affine, code=qform_code)
    image.set_sform(affine, code=sform_code)
    image.header.set_xyzt_units("mm", "sec")
    if frame_seconds is not None:
        image.header["pixdim"][4] = frame_seconds
    path.write_bytes(gzip.compress(image.to_bytes(), 9, mtime=0))


def write_metaimage(path, voxels, affine):
    """A compressed MetaImage; voxels are (x, y, z, channel)."""
    lps = RAS_TO_LPS @ affine
    spacing = np.linalg.norm(lps[:3, :3], axis=0)
    columns = lps[:3, :3] / spacing
    data = zlib.compress(voxels.transpose(2, 1, 0, 3).astype("<f4").tobytes(), 9)
    words = lambda values: " ".join(f"{value:.17g}" for value in values)
    fields = {
        "ObjectType": "Image", "NDims": 3, "BinaryData": "True", "BinaryDataByteOrderMSB": "False",
        "CompressedData": "True", "CompressedDataSize": len(data), "TransformMatrix": words(columns.T.ravel() + 0.0),
        "Offset": words(lps[:3, 3]), "CenterOfRotation": "0 0 0", "ElementSpacing": words(spacing),
        "DimSize": words(voxels.shape[:3]), "ElementNumberOfChannels": voxels.shape[3], "ElementType": "MET_FLOAT",
        "ElementDataFile": "LOCAL",
    }
    header = "".join(f"{key} = {value}\n" for key, value in fields.items())
    path.write_bytes(header.encode() + data)


def main():
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent
    head, head_affine = load("ch2.nii.gz")
    brain, brain_affine = load("ch2bet.nii.gz")

    voxels, affine = block_mean(brain, brain_affine, (2, 2, 2))
    write_nifti(folder / "brain.nii.gz", voxels.round().astype(np.uint8), affine, qform_code=0, sform_code=4)

    voxels, affine = block_mean(brain, brain_affine, (6, 6, 6))
    frames = [voxels * (1 + 0.02 * np.sin(2 * np.pi * t / 5)) * 8 for t in range(5)]
    write_nifti(folder / "frames_4d.nii.gz", np.stack(frames, axis=3).round().astype(np.int16), affine, qform_code=1,
                sform_code=1, frame_seconds=2.5)

    gradient = np.stack(np.gradient(voxels, 6.0), axis=3)
    write_metaimage(folder / "gradient_vector.mha", gradient.astype(np.float32), affine)

    voxels, affine = block_mean(*crop(head, head_affine, (30, 40, 40), (120, 144, 75)), (1, 1, 5))
    write_nifti(folder / "oblique_thick.nii.gz", voxels.round().astype(np.int16), rotation((1, 2, 3), 17) @ affine,
                qform_code=1, sform_code=1)


if __name__ == "__main__":
    main()
