"""A picture as the detector gets it: INPUT x INPUT px, and how it is varied for training."""

import cv2
import numpy

GREY = 114


def letterbox(pixels, side):
    """The picture scaled into the middle of a grey square, as the product does it; with scale and offset."""
    height, width = pixels.shape[:2]
    scale = side / max(height, width)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    left, top = (side - size[0]) // 2, (side - size[1]) // 2
    square = numpy.full((side, side, 3), GREY, "u1")
    square[top : top + size[1], left : left + size[0]] = cv2.resize(pixels, size, interpolation=cv2.INTER_LINEAR)
    return square, scale, (left, top)


def vary(random, pixels, boxes, hidden, side, zoom=(0.55, 1.6)):
    """Turned, mirrored, zoomed and re-lit; boxes that leave the square are cut, mostly gone ones are dropped."""
    height, width = pixels.shape[:2]
    scale = side / max(height, width) * numpy.exp(random.uniform(*numpy.log(zoom)))
    angle = random.choice([0, 90, 180, 270]) + (random.uniform(-12, 12) if random.random() < 0.4 else 0)
    matrix = cv2.getRotationMatrix2D((width / 2, height / 2), angle, scale)
    if random.random() < 0.5:
        matrix[:, 0] *= -1
    matrix[:, 2] = side / 2 - matrix[:, :2] @ (width / 2, height / 2) + random.uniform(-0.15, 0.15, 2) * side
    square = cv2.warpAffine(pixels, matrix, (side, side), flags=cv2.INTER_AREA if scale < 0.6 else cv2.INTER_LINEAR,
                            borderValue=(GREY,) * 3)
    boxes, lost = turned(boxes, matrix, side)
    hidden, lost_too = turned(hidden, matrix, side)
    return light(random, square), boxes, numpy.concatenate([hidden, lost, lost_too])


def turned(boxes, matrix, side):
    """Boxes after the matrix: those still seen, and those of which too little is left."""
    if len(boxes) == 0:
        return boxes, boxes
    corners = boxes[:, [0, 1, 2, 1, 2, 3, 0, 3]].reshape(-1, 4, 2) @ matrix[:, :2].T + matrix[:, 2]
    low, high = corners.min(1), corners.max(1)
    whole = (high - low).prod(1)
    low, high = low.clip(0, side), high.clip(0, side)
    size = high - low
    found = numpy.concatenate([low, high], 1).astype("f4")
    seen = (size.min(1) >= 3) & (size.prod(1) >= 0.35 * whole)
    partly = ~seen & (size.min(1) >= 1)
    return found[seen], found[partly]


def light(random, pixels):
    """Other lamps, infrared, another camera, dirt on the lens, another encoder."""
    picture = pixels.astype("f4")
    if random.random() < 0.35:  # Infrared: one channel, pigs bright, edges of the picture dark.
        weights = random.dirichlet((2, 2, 2))
        picture = numpy.repeat((picture @ weights)[..., None], 3, 2)
        if random.random() < 0.6:
            y, x = numpy.mgrid[-1 : 1 : picture.shape[0] * 1j, -1 : 1 : picture.shape[1] * 1j]
            centre = random.uniform(-0.5, 0.5, 2)
            picture *= (1 - random.uniform(0, 0.6) * ((x - centre[0]) ** 2 + (y - centre[1]) ** 2))[..., None].clip(0.15)
    else:
        picture *= 1 + random.normal(0, 0.1, 3)
        grey = picture.mean(2, keepdims=True)
        picture = grey + (picture - grey) * random.uniform(0.3, 1.4)
    picture = 255 * (picture.clip(0, 255) / 255) ** random.uniform(0.6, 1.6)
    picture = (picture - 128) * random.uniform(0.55, 1.3) + 128 + random.uniform(-35, 35)
    if random.random() < 0.3:
        picture = cv2.GaussianBlur(picture, (0, 0), random.uniform(0.4, 1.6))
    if random.random() < 0.5:
        picture += random.normal(0, random.uniform(1, 9), picture.shape)
    picture = picture.clip(0, 255).astype("u1")
    if random.random() < 0.4:
        encoded = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, int(random.integers(25, 85))])[1]
        picture = cv2.imdecode(encoded, cv2.IMREAD_COLOR)
    return picture


def mosaic(random, pictures, side):
    """Four pictures in one: pigs are smaller and more, and their surroundings are other pens."""
    canvas = numpy.full((2 * side, 2 * side, 3), GREY, "u1")
    boxes, hidden = [numpy.zeros((0, 4), "f4")], [numpy.zeros((0, 4), "f4")]
    for number, (pixels, its_boxes, its_hidden) in enumerate(pictures):
        square, scale, offset = letterbox(pixels, side)
        shift = numpy.array(offset) + (side * (number % 2), side * (number // 2))
        canvas[side * (number // 2) :][:side, side * (number % 2) :][:, :side] = square
        boxes.append(its_boxes * scale + numpy.tile(shift, 2))
        hidden.append(its_hidden * scale + numpy.tile(shift, 2))
    return canvas, numpy.concatenate(boxes).astype("f4"), numpy.concatenate(hidden).astype("f4")
