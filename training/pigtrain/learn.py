"""Assignment of anchors to pigs, and the loss.

Assignment: task alignment (TOOD, Feng et al. 2021) with the constants of YOLOv8. Losses: binary cross entropy against the
aligned IoU, complete IoU (Zheng et al. 2020), distribution focal loss (Li et al. 2020).
"""

import torch
from torch.nn import functional

from .network import BINS, boxes_of
from .pool import HIDDEN, PIG

TOP = 10
SCORE_POWER, IOU_POWER = 0.5, 6.0
BOX_WEIGHT, SCORE_WEIGHT, DISTRIBUTION_WEIGHT = 7.5, 0.5, 1.5


def overlap(one, other, complete=False):
    """IoU of broadcast boxes (left, top, right, bottom). `complete`: minus the penalties for distance and aspect ratio (CIoU)."""
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
def assign(scores, boxes, at, truth, is_pig):
    """The pig of each anchor, or -1, and its target score.

    Scores N x P, boxes N x P x 4, truth N x G x 4, is_pig N x G; all pictures of a batch at once.
    """
    centre = at[None, :, None, :2]
    inside = ((centre > truth[:, None, :, :2]) & (centre < truth[:, None, :, 2:])).all(-1) & is_pig[:, None]
    iou = overlap(boxes[:, :, None], truth[:, None]).clamp(min=0)
    alignment = scores.sigmoid()[:, :, None] ** SCORE_POWER * iou**IOU_POWER * inside
    best = alignment.topk(min(TOP, len(at)), 1).indices
    chosen = torch.zeros_like(inside).scatter_(1, best, True) & inside
    # A place in two pigs answers for the one it fits better.
    value, owner = torch.where(chosen, iou, -1.0).max(2)
    mine = value >= 0
    kept = torch.zeros_like(chosen).scatter_(2, owner[..., None], True) & mine[..., None]
    alignment, iou = alignment * kept, iou * kept
    scaled = alignment / (alignment.amax(1, keepdim=True) + 1e-9) * iou.amax(1, keepdim=True)
    targets = torch.where(mine, scaled.gather(2, owner[..., None])[..., 0], 0.0)
    return torch.where(mine, owner, -1), targets


def loss(outputs, at, truths, states):
    """The loss of a batch. `outputs`: N x P x (1 + 4 * BINS); boxes: N x G x 4, px; classes as in `pool`."""
    scores, boxes = outputs[..., 0], boxes_of(outputs, at)
    aims, targets = assign(scores.detach(), boxes.detach(), at, truths, states == PIG)
    mine = aims >= 0
    centre = at[None, :, None, :2]
    within = ((centre > truths[:, None, :, :2]) & (centre < truths[:, None, :, 2:])).all(-1)
    ignored = (within & (states == HIDDEN)[:, None]).any(2) & ~mine
    total = targets.sum().clamp(min=1)
    entropy = functional.binary_cross_entropy_with_logits(scores, targets, reduction="none")
    score_loss = (entropy * ~ignored).sum() / total
    place = at.expand(len(outputs), -1, -1)[mine]
    aimed = truths.gather(1, aims.clamp(min=0)[..., None].expand(-1, -1, 4))[mine]
    weight = targets[mine]
    box_loss = ((1 - overlap(boxes[mine], aimed, complete=True)) * weight).sum() / total
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
