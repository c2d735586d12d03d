"""What the network learns from: which place answers for which pig, and how wrong it is.

Assignment: task alignment (TOOD, Feng et al. 2021) with the constants of YOLOv8. Losses: binary cross entropy against the
aligned IoU, complete IoU (Zheng et al. 2020), distribution focal loss (Li et al. 2020).
"""

import torch
from torch.nn import functional

from .network import BINS, boxes_of

TOP = 10
SCORE_POWER, IOU_POWER = 0.5, 6.0
BOX_WEIGHT, SCORE_WEIGHT, DISTRIBUTION_WEIGHT = 7.5, 0.5, 1.5


def overlap(one, other, complete=False):
    """IoU of boxes (left, top, right, bottom) that broadcast; complete: less their distance and their shapes' difference."""
    low, high = torch.maximum(one[..., :2], other[..., :2]), torch.minimum(one[..., 2:], other[..., 2:])
    common = (high - low).clamp(min=0).prod(-1)
    size, other_size = one[..., 2:] - one[..., :2], other[..., 2:] - other[..., :2]
    union = size.clamp(min=0).prod(-1) + other_size.clamp(min=0).prod(-1) - common
    iou = common / (union + 1e-7)
    if not complete:
        return iou
    hull = torch.maximum(one[..., 2:], other[..., 2:]) - torch.minimum(one[..., :2], other[..., :2])
    diagonal = hull.square().sum(-1) + 1e-7
    distance = (one[..., :2] + one[..., 2:] - other[..., :2] - other[..., 2:]).square().sum(-1) / 4
    turn = torch.atan(size[..., 0] / (size[..., 1] + 1e-7)) - torch.atan(other_size[..., 0] / (other_size[..., 1] + 1e-7))
    shape = 4 / torch.pi**2 * turn.square()
    weight = shape / (1 - iou + shape + 1e-7)
    return iou - distance / diagonal - weight.detach() * shape


@torch.no_grad()
def assign(scores, boxes, at, truth):
    """Of each place the number of its pig, or -1, and the score it should have. Scores P, boxes P x 4, truth G x 4."""
    aims, targets = torch.full((len(at),), -1), torch.zeros(len(at))
    if len(truth) == 0:
        return aims, targets
    centre = at[:, None, :2]
    inside = ((centre > truth[None, :, :2]) & (centre < truth[None, :, 2:])).all(-1)
    iou = overlap(boxes[:, None], truth[None]).clamp(min=0)
    alignment = (scores.sigmoid()[:, None] ** SCORE_POWER * iou**IOU_POWER) * inside
    best = alignment.topk(min(TOP, len(at)), 0).indices
    chosen = torch.zeros_like(inside).scatter_(0, best, True) & inside
    # A place in two pigs answers for the one it fits better.
    ranked = torch.where(chosen, iou, -1.0)
    value, owner = ranked.max(1)
    mine = value >= 0
    aims[mine] = owner[mine]
    kept = torch.zeros_like(chosen)
    kept[mine, owner[mine]] = True
    alignment, iou = alignment * kept, iou * kept
    scaled = alignment / (alignment.amax(0) + 1e-9) * iou.amax(0)
    targets[mine] = scaled[mine, owner[mine]]
    return aims, targets


def loss(outputs, at, truths, ignored):
    """Of a batch. `outputs` N x P x (1 + 4 * BINS); of each picture the boxes and those that are not trained on."""
    scores, boxes = outputs[..., 0], boxes_of(outputs, at)
    targets, positive, aimed = torch.zeros_like(scores), [], []
    counts = torch.ones_like(scores)
    for number, (truth, hidden) in enumerate(zip(truths, ignored)):
        aims, target = assign(scores[number].detach(), boxes[number].detach(), at, truth)
        targets[number] = target
        mine = aims >= 0
        positive.append(mine)
        aimed.append(truth[aims[mine]])
        if len(hidden):
            centre = at[:, None, :2]
            within = ((centre > hidden[None, :, :2]) & (centre < hidden[None, :, 2:])).all(-1).any(1)
            counts[number][within & ~mine] = 0
    mine, aimed = torch.stack(positive), torch.cat(aimed)
    total = targets.sum().clamp(min=1)
    score_loss = (functional.binary_cross_entropy_with_logits(scores, targets, reduction="none") * counts).sum() / total
    if not mine.any():
        return SCORE_WEIGHT * score_loss
    weight = targets[mine]
    box_loss = ((1 - overlap(boxes[mine], aimed, complete=True)) * weight).sum() / total
    place = at.expand(len(outputs), -1, -1)[mine]
    distances = torch.cat([place[:, :2] - aimed[:, :2], aimed[:, 2:] - place[:, :2]], 1) / place[:, 2:]
    distances = distances.clamp(0, BINS - 1.01)
    low = distances.long()
    logits = outputs[..., -4 * BINS :][mine].reshape(-1, BINS)
    share = (distances - low).reshape(-1)
    low = low.reshape(-1)
    entropy = functional.cross_entropy(logits, low, reduction="none") * (1 - share)
    entropy = entropy + functional.cross_entropy(logits, low + 1, reduction="none") * share
    distribution_loss = (entropy.reshape(-1, 4).mean(1) * weight).sum() / total
    return SCORE_WEIGHT * score_loss + BOX_WEIGHT * box_loss + DISTRIBUTION_WEIGHT * distribution_loss
