"""Batches of varied pictures, made where the network is trained: turned, mirrored, zoomed, lit anew, coded badly.

All of a batch is done at once by operations of torch, so that a GPU is not kept waiting by processors. The numbers that
say how each picture is varied come from a numpy generator; a batch follows from its state (and torch's, for grain).
"""

import math

import numpy
import torch
from torch.nn import functional

from .pool import GREY, HIDDEN, NOTHING, PIG

# A pig of which less is left at a picture's edge, or which is smaller than so many px, is not asked for.
LEAST_LEFT, LEAST_PX = 0.2, 5


def matrices(random, pool, numbers, size, zoom, quarter_turns, center=None):
    """The affine matrix (2 x 3) of each image, from its pixels to those of the input."""
    count, (width, height) = len(numbers), size
    extents = pool.extents[numbers]
    turns = numpy.where(random.random(count) < quarter_turns, random.integers(0, 4, count), 0)
    lying = turns % 2 == 1
    seen = numpy.where(lying[:, None], extents[:, ::-1], extents)
    scale = numpy.minimum(width / seen[:, 0], height / seen[:, 1]) * numpy.exp(random.uniform(*numpy.log(zoom), count))
    # Cameras hang askew.
    angle = numpy.radians(90 * turns + numpy.where(random.random(count) < 0.4, random.uniform(-12, 12, count), 0))
    mirror = numpy.where(random.random(count) < 0.5, -1.0, 1.0)
    rows = numpy.zeros((count, 2, 3))
    rows[:, 0, 0], rows[:, 0, 1] = scale * numpy.cos(angle) * mirror, -scale * numpy.sin(angle)
    rows[:, 1, 0], rows[:, 1, 1] = scale * numpy.sin(angle) * mirror, scale * numpy.cos(angle)
    center = numpy.array(size) / 2 if center is None else center
    center = center + random.uniform(-0.15, 0.15, (count, 2)) * size
    # What is zoomed into is somewhere in the picture; what is smaller than the input is whole.
    free = (scale[:, None] * seen - size).clip(0) / 2
    center = center + random.uniform(-1, 1, (count, 2)) * free
    rows[:, :, 2] = center - (rows[:, :, :2] @ (extents / 2)[:, :, None])[:, :, 0]
    return rows


def warped(pool, numbers, rows, size):
    """Warps the images by their matrices: N x 3 x H x W, 0 to 255; the clipped boxes and their classes."""
    device, (width, height) = pool.pixels.device, size
    index = torch.as_tensor(numpy.asarray(numbers), device=device)
    linear = numpy.linalg.inv(rows[:, :, :2])
    back = numpy.concatenate([linear, -linear @ rows[:, :, 2:]], 2)
    # To the coordinates of grid_sample: -1 to 1 from edge to edge.
    (canvas_width, canvas_height), to_px = pool.canvas, numpy.array([[width / 2, 0, width / 2], [0, height / 2, height / 2], [0, 0, 1]])
    back = back @ to_px
    back[:, 0] *= 2 / canvas_width
    back[:, 1] *= 2 / canvas_height
    back[:, :, 2] -= 1
    theta = torch.as_tensor(back, dtype=torch.float32, device=device)
    grid = functional.affine_grid(theta, (len(numbers), 3, height, width), align_corners=False)
    pixels = pool.pixels[index].permute(0, 3, 1, 2).float() - GREY
    pixels = functional.grid_sample(pixels, grid, mode="bilinear", padding_mode="zeros", align_corners=False) + GREY
    boxes, states = moved(pool.boxes[index], pool.states[index], torch.as_tensor(rows, dtype=torch.float32, device=device))
    return pixels, *clipped(boxes, states, torch.tensor([0.0, 0, width, height], device=device))


def moved(boxes, states, rows):
    """Warps boxes by affine matrices. A pig fills its box like an ellipse, so the ellipse is rotated, not the corners of the box."""
    center, half = (boxes[..., :2] + boxes[..., 2:]) / 2, (boxes[..., 2:] - boxes[..., :2]) / 2
    center = torch.einsum("nij,nkj->nki", rows[:, :, :2], center) + rows[:, None, :, 2]
    half = torch.einsum("nij,nkj->nki", rows[:, :, :2].square(), half.square()).sqrt()
    return torch.cat([center - half, center + half], -1), states


def clipped(boxes, states, window):
    """Clips boxes to a window. A box with too little left becomes hidden, one outside the window becomes empty."""
    low, high = torch.maximum(boxes[..., :2], window[..., :2]), torch.minimum(boxes[..., 2:], window[..., 2:])
    left = (high - low).clamp(min=0)
    whole = (boxes[..., 2:] - boxes[..., :2]).clamp(min=1e-3)
    is_seen = (left.prod(-1) >= LEAST_LEFT * whole.prod(-1)) & (left.amin(-1) >= LEAST_PX)
    states = torch.where((states == PIG) & ~is_seen, HIDDEN, states)
    states = torch.where(left.amin(-1) < 1, NOTHING, states)
    return torch.cat([low, torch.maximum(low, high)], -1), states.to(torch.uint8)


def mosaic(random, draws, size):
    """Mosaic of four images: more and smaller pigs, with other pens around them. `draws`: four pairs of pool and image numbers."""
    width, height = size
    count = len(draws[0][1])
    middle = random.uniform(0.35, 0.65, (count, 2)) * size
    device = draws[0][0].pixels.device
    x = torch.arange(width, device=device)[None, None, :] + 0.5
    y = torch.arange(height, device=device)[None, :, None] + 0.5
    seam = torch.as_tensor(middle, dtype=torch.float32, device=device)
    picture, all_boxes, all_states = None, [], []
    for number, (pool, numbers) in enumerate(draws):
        right, below = number % 2, number // 2
        low = numpy.stack([middle[:, 0] * right, middle[:, 1] * below], 1)
        high = numpy.stack([numpy.where(right, width, middle[:, 0]), numpy.where(below, height, middle[:, 1])], 1)
        rows = matrices(random, pool, numbers, size, zoom=(0.4, 0.95), quarter_turns=0.3, center=(low + high) / 2)
        pixels, boxes, states = warped(pool, numbers, rows, size)
        inside_x = (x >= seam[:, 0, None, None]) if right else (x < seam[:, 0, None, None])
        inside_y = (y >= seam[:, 1, None, None]) if below else (y < seam[:, 1, None, None])
        inside = (inside_x & inside_y)[:, None]
        picture = torch.where(inside, pixels, 0 if picture is None else picture)
        window = torch.as_tensor(numpy.concatenate([low, high], 1), dtype=torch.float32, device=device)[:, None]
        boxes, states = clipped(boxes, states, window)
        all_boxes.append(boxes)
        all_states.append(states)
    return picture, torch.cat(all_boxes, 1), torch.cat(all_states, 1)


def packed(boxes, states):
    """The same boxes with most of the empty padding removed."""
    is_box = states != NOTHING
    most = max(1, int(is_box.sum(1).max()))
    order = torch.argsort(~is_box, dim=1, stable=True)[:, :most]
    return boxes.gather(1, order[..., None].expand(-1, -1, 4)), states.gather(1, order)


def light(random, pixels):
    """Varies lighting, infrared, camera, dirt on the lens and encoder. N x 3 x H x W, 0 to 255."""
    count, _, height, width = pixels.shape
    device = pixels.device

    def each(low, high, per=1):
        values = random.uniform(low, high, (count, per, 1, 1))
        return torch.as_tensor(values, dtype=torch.float32, device=device)

    def flags(share):
        return torch.as_tensor(random.random((count, 1, 1, 1)) < share, device=device)

    def some(share):
        """The numbers of a random share of the images."""
        return torch.as_tensor(numpy.sort(random.permutation(count)[: round(share * count)]), device=device)

    # Infrared: one channel, edges of the picture dark.
    weights = torch.as_tensor(random.dirichlet((2, 2, 2), count), dtype=torch.float32, device=device)
    grey = torch.einsum("nchw,nc->nhw", pixels, weights)[:, None]
    y, x = torch.linspace(-1, 1, height, device=device)[:, None], torch.linspace(-1, 1, width, device=device)[None]
    fall = (1 - each(0, 0.6) * ((x - each(-0.5, 0.5)) ** 2 + (y - each(-0.5, 0.5)) ** 2)).clamp(min=0.15)
    infrared = grey * torch.where(flags(0.6), fall, 1.0)
    gains = torch.as_tensor(random.normal(1, 0.1, (count, 3, 1, 1)), dtype=torch.float32, device=device)
    day = pixels * gains
    mean = day.mean(1, keepdim=True)
    day = mean + (day - mean) * each(0.3, 1.4)
    pixels = torch.where(flags(0.35), infrared, day)
    pixels = 255 * (pixels.clamp(0, 255) / 255) ** each(0.6, 1.6)
    pixels = (pixels - 128) * each(0.55, 1.3) + 128 + each(-35, 35)
    which = some(0.3)
    if len(which):
        pixels[which] = blurred(pixels[which], random.uniform(0.4, 1.6, len(which)))
    grain = torch.as_tensor(random.uniform(1, 9, (count, 1, 1, 1)) * (random.random((count, 1, 1, 1)) < 0.5), dtype=torch.float32, device=device)
    pixels = (pixels + grain * torch.randn_like(pixels)).clamp(0, 255)
    which = some(0.4)
    if len(which):
        pixels[which] = coded(pixels[which], random.uniform(20, 85, len(which)))
    return pixels


def blurred(pixels, sigmas, reach=4):
    """Blurs each image with its own Gaussian."""
    count, channels, height, width = pixels.shape
    away = torch.arange(-reach, reach + 1, device=pixels.device)
    sigmas = torch.as_tensor(sigmas, dtype=torch.float32, device=pixels.device)[:, None]
    kernel = torch.exp(-(away[None] ** 2) / (2 * sigmas**2))
    kernel = (kernel / kernel.sum(1, keepdim=True)).repeat_interleave(channels, 0)
    flat = pixels.reshape(1, count * channels, height, width)
    flat = functional.pad(flat, (reach, reach, reach, reach), mode="replicate")
    flat = functional.conv2d(flat, kernel[:, None, None, :], groups=count * channels)
    return functional.conv2d(flat, kernel[:, None, :, None], groups=count * channels).reshape(pixels.shape)


# The tables of ITU-T T.81, annex K.
LUMA = torch.tensor([
    16, 11, 10, 16, 24, 40, 51, 61, 12, 12, 14, 19, 26, 58, 60, 55, 14, 13, 16, 24, 40, 57, 69, 56, 14, 17, 22, 29, 51, 87, 80, 62,
    18, 22, 37, 56, 68, 109, 103, 77, 24, 35, 55, 64, 81, 104, 113, 92, 49, 64, 78, 87, 103, 121, 120, 101, 72, 92, 95, 98, 112, 100, 103, 99,
]).reshape(8, 8).float()  # fmt: skip
CHROMA = torch.full((8, 8), 99.0)
CHROMA[:4, :4] = torch.tensor([[17, 18, 24, 47], [18, 21, 26, 66], [24, 26, 56, 99], [47, 66, 99, 99]])
COSINES = torch.tensor([[math.sqrt((1 if u == 0 else 2) / 8) * math.cos((2 * x + 1) * u * math.pi / 16) for x in range(8)] for u in range(8)])
# Blue, green, red to luma and chroma, and back.
TO_YCC = torch.tensor([[0.114, 0.587, 0.299], [0.5, -0.3313, -0.1687], [-0.0813, -0.4187, 0.5]])


def coded(pixels, qualities):
    """Simulates JPEG compression of a quality from 1 to 100: 8 x 8 blocks, chroma at half resolution."""
    device = pixels.device
    qualities = torch.as_tensor(qualities, dtype=torch.float32, device=device)
    factor = torch.where(qualities < 50, 50 / qualities, 2 - qualities / 50)[:, None, None, None, None]
    to_ycc = TO_YCC.to(device)
    ycc = torch.einsum("ij,njhw->nihw", to_ycc, pixels - 128)
    luma = rounded(ycc[:, :1], LUMA.to(device) * factor)
    chroma = rounded(functional.avg_pool2d(ycc[:, 1:], 2), CHROMA.to(device) * factor)
    chroma = functional.interpolate(chroma, scale_factor=2, mode="bilinear", align_corners=False)
    back = torch.einsum("ij,njhw->nihw", torch.linalg.inv(to_ycc), torch.cat([luma, chroma], 1))
    return (back + 128).clamp(0, 255)


def rounded(planes, table):
    """Rounds the DCT coefficients of planes to multiples of the quantisation table. Sides are padded to multiples of 8."""
    count, channels, height, width = planes.shape
    planes = functional.pad(planes, (0, -width % 8, 0, -height % 8), mode="replicate")
    cosines = COSINES.to(planes.device)
    blocks = planes.unflatten(3, (-1, 8)).unflatten(2, (-1, 8)).permute(0, 1, 2, 4, 3, 5)
    table = table.clamp(min=1).expand(count, 1, 1, 8, 8)[:, :, :, None]
    found = torch.round(cosines @ blocks @ cosines.T / table) * table
    blocks = cosines.T @ found @ cosines
    return blocks.permute(0, 1, 2, 4, 3, 5).flatten(4, 5).flatten(2, 3)[..., :height, :width]
