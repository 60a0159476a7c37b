#!/usr/bin/env python3
"""Makes photos/: small photos of every kind that is read, each with the pixels it must give in
NAME.ppm, and resized/: one picture resized by Pillow.

    tests/golden/make_photos.py        (Pillow 9.4.0 with libjpeg-turbo 2.1.5, numpy 1.24)

The PPMs are what Pillow decodes, oriented by ImageOps.exif_transpose, on white. Where Pillow
has no say (16-bit PNG samples keep the high byte) they come from the samples themselves."""
import io
import struct
import zlib
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

HERE = Path(__file__).resolve().parent
PHOTOS, RESIZED = HERE / "photos", HERE / "resized"
H, W = 33, 45


def picture(h, w, seed=0):
    """Smooth colours, an edge, some noise: what codecs and filters treat differently."""
    y, x = np.mgrid[0:h, 0:w].astype(float)
    rng = np.random.default_rng(seed)
    planes = [128 + 120 * np.sin(x / 7 + seed), 255 * y / h, 255 * ((x + 2 * y) % 20 > 9)]
    return np.clip(np.stack(planes, -1) + rng.normal(0, 6, (h, w, 3)), 0, 255).astype(np.uint8)


RGB = picture(H, W)
ALPHA = np.clip(np.mgrid[0:H, 0:W][1] * 8 - 40, 0, 255).astype(np.uint8)


def on_white(rgb, alpha):
    white = Image.new("RGB", (rgb.shape[1], rgb.shape[0]), (255, 255, 255))
    white.paste(Image.fromarray(rgb), mask=Image.fromarray(alpha))
    return np.array(white)


def as_rgb(data):
    image = Image.open(io.BytesIO(data))
    image.load()
    image = ImageOps.exif_transpose(image)
    if image.mode in ("RGBA", "LA") or "transparency" in image.info:
        image = image.convert("RGBA")
        return on_white(np.array(image.convert("RGB")), np.array(image.getchannel("A")))
    return np.array(image.convert("RGB"))


def put(name, data, pixels=None):
    pixels = as_rgb(data) if pixels is None else pixels
    (PHOTOS / name).write_bytes(data)
    write_ppm(PHOTOS / (name + ".ppm"), pixels)


def write_ppm(path, pixels):
    path.write_bytes(b"P6 %d %d 255\n" % (pixels.shape[1], pixels.shape[0]) + pixels.tobytes())


def saved(array, kind, mode=None, **options):
    out = io.BytesIO()
    image = Image.fromarray(array) if not isinstance(array, Image.Image) else array
    (image.convert(mode) if mode else image).save(out, kind, **options)
    return out.getvalue()


def exif(orientation, order="MM"):
    """An IFD of two entries, the orientation second."""
    mark = ">" if order == "MM" else "<"
    entries = struct.pack(mark + "HHIHH", 0x0100, 3, 1, W, 0)
    entries += struct.pack(mark + "HHIHH", 0x0112, 3, 1, orientation, 0)
    return order.encode() + struct.pack(mark + "HIH", 42, 8, 2) + entries + bytes(4)


# ---- PNG by hand: depths, interlacing and chunks that Pillow does not write ----

ADAM7 = [(0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2), (1, 0, 2, 1)]


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def packed(samples, depth):
    """Rows of samples [h][w][c], each with filter 0 before it."""
    rows = []
    for row in samples.reshape(samples.shape[0], -1):
        if depth == 16:
            data = row.astype(">u2").tobytes()
        else:
            bits = (row[:, None] >> np.arange(depth - 1, -1, -1)) & 1
            data = np.packbits(bits.astype(np.uint8).reshape(-1)).tobytes()
        rows.append(b"\0" + data)
    return b"".join(rows)


def png(samples, depth, colour, interlaced=False, before=b"", after=b""):
    h, w, _ = samples.shape
    if interlaced:
        parts = [samples[y::dy, x::dx] for y, x, dy, dx in ADAM7]
        raw = b"".join(packed(part, depth) for part in parts if part.size)
    else:
        raw = packed(samples, depth)
    head = struct.pack(">IIBBBBB", w, h, depth, colour, 0, 0, int(interlaced))
    body = chunk(b"IHDR", head) + before + chunk(b"IDAT", zlib.compress(raw, 9)) + after + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


GREY, COLOUR, PALETTE, GREY_ALPHA, COLOUR_ALPHA = 0, 2, 3, 4, 6


def make_pngs():
    grey = RGB[:, :, 1:2]
    rng = np.random.default_rng(5)
    low = rng.integers(0, 256, (H, W, 4)).astype(np.uint16)
    rgba16 = np.dstack([RGB, ALPHA]).astype(np.uint16) << 8 | low

    def triple(plane):
        return np.repeat(plane, 3, axis=2).astype(np.uint8)

    put("rgb.png", saved(RGB, "PNG"))
    put("rgba.png", saved(np.dstack([RGB, ALPHA]), "PNG"))
    put("grey.png", saved(grey[:, :, 0], "PNG"))
    put("grey-alpha.png", saved(np.dstack([grey, ALPHA]), "PNG"))
    put("palette.png", saved(Image.fromarray(RGB).quantize(40), "PNG"))
    put("palette-alpha.png", saved(Image.fromarray(RGB).quantize(16), "PNG", transparency=bytes(range(0, 256, 17))))
    for depth in (1, 2, 4):
        top = (1 << depth) - 1
        samples = (grey >> (8 - depth)).astype(np.uint8)
        put(f"grey-{depth}-bit.png", png(samples, depth, GREY), triple(samples.astype(int) * 255 // top))
    put("rgb-16-bit.png", png(rgba16[:, :, :3], 16, COLOUR), RGB)
    put("rgba-16-bit.png", png(rgba16, 16, COLOUR_ALPHA), on_white(RGB, ALPHA))
    put("grey-16-bit.png", png(rgba16[:, :, 1:2], 16, GREY), triple(grey))
    put("grey-alpha-16-bit.png", png(rgba16[:, :, [1, 3]], 16, GREY_ALPHA), on_white(triple(grey), ALPHA))
    put("interlaced.png", png(np.dstack([RGB, ALPHA]), 8, COLOUR_ALPHA, True))
    put("interlaced-tiny.png", png(RGB[:2, :3], 8, COLOUR, True))
    quarters = RGB // 64 * 64
    key = tuple(int(v) for v in quarters[10, 10])
    seen = np.where((quarters == key).all(axis=2), 0, 255).astype(np.uint8)
    trns = chunk(b"tRNS", struct.pack(">HHH", *key))
    put("rgb-key.png", png(quarters, 8, COLOUR, before=trns), on_white(quarters, seen))
    key16 = int(rgba16[10, 10, 1])
    seen = np.where(rgba16[:, :, 1] == key16, 0, 255).astype(np.uint8)
    trns = chunk(b"tRNS", struct.pack(">H", key16))
    put("grey-16-bit-key.png", png(rgba16[:, :, 1:2], 16, GREY, before=trns), on_white(triple(grey), seen))
    turned = as_rgb(saved(RGB, "PNG", exif=b"Exif\0\0" + exif(6)))
    put("upright-6.png", png(turned, 8, COLOUR), turned)
    put("upright-8.png", png(np.rot90(RGB), 8, COLOUR), np.rot90(RGB))
    put("exif.png", png(RGB, 8, COLOUR, before=chunk(b"eXIf", exif(6))), turned)
    put("exif-behind.png", png(RGB, 8, COLOUR, after=chunk(b"eXIf", exif(6, "II"))), turned)
    gamma = chunk(b"gAMA", struct.pack(">I", 100000))
    put("gamma.png", png(RGB, 8, COLOUR, before=gamma), RGB)


def xmp(orientation, element=False):
    if element:
        inner = "<rdf:Description><tiff:Orientation>%d</tiff:Orientation></rdf:Description>" % orientation
    else:
        inner = '<rdf:Description xmlns:tiff="http://ns.adobe.com/tiff/1.0/" tiff:Orientation="%d"/>' % orientation
    return b"<x:xmpmeta><rdf:RDF>" + inner.encode() + b"</rdf:RDF></x:xmpmeta>"


def itxt(keyword, text, deflated):
    body = zlib.compress(text) if deflated else text
    return chunk(b"iTXt", keyword + bytes([0, deflated, 0, 0, 0]) + body)


def make_notes():
    """Orientation where EXIF has none: in XMP, and in EXIF as ImageMagick puts it into a PNG's text.
    Pillow 9.4 knows that of PNG only; Pillow 13 gives all of these pixels."""
    turned = np.rot90(RGB, -1)
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", W, H, 8, COLOUR, 0, 0, 0))
    short = chunk(b"IDAT", zlib.compress(packed(RGB[: H - 5], 8)))
    (HERE / "short-data.png").write_bytes(b"\x89PNG\r\n\x1a\n" + head + short + chunk(b"IEND", b""))
    for name, deflated in (("plain", 0), ("deflated", 1)):
        text = itxt(b"XML:com.adobe.xmp", xmp(6, deflated), deflated)
        put(f"xmp-{name}.png", png(RGB, 8, COLOUR, before=text), turned)
    digits = (b"Exif\0\0" + exif(6)).hex().encode()
    lines = b"\n".join(digits[i : i + 72] for i in range(0, len(digits), 72))
    profile = b"\nexif\n%8d\n" % (len(digits) // 2) + lines + b"\n"
    keyword = b"Raw profile type exif\0"
    put("profile.png", png(RGB, 8, COLOUR, after=chunk(b"tEXt", keyword + profile)), turned)
    put("profile-deflated.png", png(RGB, 8, COLOUR, before=chunk(b"zTXt", keyword + b"\0" + zlib.compress(profile))), turned)
    both = chunk(b"eXIf", exif(1)) + itxt(b"XML:com.adobe.xmp", xmp(6), 0)
    put("exif-before-xmp.png", png(RGB, 8, COLOUR, before=both), RGB)
    plain = saved(RGB, "JPEG", quality=80)
    body = b"http://ns.adobe.com/xap/1.0/\0" + xmp(6)
    segment = b"\xff\xe1" + struct.pack(">H", len(body) + 2) + body
    put("xmp.jpg", plain[:2] + segment + plain[2:], np.rot90(as_rgb(plain), -1))
    put("xmp.webp", saved(RGB, "WEBP", lossless=True, xmp=xmp(8, True)), np.rot90(RGB))


def make_jpegs():
    put("plain.jpg", saved(RGB, "JPEG", quality=80))
    put("444.jpg", saved(RGB, "JPEG", quality=80, subsampling=0))
    put("422.jpg", saved(RGB, "JPEG", quality=80, subsampling=1))
    put("progressive.jpg", saved(RGB, "JPEG", quality=80, progressive=True))
    put("grey.jpg", saved(RGB[:, :, 1], "JPEG", quality=80))
    image = Image.fromarray(np.dstack([255 - RGB, ALPHA // 2]).astype(np.uint8), "CMYK")
    cmyk = saved(image, "JPEG", quality=85)
    put("cmyk.jpg", cmyk)
    at = cmyk.index(b"Adobe") + 11  # the colour transform: 0 is CMYK, 2 is YCCK
    put("ycck.jpg", cmyk[:at] + b"\2" + cmyk[at + 1 :])
    for o in range(1, 9):
        put(f"exif-{o}.jpg", saved(RGB, "JPEG", quality=80, exif=b"Exif\0\0" + exif(o, "MM" if o % 2 else "II")))
    put("exif-9.jpg", saved(RGB, "JPEG", quality=80, exif=b"Exif\0\0" + exif(9)))
    put("one-pixel.jpg", saved(RGB[:1, :1], "JPEG"))
    for o in (1, 3, 5, 6, 8):  # large enough for rows and columns to be skipped
        large = picture(300, 401, 3)
        options = {"quality": 30, "exif": b"Exif\0\0" + exif(o), "progressive": o == 8, "subsampling": 2 if o < 6 else 1}
        (PHOTOS / f"large-{o}.jpg").write_bytes(saved(large, "JPEG", **options))


def make_webps():
    put("lossy.webp", saved(RGB, "WEBP", quality=70))
    put("lossless.webp", saved(RGB, "WEBP", lossless=True), RGB)
    put("alpha.webp", saved(np.dstack([RGB, ALPHA]), "WEBP", lossless=True, exact=True), on_white(RGB, ALPHA))
    put("exif.webp", saved(RGB, "WEBP", lossless=True, exif=exif(8)), np.rot90(RGB))
    frames = [Image.fromarray(picture(H, W, seed)) for seed in (1, 2, 3)]
    animation = saved(frames[0], "WEBP", save_all=True, append_images=frames[1:], lossless=True)
    put("animated.webp", animation, np.array(frames[0]))


def make_resized():
    source = picture(47, 61, 9)
    write_ppm(RESIZED / "source.ppm", source)
    filters = {"bilinear": Image.BILINEAR, "bicubic": Image.BICUBIC}
    for name, method in filters.items():
        for h, w in ((1, 1), (5, 7), (23, 30), (47, 20), (10, 61), (46, 62), (94, 122), (100, 9)):
            resized = Image.fromarray(source).resize((w, h), method)
            write_ppm(RESIZED / f"{name}-{h}x{w}.ppm", np.array(resized))


if __name__ == "__main__":
    for folder in (PHOTOS, RESIZED):
        folder.mkdir(exist_ok=True)
        for old in folder.iterdir():
            if old.suffix not in (".heic", ".avif"):  # made by heif-enc, see test_photos.c
                old.unlink()
    make_pngs()
    make_notes()
    make_jpegs()
    make_webps()
    make_resized()
