"""k-means over several sets of points at once, with nothing left to chance."""

import torch

_ROUNDS = 10


def medoids(points: torch.Tensor, valid: torch.Tensor, counts: torch.Tensor) -> torch.Tensor:
    """For each of B sets, the points nearest to the centres of its clusters.

    `points` (B, N, F), of which `valid` (B, N) bool are there; `counts` (B,) clusters are
    sought in each set. Returns (B, N) bool: at most `counts` points a set, fewer where points
    coincide. Centres begin far from each other (Gonzalez 1985) and settle by Lloyd's rounds.
    """
    most = int(counts.amax()) if len(counts) else 0
    chosen = torch.zeros_like(valid)
    if most == 0:
        return chosen
    exists = torch.arange(most, device=points.device) < counts[:, None]
    centres = _far_apart(points, valid, most)
    for _ in range(_ROUNDS):
        members = _members(points, valid, centres, exists)
        sizes = members.sum(dim=1)
        means = members.transpose(1, 2) @ points / sizes.clamp(min=1)[:, :, None]
        centres = torch.where((sizes > 0)[:, :, None], means, centres)
    distances = torch.cdist(points, centres)
    members = _members(points, valid, centres, exists)
    nearest = distances.masked_fill(members == 0, torch.inf).argmin(dim=1)
    return chosen.scatter_add_(1, nearest, members.any(dim=1))


def nearest(points: torch.Tensor, known: torch.Tensor) -> torch.Tensor:
    """For each point the nearest known one: (B, N, F), (B, N) bool -> (B, N) int64."""
    indices = torch.zeros(points.shape[:2], dtype=torch.int64, device=points.device)
    for index, (some, there) in enumerate(zip(points, known, strict=True)):
        places = there.nonzero()[:, 0]
        if len(places):
            indices[index] = places[torch.cdist(some, some[places]).argmin(dim=1)]
    return indices


def _far_apart(points: torch.Tensor, valid: torch.Tensor, count: int) -> torch.Tensor:
    """(B, count, F): first the point nearest to the mean, then always the one farthest from all."""
    there = valid[:, :, None].to(points.dtype)
    mean = (points * there).sum(dim=1) / there.sum(dim=1).clamp(min=1)
    sets = torch.arange(len(points), device=points.device)
    apart = (points - mean[:, None]).square().sum(dim=2)
    index = apart.masked_fill(~valid, torch.inf).argmin(dim=1)
    centres = [points[sets, index]]
    reach = torch.full_like(apart, torch.inf).masked_fill(~valid, -1.0)
    for _ in range(count - 1):
        apart = (points - centres[-1][:, None]).square().sum(dim=2)
        reach = torch.minimum(reach, apart)
        centres.append(points[sets, reach.argmax(dim=1)])
    return torch.stack(centres, dim=1)


def _members(
    points: torch.Tensor, valid: torch.Tensor, centres: torch.Tensor, exists: torch.Tensor
) -> torch.Tensor:
    """Which centre each point is nearest to, (B, N, K) of 0 and 1; of equals the first."""
    distances = torch.cdist(points, centres).masked_fill(~exists[:, None], torch.inf)
    own = torch.nn.functional.one_hot(distances.argmin(dim=2), centres.shape[1])
    return own.to(points.dtype) * valid[:, :, None] * exists[:, None]
