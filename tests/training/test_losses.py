import math

import pytest
import torch
import torchvision
from torch.nn import functional

from training.losses import Loss, class_weights, mixed


def test_logit_adjustment_by_hand() -> None:
    logits, labels = torch.tensor([[1.0, 2.0]]), torch.tensor([0])
    # Frequencies 3/4 and 1/4: the logits become 1 + ln ¾ and 2 + ln ¼.
    first, second = 1 + math.log(0.75), 2 + math.log(0.25)
    expected = math.log(math.exp(first) + math.exp(second)) - first
    assert Loss(1.0, label_smoothing=0.0)(logits, labels, (30, 10)).item() == pytest.approx(
        expected
    )


def test_tau_scales_the_adjustment_and_zero_is_plain() -> None:
    logits = torch.randn(6, 3, generator=torch.Generator().manual_seed(0))
    labels, counts = torch.arange(6) % 3, (1, 5, 9)
    plain = functional.cross_entropy(logits, labels)
    assert Loss()(logits, labels, counts).item() == pytest.approx(plain.item())
    doubled = functional.cross_entropy(logits + 2 * (torch.tensor([1, 5, 9]) / 15).log(), labels)
    assert Loss(2.0)(logits, labels, counts).item() == pytest.approx(doubled.item())


def test_rare_class_pays_more_for_the_same_logits() -> None:
    logits = torch.zeros(1, 2)
    rare = Loss(1.0, label_smoothing=0.0)(logits, torch.tensor([1]), (99, 1))
    frequent = Loss(1.0, label_smoothing=0.0)(logits, torch.tensor([0]), (99, 1))
    assert rare.item() == pytest.approx(-math.log(0.01), rel=1e-4)
    assert frequent.item() == pytest.approx(-math.log(0.99), rel=1e-4)


def test_label_smoothing_by_hand() -> None:
    logits, labels = torch.tensor([[0.0, math.log(3.0)]]), torch.tensor([1])
    # p = (¼, ¾); with ε = 0.2 the target is (0.1, 0.9).
    expected = -0.1 * math.log(0.25) - 0.9 * math.log(0.75)
    assert Loss(1.0, label_smoothing=0.2)(logits, labels, (1, 1)).item() == pytest.approx(expected)


def test_focal_by_hand() -> None:
    logits, labels = torch.tensor([[0.0, math.log(3.0)]]), torch.tensor([1])
    # p = 3/4: (1/4)² · -ln 3/4.
    assert Loss(focal=2.0)(logits, labels, (1, 1)).item() == pytest.approx(-math.log(0.75) / 16)


def test_focal_of_two_classes_is_torchvisions_sigmoid_focal_loss() -> None:
    one = torch.randn(9, generator=torch.Generator().manual_seed(0))
    labels = torch.arange(9) % 2
    theirs = torchvision.ops.sigmoid_focal_loss(
        one, labels.float(), alpha=-1, gamma=1.5, reduction="mean"
    )
    ours = Loss(focal=1.5)(torch.stack([torch.zeros(9), one], dim=1), labels, (1, 1))
    assert ours.item() == pytest.approx(theirs.item(), rel=1e-5)


def test_class_weights_by_hand() -> None:
    # β = 1/2: effective numbers of 1 and 2 crops are 1 and 3/2; weights go as 1 : 2/3, and three
    # crops together weigh 3.
    assert class_weights(torch.tensor([1.0, 2.0]), 0.5).tolist() == pytest.approx([9 / 7, 6 / 7])


def test_class_weights_go_from_equal_to_inverse_frequency() -> None:
    counts = torch.tensor([100.0, 300.0])
    assert class_weights(counts, 1e-9).tolist() == pytest.approx([1, 1])
    # β → 1: each class weighs the same in all.
    assert class_weights(counts, 1 - 1e-9).tolist() == pytest.approx([2, 2 / 3], rel=1e-5)


def test_class_balanced_loss_weighs_by_class() -> None:
    logits, labels = torch.zeros(2, 2), torch.tensor([0, 1])
    # Both losses are ln 2; 9/7 and 6/7 as above, over two crops.
    assert Loss(class_balanced=0.5)(logits, labels, (1, 2)).item() == pytest.approx(
        math.log(2) * (9 / 7 + 6 / 7) / 2
    )


def test_mixup_is_linear_in_images_and_names_the_crops_laid_over() -> None:
    torch.manual_seed(3)
    images, labels = torch.arange(6.0)[:, None] ** 2, torch.arange(6)
    blend, others, share = mixed(images, labels, 0.4)
    assert 0 <= share <= 1
    assert sorted(others.tolist()) == list(range(6))
    assert torch.allclose(blend, share * images + (1 - share) * others[:, None].float() ** 2)


def test_mixup_draws_the_share_from_a_beta() -> None:
    torch.manual_seed(0)
    shares = torch.tensor([mixed(torch.zeros(2, 1), torch.arange(2), 0.2)[2] for _ in range(2000)])
    # Beta(a, a): mean 1/2, variance 1 / (4 (2a + 1)).
    assert shares.mean().item() == pytest.approx(0.5, abs=0.03)
    assert shares.var().item() == pytest.approx(1 / 5.6, abs=0.01)
