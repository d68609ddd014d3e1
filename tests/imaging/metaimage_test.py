"""What convt3d reads from MetaImage files and writes to them: headers are text and voxels follow, so numpy is the judge."""

import unittest
import zlib

import nibabel as nib
import numpy as np

from volume_tool import FolderTest, copy, counting, header, metaimage

SHAPE = (5, 4, 3)


def read(path):
    """(fields, voxels), voxels (x, y, z, ...) with the channels last."""
    content = path.read_bytes()
    fields, end = {}, 0
    while "ElementDataFile" not in fields:
        line_end = content.index(b"\n", end)
        key, value = content[end:line_end].decode().split("=", 1)
        fields[key.strip()] = value.strip()
        end = line_end + 1
    name = fields["ElementDataFile"]
    data = content[end:] if name == "LOCAL" else (path.parent / name).read_bytes()
    if fields["CompressedData"] == "True":
        data = zlib.decompress(data)
    dtype = {"MET_UCHAR": "u1", "MET_SHORT": "<i2", "MET_FLOAT": "<f4", "MET_DOUBLE": "<f8"}[fields["ElementType"]]
    sizes = [int(size) for size in fields["DimSize"].split()]
    channels = int(fields.get("ElementNumberOfChannels", 1))
    return fields, np.frombuffer(data, dtype).reshape((channels, *sizes), order="F").transpose(*range(1, len(sizes) + 1), 0)


class MetaImageTest(FolderTest):
    def write(self, content, name="in.mha"):
        (self.folder / name).write_bytes(content)
        return self.folder / name

    def scan(self, shape=SHAPE, dtype=np.float32):
        image = nib.Nifti1Image(counting(shape, dtype), np.diag([-0.5, -0.75, 2, 1]))
        nib.save(image, self.folder / "scan.nii")
        return self.folder / "scan.nii"


class Written(MetaImageTest):
    def test_one_file_or_two_plain_or_compressed(self):
        source = self.scan()
        for name, compress, files in [("a.mha", 0, ["a.mha"]), ("b.mha", 1, ["b.mha"]), ("c.mhd", 0, ["c.mhd", "c.raw"]),
                                      ("d.mhd", 1, ["d.mhd", "d.zraw"])]:
            with self.subTest(name=name, compress=compress):
                before = set(self.folder.iterdir())
                report = copy(source, self.folder / name, compress=compress)
                made = sorted(path.name for path in set(self.folder.iterdir()) - before)
                self.assertEqual(made, files)
                self.assertEqual(report["bytes"], sum((self.folder / file).stat().st_size for file in files))
                fields, voxels = read(self.folder / name)
                self.assertEqual(fields["ElementDataFile"], "LOCAL" if len(files) == 1 else files[1])
                np.testing.assert_array_equal(voxels[..., 0], counting(SHAPE))
                copy(self.folder / name, self.folder / "back.nii")
                np.testing.assert_array_equal(nib.load(self.folder / "back.nii").get_fdata(), counting(SHAPE))
                (self.folder / "back.nii").unlink()

    def test_level_0_is_not_compressed(self):
        copy(self.scan(), self.folder / "out.mha", compress=1, level=0)
        self.assertEqual(read(self.folder / "out.mha")[0]["CompressedData"], "False")
        copy(self.scan(), self.folder / "out.mha", compress=1, level=12)
        self.assertEqual(read(self.folder / "out.mha")[0]["CompressedData"], "True")

    def test_geometry_keeps_every_digit(self):
        turn = "0.9396926207859084 0.3420201433256687 0 -0.3420201433256687 0.9396926207859084 0 0 0 1"
        source = self.write(metaimage(TransformMatrix=turn, ElementSpacing="0.1 0.00065 3.0000000001",
                                      Offset="-90.123456789012 1e-7 0.30000000000000004") + bytes(120))
        copy(source, self.folder / "out.mha", step="0.5,0.25,1", offset="0,0,0")
        fields = read(self.folder / "out.mha")[0]
        numbers = lambda key: [float(word) for word in fields[key].split()]
        self.assertEqual(numbers("TransformMatrix"), [float(word) for word in turn.split()])
        self.assertEqual(numbers("ElementSpacing"), [0.1, 0.00065 * 0.25, 3.0000000001 * 0.5])
        self.assertEqual(numbers("Offset"), [-90.123456789012, 1e-7, 0.30000000000000004])

    def test_channels_are_vector_pixels_and_volumes_a_4th_axis(self):
        voxels = counting((*SHAPE, 2, 3))
        nib.save(nib.Nifti1Image(voxels, np.eye(4)), self.folder / "scan.nii")
        copy(self.folder / "scan.nii", self.folder / "out.mha")
        fields, found = read(self.folder / "out.mha")
        self.assertEqual((fields["NDims"], fields["DimSize"], fields["ElementNumberOfChannels"]), ("4", "5 4 3 2", "3"))
        np.testing.assert_array_equal(found, voxels)
        copy(self.folder / "out.mha", self.folder / "back.nii")
        np.testing.assert_array_equal(nib.load(self.folder / "back.nii").get_fdata(), voxels)

    def test_frame_duration_is_the_4th_spacing(self):
        image = nib.Nifti1Image(counting((*SHAPE, 2)), np.eye(4))
        image.header["pixdim"][4] = 2.5
        nib.save(image, self.folder / "scan.nii")
        copy(self.folder / "scan.nii", self.folder / "out.mha")
        self.assertEqual(header(self.folder / "out.mha")["frame_duration"], [2.5])
        copy(self.folder / "out.mha", self.folder / "back.nii")
        self.assertEqual(nib.load(self.folder / "back.nii").header["pixdim"][4], 2.5)

    def test_provenance_is_a_field_of_one_line(self):
        copy(self.scan(), self.folder / "out.mha", provenance="convt3d 0.1\nElementType = MET_UCHAR")
        self.assertEqual(read(self.folder / "out.mha")[0]["Provenance"], "convt3d 0.1 ElementType = MET_UCHAR")

    def test_integers_are_clipped_and_counted(self):
        report = copy(self.scan((5, 4, 20)), self.folder / "out.mha", type="uint8")
        self.assertEqual(report["clipped"], 400 - 256)
        np.testing.assert_array_equal(read(self.folder / "out.mha")[1][..., 0], np.minimum(counting((5, 4, 20)), 255))

    def test_nan_needs_a_value_among_integers(self):
        voxels = counting(SHAPE)
        voxels[2, 1, 1] = np.nan
        nib.save(nib.Nifti1Image(voxels, np.eye(4)), self.folder / "scan.nii")
        self.assert_refused(["output:", "out.mha", "(0, 0, 1, 1, 2)", "NaN"], copy, self.folder / "scan.nii",
                            self.folder / "out.mha", type="int16")
        copy(self.folder / "scan.nii", self.folder / "out.mha", type="int16", nan=-1)
        self.assertEqual(read(self.folder / "out.mha")[1][2, 1, 1, 0], -1)


class Read(MetaImageTest):
    def assert_reads(self, source, expected):
        copy(source, self.folder / "out.nii", dtype="float64")
        np.testing.assert_array_equal(np.asarray(nib.load(self.folder / "out.nii").dataobj), expected)

    def test_every_type_in_either_byte_order(self):
        names = {"CHAR": "i1", "UCHAR": "u1", "SHORT": "i2", "USHORT": "u2", "INT": "i4", "UINT": "u4", "LONG": "i4",
                 "ULONG": "u4", "LONG_LONG": "i8", "ULONG_LONG": "u8", "FLOAT": "f4", "DOUBLE": "f8"}
        for name, dtype in names.items():
            for msb, order in [("False", "<"), ("True", ">")]:
                with self.subTest(type=name, msb=msb):
                    voxels = counting(SHAPE, dtype)
                    content = metaimage(ElementType="MET_" + name, BinaryDataByteOrderMSB=msb)
                    source = self.write(content + voxels.astype(order + dtype).tobytes(order="F"))
                    self.assertEqual(header(source)["pixel_type"], np.dtype(dtype).name)
                    self.assert_reads(source, voxels)

    def test_nan_and_infinity_survive(self):
        voxels = counting(SHAPE)
        voxels[0, 0] = [np.nan, np.inf, -np.inf]
        self.assert_reads(self.write(metaimage(ElementType="MET_FLOAT") + voxels.tobytes(order="F")), voxels)

    def test_data_in_a_file_of_its_own(self):
        data = counting(SHAPE, "<i2").tobytes(order="F")
        (self.folder / "sub").mkdir()
        for content, size in [(data, 0), (b"x" * 33 + data, 33), (b"x" * 33 + data, -1)]:
            with self.subTest(header_size=size):
                (self.folder / "sub" / "voxels.raw").write_bytes(content)
                self.assert_reads(self.write(metaimage(ElementDataFile="sub/voxels.raw", HeaderSize=size), "in.mhd"),
                                  counting(SHAPE))

    def test_compressed_data_without_its_size(self):
        data = zlib.compress(counting(SHAPE, "<i2").tobytes(order="F"))
        self.assert_reads(self.write(metaimage(CompressedData="True") + data), counting(SHAPE))

    def test_intensity_function_is_applied(self):
        content = metaimage(ElementToIntensityFunctionSlope=0.5, ElementToIntensityFunctionOffset=-3)
        source = self.write(content + counting(SHAPE, "<i2").tobytes(order="F"))
        self.assertEqual(header(source)["pixel_type"], "float32")
        self.assert_reads(source, counting(SHAPE) * 0.5 - 3)

    def test_line_ends_of_windows(self):
        content = metaimage().replace(b"\n", b"\r\n")
        self.assert_reads(self.write(content + counting(SHAPE, "<i2").tobytes(order="F")), counting(SHAPE))

    def test_flat_images_are_volumes_of_depth_1(self):
        content = metaimage(NDims=2, DimSize="5 4", TransformMatrix="0 1 -1 0", Offset="1 2", ElementSpacing="0.5 0.25")
        source = self.write(content + counting((5, 4), "<i2").tobytes(order="F"))
        fields = header(source)
        self.assertEqual(fields["shape"], [1, 1, 1, 4, 5])
        self.assertEqual(fields["spacing"], [0.5, 0.25, 1])
        self.assertEqual(fields["origin"], [1, 2, 0])
        self.assertEqual(fields["direction"], [0, -1, 0, 1, 0, 0, 0, 0, 1])
        self.assert_reads(source, counting((5, 4, 1)))

    def test_codes_of_nifti_made_from_it_are_scanner(self):
        source = self.write(metaimage() + bytes(120))
        copy(source, self.folder / "out.nii")
        out = nib.load(self.folder / "out.nii")
        self.assertEqual((out.header["qform_code"], out.header["sform_code"]), (1, 1))
        np.testing.assert_array_equal(out.affine, [[-1, 0, 0, -1], [0, -1, 0, -2], [0, 0, 1, 3], [0, 0, 0, 1]])

    def test_sheared_direction_reaches_nifti(self):
        source = self.write(metaimage(TransformMatrix="1 0 0 0.6 0.8 0 0 0 1") + bytes(120))
        copy(source, self.folder / "out.nii")
        out = nib.load(self.folder / "out.nii")
        self.assertEqual((out.header["qform_code"], out.header["sform_code"]), (0, 1))
        np.testing.assert_allclose(out.affine[:3, :3], [[-1, -0.6, 0], [0, -0.8, 0], [0, 0, 1]], rtol=1e-6)


if __name__ == "__main__":
    unittest.main()
