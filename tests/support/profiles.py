"""ICC profiles made by code: of displays by a matrix and curves, of grey by a curve, of inks by a table."""

from __future__ import annotations

import struct

import numpy as np

# Colorants as rows of X, Y, Z adapted to D50, as the published profiles have them.
SRGB = ((0.43607, 0.22249, 0.01392), (0.38515, 0.71687, 0.09708), (0.14307, 0.06061, 0.71410))
DISPLAY_P3 = ((0.51512, 0.24120, -0.00105), (0.29198, 0.69225, 0.04189), (0.15710, 0.06657, 0.78407))
ADOBE_RGB = ((0.60974, 0.31111, 0.01947), (0.20528, 0.62567, 0.06087), (0.14919, 0.06322, 0.74457))
PROPHOTO = ((0.79767, 0.28804, 0.0), (0.13519, 0.71188, 0.0), (0.03134, 0.00009, 0.82491))
D50 = (0.9642, 1.0, 0.8249)


def _s15(*values: float) -> bytes:
    return b"".join(struct.pack(">i", round(value * 65536)) for value in values)


def _xyz(values: tuple[float, float, float]) -> bytes:
    return b"XYZ \0\0\0\0" + _s15(*values)


def _gamma(value: float) -> bytes:
    return b"curv\0\0\0\0" + struct.pack(">IH", 1, round(value * 256))


def _srgb_curve() -> bytes:
    """The curve of sRGB as a parametric one, of type 3."""
    return b"para\0\0\0\0" + struct.pack(">HH", 3, 0) + _s15(2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045)


def _make_profile(device: bytes, space: bytes, tags: dict[bytes, bytes], connection: bytes = b"XYZ ") -> bytes:
    tags = {b"desc": b"desc\0\0\0\0" + struct.pack(">I", 5) + b"test\0" + bytes(78), b"wtpt": _xyz(D50)} | tags
    table, body, at = b"", b"", 128 + 4 + 12 * len(tags)
    for name, content in tags.items():
        content += bytes(-len(content) % 4)
        table += name + struct.pack(">II", at + len(body), len(content))
        body += content
    size = at + len(body)
    header = struct.pack(">I4sI4s4s4s12s4s", size, b"lcms", 0x02400000, device, space, connection, bytes(12), b"acsp")
    header += bytes(28) + _s15(*D50)
    return header.ljust(128, b"\0") + struct.pack(">I", len(tags)) + table + body


def make_rgb_profile(colorants: tuple[tuple[float, float, float], ...], gamma: float | None = None) -> bytes:
    """Return a profile of a display with these colorants; without a gamma its curve is that of sRGB."""
    curve = _srgb_curve() if gamma is None else _gamma(gamma)
    tags = {b"rXYZ": _xyz(colorants[0]), b"gXYZ": _xyz(colorants[1]), b"bXYZ": _xyz(colorants[2])}  # type: ignore[arg-type]
    return _make_profile(b"mntr", b"RGB ", tags | {b"rTRC": curve, b"gTRC": curve, b"bTRC": curve})


def make_grey_profile(gamma: float) -> bytes:
    return _make_profile(b"mntr", b"GRAY", {b"kTRC": _gamma(gamma)})


def make_cmyk_profile(points: int = 5) -> bytes:
    """Return a profile of a press whose inks are duller than Pillow's conversion takes them for."""
    inks = np.stack(np.meshgrid(*[np.linspace(0, 1, points)] * 4, indexing="ij"), -1).reshape(-1, 4)
    reflected = (1 - 0.85 * inks[:, :3]) * (1 - 0.9 * inks[:, 3:])
    light = reflected @ np.array([0.25, 0.6, 0.15])
    lab = np.stack(
        [100 * np.cbrt(light), 90 * (reflected[:, 0] - reflected[:, 1]), 60 * (reflected[:, 1] - reflected[:, 2])], 1
    )
    encoded = np.clip(np.rint((lab + [0, 128, 128]) * [255 / 100, 1, 1]), 0, 255).astype(np.uint8)
    identity = bytes(range(256))
    table = b"mft1\0\0\0\0" + bytes([4, 3, points, 0]) + _s15(1, 0, 0, 0, 1, 0, 0, 0, 1)
    table += identity * 4 + encoded.tobytes() + identity * 3
    return _make_profile(b"prtr", b"CMYK", {b"A2B0": table}, b"Lab ")
