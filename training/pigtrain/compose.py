"""Crowded pens out of single pigs: cut out along their outlines, turned, scaled, shaded and laid on many floors.

A scene is drawn from above, with the number of the pig on top at each px beside it; both are then seen in perspective,
so that boxes are the extent of what is visible.
"""

import cv2
import numpy

# A pig of which less is visible is neither a pig nor floor: its place is not trained on.
LEAST_VISIBLE = 0.35


class Cutouts:
    """Pigs with an alpha channel, their length along x."""

    def __init__(self, pictures):
        self.pigs = []
        for picture in pictures:
            for outline in picture.outlines:
                pig = cut(picture.pixels, outline)
                if pig is not None:
                    self.pigs.append(pig)

    def litter(self, random):
        """The pigs of one scene. Pigs of one pen mostly look alike, so only their shape separates them."""
        if random.random() < 0.3:
            return self.pigs
        # Neighbours in the list are of one picture, or of one camera.
        first = random.integers(len(self.pigs))
        return [self.pigs[(first + number) % len(self.pigs)] for number in range(int(random.integers(4, 25)))]


def cut(pixels, outline):
    if (outline < 3).any() or (outline > numpy.array(pixels.shape[1::-1]) - 4).any():
        return None  # The picture's edge cuts it.
    (x, y), (w, h), angle = cv2.minAreaRect(outline)
    if w < h:
        w, h, angle = h, w, angle + 90
    if h < 12 or not 1.3 * h < w < 4.5 * h:
        return None  # A part of a pig.
    mask = numpy.zeros(pixels.shape[:2], "u1")
    cv2.fillPoly(mask, [outline.round().astype("i4")], 255)
    # One px less, and a soft edge: no floor comes along.
    mask = cv2.GaussianBlur(cv2.erode(mask, numpy.ones((3, 3), "u1")), (3, 3), 0)
    size = (int(w) + 6, int(h) + 6)
    turn = cv2.getRotationMatrix2D((x, y), angle, 1)
    turn[:, 2] += (size[0] / 2 - x, size[1] / 2 - y)
    return cv2.warpAffine(numpy.dstack([pixels, mask]), turn, size, flags=cv2.INTER_CUBIC)


def noise(random, height, width, cell):
    """Smooth noise from -1 to 1 with a feature size of about `cell` px."""
    small = random.uniform(-1, 1, (max(2, int(height / cell) + 2), max(2, int(width / cell) + 2))).astype("f4")
    return cv2.resize(small, (width, height), interpolation=cv2.INTER_CUBIC)


def floor(random, height, width):
    """Concrete, slats, mesh or straw."""
    colour = numpy.array(random.choice([(90, 95, 100), (60, 65, 75), (120, 130, 135), (70, 100, 60), (110, 120, 90), (40, 45, 60)]), "f4")
    ground = colour * random.uniform(0.5, 1.4) + random.uniform(-12, 12, 3)
    ground = ground + 18 * noise(random, height, width, 60)[..., None] + 10 * noise(random, height, width, 6)[..., None]
    kind = random.integers(4)
    if kind in (0, 1):
        pitch, gap = random.uniform(8, 30), random.uniform(0.15, 0.5)
        y, x = numpy.mgrid[:height, :width].astype("f4")
        dark = (y / pitch) % 1 < gap
        if kind == 1:  # Slats with bridges, or a mesh.
            dark &= (x / (pitch * random.uniform(1, 6))) % 1 < random.uniform(0.6, 0.9)
        ground = numpy.where(dark[..., None], ground * random.uniform(0.15, 0.6), ground)
    elif kind == 2:
        for _ in range(random.integers(100, 900)):
            start = random.uniform((0, 0), (width, height))
            end = start + random.normal(0, 12, 2)
            shade = numpy.array((90, 150, 180)) * random.uniform(0.5, 1.2)
            cv2.line(ground, tuple(start.astype(int).tolist()), tuple(end.astype(int).tolist()), shade.tolist(), 1, cv2.LINE_AA)
    for _ in range(random.integers(0, 8)):  # Wet and dirty places.
        place, size = random.uniform((0, 0), (width, height)).astype(int), random.uniform(10, 120, 2).astype(int)
        patch = numpy.zeros((height, width), "f4")
        cv2.ellipse(patch, tuple(place.tolist()), tuple(size.tolist()), random.uniform(0, 180), 0, 360, 1, -1)
        patch = cv2.GaussianBlur(patch, (0, 0), random.uniform(2, 20))
        ground = ground * (1 + patch[..., None] * random.uniform(-0.5, 0.25))
    return numpy.clip(ground, 0, 255).astype("u1")


def furniture(random, canvas, owner):
    """Draws objects that aren't pigs: walls, feeders, pipes, balls, and bars in front of the pigs. They occlude what is below them."""
    height, width = canvas.shape[:2]
    for _ in range(random.integers(0, 5)):
        kind, shade = random.integers(6), random.uniform(20, 235, 3)
        if random.random() < 0.5:
            shade = numpy.full(3, shade.mean())
        if kind == 4:
            ball(random, canvas, owner)
            continue
        if kind == 5:
            person(random, canvas, owner)
            continue
        mask = numpy.zeros((height, width), "u1")
        place = random.uniform((0, 0), (width, height)).astype(int)
        if kind == 0:  # A feeder: round.
            size = int(random.uniform(10, 70))
            cv2.circle(mask, tuple(place.tolist()), size, 255, -1, cv2.LINE_AA)
        elif kind == 1:  # A bar or a pipe.
            end = random.uniform((0, 0), (width, height)).astype(int)
            cv2.line(mask, tuple(place.tolist()), tuple(end.tolist()), 255, int(random.integers(2, 14)), cv2.LINE_AA)
        elif kind == 2:  # A wall along an edge.
            depth = int(random.uniform(10, 90))
            side = random.integers(4)
            mask[[slice(0, depth), slice(height - depth, height), slice(None), slice(None)][side],
                 [slice(None), slice(None), slice(0, depth), slice(width - depth, width)][side]] = 255
        else:  # A trough.
            box = cv2.boxPoints((tuple(place.tolist()), tuple(random.uniform(20, 160, 2).tolist()), random.choice([0, 90, random.uniform(0, 90)])))
            cv2.fillPoly(mask, [box.astype("i4")], 255)
        light = 1 + 0.3 * noise(random, height, width, 40)[..., None]
        alpha = mask[..., None] / 255
        canvas[:] = numpy.clip(canvas * (1 - alpha) + shade * light * alpha, 0, 255)
        owner[mask > 127] = 0


def cover(canvas, owner, mask, colour):
    """Draws an object over the canvas. `mask` holds bytes, `colour` broadcasts over the canvas."""
    alpha = mask[..., None] / numpy.float32(255)
    canvas[:] = numpy.clip(canvas * (1 - alpha) + colour * alpha, 0, 255)
    owner[mask > 127] = 0


def ball(random, canvas, owner):
    """A toy, lit from one side, often with a highlight, often the colour of a pig."""
    height, width = canvas.shape[:2]
    centre, size = random.uniform((0, 0), (width, height)), random.uniform(10, 60)
    colour = numpy.array([(40, 200, 230), (150, 160, 215), (200, 200, 200), (60, 60, 200), (200, 120, 50), random.uniform(20, 235, 3)][random.integers(6)])
    axes = (size, size * random.uniform(0.6, 1))
    mask = numpy.zeros((height, width), "u1")
    cv2.ellipse(mask, tuple(centre.astype(int).tolist()), tuple(int(a) for a in axes), random.uniform(0, 180), 0, 360, 255, -1, cv2.LINE_AA)
    y, x = numpy.mgrid[:height, :width].astype("f4")
    lamp = centre + random.uniform(-0.5, 0.5, 2) * size
    away = ((x - lamp[0]) ** 2 + (y - lamp[1]) ** 2) / size**2
    light = random.uniform(0.9, 1.25) - random.uniform(0.1, 0.4) * away
    glint = random.choice([0, 160]) * numpy.exp(-away / random.uniform(0.01, 0.06))
    cover(canvas, owner, mask, colour * light[..., None] + glint[..., None])


def person(random, canvas, owner):
    """A person in overalls, seen obliquely from above: legs and boots, a body, arms, a head."""
    height, width = canvas.shape[:2]
    hip, size, angle = random.uniform((0, 0), (width, height)), random.uniform(50, 170), random.uniform(0, 2 * numpy.pi)
    up, aside = numpy.array((numpy.cos(angle), numpy.sin(angle))) * size, numpy.array((-numpy.sin(angle), numpy.cos(angle))) * size
    overall = numpy.array([(120, 70, 30), (60, 90, 40), (40, 40, 45), (200, 200, 205), random.uniform(20, 220, 3)][random.integers(5)])
    folds = (1 + 0.25 * noise(random, height, width, 25))[..., None]

    def limb(start, end, thick, colour):
        mask = numpy.zeros((height, width), "u1")
        cv2.line(mask, tuple(start.astype(int).tolist()), tuple(end.astype(int).tolist()), 255, max(2, int(thick * size)), cv2.LINE_AA)
        cover(canvas, owner, mask, colour * folds)

    shoulders = hip + up * random.uniform(0.3, 0.6)
    for hand in (-1, 1):
        foot = hip - up * random.uniform(0.2, 0.6) + aside * hand * random.uniform(0.08, 0.25)
        limb(hip + aside * hand * 0.1, foot, 0.18, overall * 0.9)
        limb(foot, foot + up * random.uniform(-0.1, 0.1), 0.17, numpy.full(3, random.uniform(15, 90)))
        reach = shoulders + up * random.uniform(-0.5, 0.3) + aside * hand * random.uniform(0.2, 0.45)
        limb(shoulders + aside * hand * 0.2, reach, 0.13, overall * 1.05)
        limb(reach, reach + up * 0.03, 0.11, numpy.array((130, 160, 205)))
    limb(hip, shoulders, random.uniform(0.35, 0.5), overall)
    head = numpy.array([(130, 160, 205), (30, 35, 45), (200, 200, 205), (120, 70, 30)][random.integers(4)])
    limb(shoulders + up * 0.15, shoulders + up * 0.18, 0.24, head)


def sprayed(random, pig):
    """A pig with spray marks on its back: stripes, rings, a number."""
    height, width = pig.shape[:2]
    colour = numpy.array([(60, 60, 200), (200, 80, 40), (70, 170, 60), (40, 40, 45), (150, 60, 160)][random.integers(5)], "f4")
    marks = numpy.zeros((height, width), "u1")
    thick = max(1, int(height * random.uniform(0.06, 0.2)))
    kind, x = random.integers(4), int(random.uniform(0.25, 0.75) * width)
    if kind == 0:
        for number in range(int(random.integers(1, 4))):
            cv2.line(marks, (x + 2 * thick * number, 0), (x + 2 * thick * number + int(random.normal(0, 3)), height), 255, thick, cv2.LINE_AA)
    elif kind == 1:
        cv2.line(marks, (int(0.2 * width), height // 2), (int(random.uniform(0.5, 0.85) * width), height // 2), 255, thick, cv2.LINE_AA)
    elif kind == 2:
        cv2.circle(marks, (x, height // 2), max(2, height // 4), 255, thick, cv2.LINE_AA)
    else:
        cv2.putText(marks, str(random.integers(100)), (int(0.3 * width), int(0.7 * height)), cv2.FONT_HERSHEY_SIMPLEX, height / 50, 255, thick, cv2.LINE_AA)
    alpha = marks[..., None] / numpy.float32(255) * random.uniform(0.4, 0.9)
    return numpy.dstack([(pig[..., :3] * (1 - alpha) + colour * alpha).astype("u1"), pig[..., 3]])


class Coats:
    """The appearance of the pigs of one scene: nearly the same, or each with its own shade."""

    def __init__(self, random):
        self.spread = random.choice([0.03, 0.08, 0.25])
        self.gain, self.tint = random.uniform(0.75, 1.2), random.uniform(-0.1, 0.1) * numpy.array((1, 0.6, -1))
        self.shadow, self.sprayed = random.uniform(0.1, 0.6), random.choice([0, 0, 0.2, 0.8])

    def shade(self, random):
        return (1 + self.tint + random.uniform(-0.03, 0.03, 3)) * self.gain * (1 + random.uniform(-self.spread, self.spread))


def paste(canvas, owner, number, pig, centre, angle, length, coats, random):
    """Draws a pig and returns the number of px that it covers, 0 if it lies outside."""
    height, width = canvas.shape[:2]
    scale = length / pig.shape[1]
    thick = scale * random.uniform(0.8, 1.25)
    flip = random.choice([-1, 1])
    cosine, sine = numpy.cos(angle), numpy.sin(angle)
    turn = numpy.array([[cosine * scale, -sine * thick * flip], [sine * scale, cosine * thick * flip]])
    matrix = numpy.c_[turn, centre - turn @ (pig.shape[1] / 2, pig.shape[0] / 2)]
    reach = int(length * 0.8) + 4
    left, top = numpy.maximum(0, (centre - reach).astype(int))
    right, bottom = min(width, int(centre[0]) + reach), min(height, int(centre[1]) + reach)
    if right - left < 4 or bottom - top < 4:
        return 0
    matrix[:, 2] -= (left, top)
    laid = cv2.warpAffine(pig, matrix, (right - left, bottom - top), flags=cv2.INTER_LINEAR)
    alpha = laid[..., 3:] / numpy.float32(255)
    part = canvas[top:bottom, left:right]
    # The shadow below it: it parts pigs that lie side by side.
    shadow = cv2.GaussianBlur(alpha, (0, 0), max(1.0, length / 30))
    shadow = numpy.roll(shadow, random.integers(-3, 4, 2), (0, 1))[..., None]
    part[:] = part * (1 - coats.shadow * shadow * (1 - alpha))
    # A round body: lamps lighten one side of it; skin is white, pink, grey or dirty.
    x, y = numpy.meshgrid(numpy.arange(right - left) - (centre[0] - left), numpy.arange(bottom - top) - (centre[1] - top))
    across = (x * -sine + y * cosine) / (0.2 * length)
    body = 1 + random.uniform(-0.25, 0.25) * numpy.clip(across, -1, 1) - random.uniform(0, 0.2) * numpy.clip(across**2, 0, 1)
    coat = laid[..., :3] * (body[..., None] * coats.shade(random))
    part[:] = numpy.clip(part * (1 - alpha) + coat * alpha, 0, 255)
    covered = alpha[..., 0] > 0.5
    owner[top:bottom, left:right][covered] = number
    return int(covered.sum())


def herd(random, height, width, most):
    """Positions, directions and lengths: pigs stand apart, or lie in rows, side by side, over one another."""
    count = int(random.choice([random.integers(0, 6), random.integers(4, 16), random.integers(14, most + 1), random.integers(14, most + 1)]))
    # A full pen is seen whole: the more pigs, the smaller each.
    if count < 6:
        length = numpy.exp(random.uniform(*numpy.log((60, 380))))
    elif count < 12:
        length = random.uniform(70, 220)
    else:
        length = random.uniform(0.8, 1.25) * 620 / numpy.sqrt(count)
    found = []
    while len(found) < count:
        centre = random.uniform((0.05 * width, 0.05 * height), (0.95 * width, 0.95 * height))
        angle, row = random.uniform(0, 2 * numpy.pi), int(random.choice([1, 1, 2, 4, 7]))
        for number in range(min(row, count - len(found))):
            aside = numpy.array((-numpy.sin(angle), numpy.cos(angle))) * number * length * random.uniform(0.24, 0.4)
            along = numpy.array((numpy.cos(angle), numpy.sin(angle))) * random.normal(0, 0.15) * length
            turned = angle + random.normal(0, 0.2) + (numpy.pi if random.random() < 0.3 else 0)
            found.append((centre + aside + along, turned, length * random.uniform(0.75, 1.2)))
    # What is nearer to the camera hides what is behind it.
    return sorted(found, key=lambda pig: pig[0][1])


def look(random, canvas, owner):
    """The view of a camera."""
    height, width = canvas.shape[:2]
    corners = numpy.array([(0, 0), (width, 0), (width, height), (0, height)], "f4")
    tilt = random.uniform(0, 0.55)
    seen = corners.copy()
    seen[:2, 0] += (tilt * width / 2, -tilt * width / 2)
    # The floor is foreshortened; pigs, which have a height, less than it would be.
    seen[:2, 1] += tilt * height * random.uniform(0, 0.55)
    seen += random.uniform(-0.08, 0.08, (4, 2)) * (width, height)
    # Grown about its middle so that little lies outside.
    seen = (seen - seen.mean(0)) * (1 + 0.6 * tilt + 0.05) + seen.mean(0)
    matrix = cv2.getPerspectiveTransform(corners, seen.astype("f4"))
    canvas = cv2.warpPerspective(canvas, matrix, (width, height), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT)
    owner = cv2.warpPerspective(owner, matrix, (width, height), flags=cv2.INTER_NEAREST)
    if random.random() < 0.3:  # A wide lens: straight things bend outwards.
        y, x = numpy.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j].astype("f4")
        bend = 1 + random.uniform(0.05, 0.3) * (x**2 + y**2 - 1)
        x, y = (x * bend + 1) * (width - 1) / 2, (y * bend + 1) * (height - 1) / 2
        canvas = cv2.remap(canvas, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT)
        owner = cv2.remap(owner, x, y, cv2.INTER_NEAREST)
    if random.random() < 0.35:  # The barn outside the pen blacked out.
        middles = (corners + numpy.roll(corners, -1, 0)) / 2
        polygon = numpy.stack([corners, middles], 1).reshape(-1, 2)
        polygon += random.uniform(-0.02, 0.28, (8, 1)) * ((width / 2, height / 2) - polygon)
        inside = numpy.zeros((height, width), "u1")
        cv2.fillPoly(inside, [polygon.astype("i4")], 1)
        canvas, owner = canvas * inside[..., None], owner * inside
    return canvas, owner


def scene(random, cutouts, grounds, size=(480, 640), most=40):
    """An image, the boxes of its pigs, and the boxes of pigs too occluded to be counted."""
    height, width = size
    if grounds and random.random() < 0.35:
        canvas = grounds[random.integers(len(grounds))].astype("f4")
        canvas = cv2.resize(canvas, (width, height))
    else:
        canvas = floor(random, height, width).astype("f4")
    owner = numpy.zeros((height, width), "u1")
    areas = {}
    litter, coats = cutouts.litter(random), Coats(random)
    for number, (centre, angle, length) in enumerate(herd(random, height, width, most), 1):
        pig = litter[random.integers(len(litter))]
        if random.random() < coats.sprayed:
            pig = sprayed(random, pig)
        areas[number] = paste(canvas, owner, number, pig, centre, angle, length, coats, random)
    furniture(random, canvas, owner)
    canvas *= 1 + random.uniform(0, 0.45) * noise(random, height, width, random.uniform(120, 500))[..., None]
    before = numpy.bincount(owner.ravel(), minlength=256)
    canvas, owner = look(random, numpy.clip(canvas, 0, 255).astype("u1"), owner)
    after = numpy.bincount(owner.ravel(), minlength=256)
    boxes, hidden = [], []
    for number, area in areas.items():
        if after[number] == 0:
            continue
        # Perspective changes areas: what counts is how much of it was left before, and is left at the edges now.
        visible = before[number] / max(1, area)
        rows_, columns = numpy.flatnonzero((owner == number).any(1)), numpy.flatnonzero((owner == number).any(0))
        box = (columns[0], rows_[0], columns[-1] + 1, rows_[-1] + 1)
        keeps = visible >= LEAST_VISIBLE and after[number] >= 0.3 * before[number] and after[number] >= 80
        (boxes if keeps else hidden).append(box)
    return canvas, numpy.array(boxes, "f4").reshape(-1, 4), numpy.array(hidden, "f4").reshape(-1, 4)


def emptied(picture, random):
    """The floor of the image without its pigs: each box is filled from beside it. `None` if there is no room."""
    mask = numpy.zeros(picture.pixels.shape[:2], "u1")
    for box in picture.boxes.astype(int):
        cv2.rectangle(mask, tuple((box[:2] - 4).tolist()), tuple((box[2:] + 4).tolist()), 255, -1)
    if mask.mean() > 0.35 * 255:
        return None
    small = cv2.resize(picture.pixels, None, fx=0.5, fy=0.5), cv2.resize(mask, None, fx=0.5, fy=0.5)
    filled = cv2.inpaint(*small, 5, cv2.INPAINT_TELEA)
    return cv2.resize(filled, picture.pixels.shape[1::-1])
