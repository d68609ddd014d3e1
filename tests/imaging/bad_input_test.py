"""What convt3d refuses to read, and that it says why; and that a header is enough for a header."""

import gzip
import struct
import subprocess
import unittest
import zlib

import nibabel as nib
import numpy as np

from volume_tool import FolderTest, copy, counting, header, metaimage

SHAPE = (5, 4, 3)


def nifti(kind=nib.Nifti1Image, dtype=np.int16, shape=SHAPE):
    """A file's bytes: int16, 5 x 4 x 3 voxels from byte 352 on."""
    image = kind(counting(shape, dtype), np.diag([2.0, 2, 2, 1]))
    image.set_sform(image.affine, code=1)
    image.set_qform(image.affine, code=1)
    return bytearray(image.to_bytes())


class BadInputTest(FolderTest):
    def write(self, data, name="bad.nii"):
        (self.folder / name).write_bytes(data)
        return self.folder / name

    def assert_header_refused(self, words, data, name="bad.nii"):
        self.assert_refused(["input:", name, *words], header, self.write(data, name))

    def assert_voxels_refused(self, words, data, name="bad.nii"):
        path = self.write(data, name)
        header(path)
        self.assert_refused(["input:", name, *words], copy, path, self.folder / "out.nii")
        self.assertFalse((self.folder / "out.nii").exists())


class CutOff(BadInputTest):
    """Headers are read from what is left of a file; voxels are not."""

    def test_nifti(self):
        for kind, length in [(nib.Nifti1Image, 348), (nib.Nifti2Image, 540)]:
            data = nifti(kind)
            self.assertEqual(header(self.write(data[:length]))["shape"], [1, 1, 3, 4, 5])
            self.assert_voxels_refused(["cut off"], data[:length])
            self.assert_voxels_refused(["voxel data is cut off", "asks for 120 bytes", "the file has 119"], data[:-1])
            self.assert_header_refused(["NIfTI header is cut off"], data[: length - 1])
            self.assert_header_refused(["NIfTI header is cut off"], data[:3])
            self.assert_header_refused(["NIfTI header is cut off"], b"")

    def test_gzip(self):
        voxels = np.random.default_rng(1).integers(0, 30000, (40, 40, 40)).astype(np.int16)
        data = gzip.compress(nib.Nifti1Image(voxels, np.eye(4)).to_bytes())
        half = data[: len(data) // 2]
        self.assertEqual(header(self.write(half, "bad.nii.gz"))["shape"], [1, 1, 40, 40, 40])
        self.assert_voxels_refused(["voxel data is cut off", "inflated content ends"], half, "bad.nii.gz")
        self.assert_voxels_refused(["cut off in its checksum"], data[:-3], "bad.nii.gz")

    def test_pair_without_its_image(self):
        data = nifti(nib.Nifti1Image)
        data[344:348] = b"ni1\0"
        data[108:112] = struct.pack("<f", 0)
        path = self.write(data[:348], "bad.hdr")
        self.assertEqual(header(path)["shape"], [1, 1, 3, 4, 5])
        self.assert_refused(["bad.img", "no such file"], copy, path, self.folder / "out.nii")
        (self.folder / "bad.img").write_bytes(data[352:])
        copy(path, self.folder / "out.nii")
        np.testing.assert_array_equal(nib.load(self.folder / "out.nii").get_fdata(), counting(SHAPE))

    def test_metaimage(self):
        text = metaimage()
        self.assertEqual(header(self.write(text, "cut.mha"))["shape"], [1, 1, 3, 4, 5])
        self.assert_voxels_refused(["asks for 120 bytes", "has 0 there"], text, "cut.mha")
        remote = metaimage(ElementDataFile="gone.raw")
        self.assertEqual(header(self.write(remote, "cut.mhd"))["shape"], [1, 1, 3, 4, 5])
        self.assert_refused(["gone.raw", "no such file"], copy, self.folder / "cut.mhd", self.folder / "out.nii")


class Damaged(BadInputTest):
    def test_gzip_checksum(self):
        data = bytearray(gzip.compress(bytes(nifti())))
        data[-5] ^= 1
        self.assert_voxels_refused(["damaged near byte", "incorrect"], data, "bad.nii.gz")

    def test_gzip_stream(self):
        voxels = np.random.default_rng(1).integers(0, 30000, (60, 60, 60)).astype(np.int16)
        data = bytearray(gzip.compress(nib.Nifti1Image(voxels, np.eye(4)).to_bytes(), 1))
        data[len(data) // 2 : len(data) // 2 + 64] = b"\xff" * 64
        self.assert_voxels_refused(["bad.nii.gz"], data, "bad.nii.gz")

    def test_bytes_behind_the_voxels(self):
        self.assert_voxels_refused(["7 bytes follow the voxel data", "at byte 472"], nifti() + b"garbage")
        data = gzip.compress(bytes(nifti()))
        self.assert_voxels_refused(["belong to nothing"], data + b"garbage", "bad.nii.gz")
        more = data + gzip.compress(b"more")
        self.assert_voxels_refused(["more content follows the voxel data", "byte 472"], more, "bad.nii.gz")

    def test_zeros_behind_gzip_are_padding(self):
        copy(self.write(gzip.compress(bytes(nifti())) + bytes(512), "padded.nii.gz"), self.folder / "out.nii")
        np.testing.assert_array_equal(nib.load(self.folder / "out.nii").get_fdata(), counting(SHAPE))

    def test_metaimage_stream(self):
        packed = bytearray(zlib.compress(counting(SHAPE, "<i2").tobytes(order="F")))
        whole = metaimage(CompressedData="True", CompressedDataSize=len(packed))
        copy(self.write(whole + packed, "good.mha"), self.folder / "out.nii")
        np.testing.assert_array_equal(nib.load(self.folder / "out.nii").get_fdata(), counting(SHAPE))
        (self.folder / "out.nii").unlink()
        self.assert_voxels_refused(["cut off"], whole + packed[:-20], "bad.mha")
        self.assert_voxels_refused(["belong to nothing"], whole + packed + b"x", "bad.mha")
        packed[-1] ^= 1
        self.assert_voxels_refused(["damaged near byte"], whole + packed, "bad.mha")
        self.assert_voxels_refused(["1 bytes follow"], metaimage() + bytes(121), "long.mha")


class BadNifti(BadInputTest):
    def test_is_told_by_its_field(self):
        short, single = "<h", "<f"
        nan, inf = float("nan"), float("inf")
        cases = [
            (0, "<i", 349, ["sizeof_hdr is 349"]),
            (344, "<i", 0, ["no NIfTI magic", "ANALYZE"]),
            (40, short, 0, ["dim[0] is 0"]),
            (40, short, 1, ["dim[0] is 1"]),
            (40, short, 9, ["dim[0] is 9"]),
            (42, short, -5, ["dim[1] is -5"]),
            (44, short, 0, ["dim[2] is 0"]),
            (70, short, 32, ["datatype is complex64 (32)"]),
            (70, short, 128, ["datatype is RGB24 (128)"]),
            (70, short, 1536, ["datatype is float128 (1536)"]),
            (70, short, 1, ["datatype is binary (1)"]),
            (70, short, 12345, ["datatype is unknown (12345)"]),
            (108, single, 20, ["vox_offset is 20", "inside the header"]),
            (108, single, -352, ["vox_offset is -352"]),
            (108, single, 352.5, ["vox_offset is 352.5"]),
            (108, single, nan, ["vox_offset is nan"]),
            (108, single, inf, ["vox_offset is inf"]),
            (108, single, 1e38, ["vox_offset is 1e+38"]),
            (116, single, inf, ["scl_inter is inf"]),
            (280, single, nan, ["srow", "not finite"]),
            (292, single, inf, ["srow", "not finite"]),
            (280, single, 0, ["span no volume"]),
            (256, single, 3, ["quatern", "length 3"]),
            (268, single, nan, ["qoffset", "not finite"]),
            (80, single, nan, ["pixdim[1] is nan"]),
        ]
        for offset, kind, value, words in cases:
            with self.subTest(offset=offset, value=value):
                data = nifti()
                struct.pack_into(kind, data, offset, value)
                self.assert_header_refused(words, data)

    def test_is_told_by_its_axes(self):
        data = nifti()
        struct.pack_into("<8h", data, 40, 6, 5, 4, 3, 1, 1, 2, 1)
        self.assert_header_refused(["dim[6] is 2"], data)
        data = nifti(nib.Nifti2Image)
        struct.pack_into("<4q", data, 16, 3, 2**62, 2**62, 2)
        self.assert_header_refused(["dim[1] to dim[5]", "63 bits"], data)
        struct.pack_into("<4q", data, 16, 3, 2**40, 1, 1)
        self.assert_voxels_refused(["asks for 2199023255552 bytes"], data)

    def test_takes_no_memory_for_what_cannot_be_there(self):
        data = nifti(nib.Nifti2Image)
        struct.pack_into("<4q", data, 16, 3, 20000, 20000, 20000)
        for name, content in [("huge.nii", bytes(data)), ("huge.nii.gz", gzip.compress(bytes(data)))]:
            path = self.write(content, name)
            limited = f'ulimit -v 4000000; exec "$VOLUME_TOOL" copy "{path}" "{self.folder}/out.nii"'
            done = subprocess.run(["sh", "-c", limited], capture_output=True, text=True, timeout=20)
            self.assertEqual(done.returncode, 1)
            self.assertIn("the header asks for 16000000000000 bytes", done.stderr)

    def test_unset_scales_are_none(self):
        for slope, intercept in [(0, 7), (float("nan"), float("nan")), (float("inf"), 1)]:
            data = nifti()
            struct.pack_into("<2f", data, 112, slope, intercept)
            self.assertEqual(header(self.write(data))["pixel_type"], "int16")

    def test_small_flaws_are_read_as_everybody_does(self):
        data = nifti()
        struct.pack_into("<f", data, 108, 0)  # vox_offset 0: behind the header
        struct.pack_into("<h", data, 72, 0)  # bitpix: datatype tells
        copy(self.write(data), self.folder / "out.nii")
        np.testing.assert_array_equal(nib.load(self.folder / "out.nii").get_fdata(), counting(SHAPE))


class BadMetaImage(BadInputTest):
    def test_is_told_by_its_field(self):
        cases = [
            ({"ObjectType": "Tube"}, ['ObjectType is "Tube"']),
            ({"NDims": 1}, ["NDims is 1"]),
            ({"NDims": 5}, ["NDims is 5"]),
            ({"NDims": "three"}, ['NDims has "three"']),
            ({"NDims": None}, ["NDims is missing"]),
            ({"DimSize": None}, ["DimSize is missing"]),
            ({"DimSize": "5 4"}, ["DimSize", "expected 3 sizes"]),
            ({"DimSize": "5 -4 3"}, ["DimSize", "at least 1"]),
            ({"DimSize": "5 0 3"}, ["DimSize", "at least 1"]),
            ({"DimSize": "4000000000 4000000000 4000000000"}, ["DimSize", "63 bits"]),
            ({"DimSize": "99999999999999999999 1 1"}, ["DimSize", "63 bits"]),
            ({"DimSize": "5 4.5 3"}, ["DimSize", "4.5"]),
            ({"ElementNumberOfChannels": 0}, ["ElementNumberOfChannels is 0"]),
            ({"ElementType": "MET_STRING"}, ["ElementType", "MET_STRING"]),
            ({"ElementType": None}, ["ElementType is missing"]),
            ({"ElementSpacing": "1 nan 1"}, ["ElementSpacing", "nan"]),
            ({"ElementSpacing": "1 0 1"}, ["ElementSpacing is 0"]),
            ({"ElementSpacing": "1 -1 1"}, ["ElementSpacing is -1"]),
            ({"ElementSpacing": "1 1"}, ["ElementSpacing", "expected 3 numbers"]),
            ({"Offset": "1 inf 1"}, ["Offset", "inf"]),
            ({"TransformMatrix": "1 0 0 1"}, ["TransformMatrix", "expected 9 numbers"]),
            ({"TransformMatrix": "1 0 0 1 0 0 0 0 1"}, ["TransformMatrix", "no volume"]),
            ({"BinaryData": "False"}, ["BinaryData", "text voxels"]),
            ({"ElementDataFile": "LIST"}, ["ElementDataFile", "LIST"]),
            ({"ElementDataFile": "slice%03d.raw 1 3 1"}, ["ElementDataFile", "slice%03d"]),
            ({"ElementDataFile": None}, ["ElementDataFile is missing", "no MetaImage"]),
            ({"HeaderSize": -2, "ElementDataFile": "a.raw"}, ["HeaderSize is -2"]),
            ({"ElementToIntensityFunctionSlope": "steep"}, ["ElementToIntensityFunctionSlope", "steep"]),
        ]
        for changes, words in cases:
            with self.subTest(**changes):
                self.assert_header_refused(words, metaimage(**changes) + bytes(120), "bad.mha")

    def test_takes_no_memory_for_what_cannot_be_there(self):
        data = metaimage(DimSize="20000 20000 20000") + bytes(120)
        self.assert_voxels_refused(["asks for 16000000000000 bytes"], data, "bad.mha")
        data = metaimage(DimSize="20000 20000 20000", CompressedData="True", CompressedDataSize=120) + bytes(120)
        self.assert_voxels_refused(["cannot be all there"], data, "bad.mha")


class BadPath(BadInputTest):
    def test_is_told(self):
        self.assert_refused(["gone.nii", "no such file"], header, self.folder / "gone.nii")
        self.assert_refused(["gone.mha", "no such file"], header, self.folder / "gone.mha")
        (self.folder / "folder.nii").mkdir()
        self.assert_refused(["is a folder"], header, self.folder / "folder.nii")
        self.assert_refused([".nii, .nii.gz, .mha"], header, self.write(b"", "scan.dcm"))
        self.assert_header_refused(["sizeof_hdr"], b"no volume at all")
        self.assert_header_refused(["ElementDataFile is missing"], b"no volume at all", "bad.mha")


if __name__ == "__main__":
    unittest.main()
