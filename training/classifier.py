"""Any CNN of torchvision or timm as a classifier of steel crops, and how it learns."""

from collections.abc import Callable, Iterable
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import torch
from pytorch_lightning import LightningModule
from pytorch_lightning.utilities.types import OptimizerLRSchedulerConfig
from torch.nn import functional
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR
from torchmetrics import MeanMetric
from torchmetrics.classification import MulticlassConfusionMatrix

from sise.architectures import build_network, imagenet_colours
from sise.bundle import not_finite
from training.blueprint import Blueprint
from training.data import Batch, RecastDataModule, normalise
from training.errors import DivergedError, RecipeError
from training.evaluate import macro_recall
from training.losses import Loss, mixed
from training.processes import of_all
from training.schedule import Schedule, Steps


class DefectClassifier(LightningModule):
    """A CNN that maps crops to a logit per class, trained with cross-entropy.

    `forward` takes crops (B, H, W, 3) uint8 and returns logits (B, num_classes) float. It logs
    `train/loss`, `val/loss`, `val/top1`, `val/macro_recall` and `learning_rate` per epoch.

    On several devices a batch is that of them all: each has its share (`SharedBatches`), and the
    gradient is that of the mean loss over the whole batch. Metrics are those of all crops.

    A loss that is not finite ends the training with a DivergedError before the optimizer's step,
    and no checkpoint is written of weights that are not finite. Gradients may be infinite: a
    gradient scaler (16-mixed) skips such steps.

    Args:
        architecture: a CNN of torchvision (resnet18, say) or of timm (timm:tf_efficientnet_lite0).
        weights: "none", "imagenet", "demo", or a file (.safetensors, .pth, .npz) of that
            architecture; FILE#PART chooses one of several state dicts in it.
        channels: 1, for grey crops only: a network that looks at one channel of them, by the sum
            of the weights for three.
        optimizer: any of torch.optim, by class_path.
        schedule: of training.schedule, by class_path.
        logit_adjustment: τ of Menon et al. 2021: the logits' τ·log(class frequency) is added in
            the loss alone, so that rare classes get a wider margin; 0 is plain cross-entropy.
        class_balanced: β of Cui et al. 2019: rare classes weigh more, by their effective number
            of crops; 0 weighs all alike.
        focal: γ of Lin et al. 2017: crops that are classified well count less; 0 counts all alike.
        label_smoothing: share of the target probability that is spread over all classes.
        mixup: α of Zhang et al. 2018: each crop is laid over another of its batch, by a share
            drawn from Beta(α, α); 0 lays none.
        num_classes: how many classes the dataset has; fit reads it from the card.
    """

    def __init__(
        self,
        architecture: str = "resnet101",
        weights: str = "none",
        channels: Literal[1, 3] = 3,
        optimizer: Callable[[Iterable[torch.nn.Parameter]], Optimizer] = torch.optim.SGD,
        schedule: Schedule = Steps(),  # noqa: B008 frozen
        logit_adjustment: float = 0.0,
        class_balanced: float = 0.0,
        focal: float = 0.0,
        label_smoothing: float = 0.0,
        mixup: float = 0.0,
        num_classes: int = 5,
    ) -> None:
        super().__init__()
        self.loss = Loss(logit_adjustment, class_balanced, focal, label_smoothing)
        if not mixup >= 0:
            raise RecipeError(f"model.mixup must be 0 or more, not {mixup}")
        self.architecture = architecture
        self.weights = weights
        self.build_optimizer = optimizer
        self.schedule = schedule
        self.mixup = mixup
        self.channels = channels
        self.network = build_network(architecture, num_classes, channels=channels)
        self.network.to(memory_format=torch.channels_last)
        self.mean, self.std = imagenet_colours(architecture)
        self.class_frequencies: tuple[float, ...] = (1,) * num_classes
        self.recipe: dict[str, Any] = {}
        self._confusion = MulticlassConfusionMatrix(num_classes)
        self._train_loss = MeanMetric(nan_strategy="ignore")
        self._val_loss = MeanMetric(nan_strategy="ignore")
        self._lost_batch = 0

    def setup(self, stage: str) -> None:
        """Take from the data module how crops are normalised, and the classes' frequencies."""
        self.mean, self.std = self._data.mean, self._data.std
        self.class_frequencies = self._data.class_frequencies

    @property
    def _data(self) -> RecastDataModule:
        data: RecastDataModule = self.trainer.datamodule  # type: ignore[attr-defined]
        return data

    def forward(self, crops: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.network(self._images(crops))
        return logits

    def _images(self, crops: torch.Tensor) -> torch.Tensor:
        channels = self.channels
        return normalise(crops[..., :channels], self.mean[:channels], self.std[:channels])

    def training_step(self, batch: Batch, batch_index: int) -> torch.Tensor:
        # Dropout and mixup then draw the same in a run that was interrupted and goes on.
        place = (self._data.seed, self.current_epoch, batch_index, self.global_rank)
        torch.manual_seed(int(np.random.SeedSequence(place).generate_state(1)[0]))
        crops, labels = batch
        images, others, share = self._images(crops), labels, 1.0
        if self.mixup:
            images, others, share = mixed(images, labels, self.mixup)
        logits = self.network(images).float()
        loss = self.loss(logits, labels, self.class_frequencies)
        if share < 1:
            loss = share * loss + (1 - share) * self.loss(logits, others, self.class_frequencies)
        weighed = loss * self._share(loss, len(labels), batch_index)
        self._train_loss.update(loss.detach(), len(labels))
        self.log("train/loss", self._train_loss, on_step=False, on_epoch=True, prog_bar=True)
        return weighed

    def _share(self, loss: torch.Tensor, crops: int, batch_index: int) -> float:
        """What this process's mean `loss` over `crops` crops counts in the mean over processes.

        Raises DivergedError, in all processes, if the loss of one of them is not finite.
        """
        here = torch.tensor([loss.item(), crops], dtype=torch.float64, device=loss.device)
        losses, counts = of_all(here).T
        lost = (~losses.isfinite()).nonzero().flatten().tolist()
        if lost:
            process = f" of process {lost[0] + 1}" if len(losses) > 1 else ""
            raise self._diverged(
                f"batch {batch_index + 1}{process}: the training loss is {losses[lost[0]].item()}"
            )
        return float(crops * len(counts) / counts.sum())

    def validation_step(self, batch: Batch, batch_index: int) -> None:
        crops, labels = batch
        logits = self(crops).float()
        loss = functional.cross_entropy(logits, labels)
        if not self._lost_batch and not bool(loss.isfinite() & logits.isfinite().all()):
            self._lost_batch = batch_index + 1
        self._val_loss.update(loss, len(labels))
        self._confusion.update(logits, labels)

    def confusion(self) -> npt.NDArray[np.int64]:
        """The confusion matrix (C, C) of the validation crops so far, of all processes."""
        counts: npt.NDArray[np.int64] = self._confusion.compute().cpu().numpy()
        return counts

    def on_validation_epoch_end(self) -> None:
        for lost in of_all(torch.tensor([self._lost_batch], device=self.device)).flatten():
            if lost:
                raise self._diverged(f"validation batch {lost}: the network's answer is not finite")
        self.log("val/loss", self._val_loss)
        counts = self.confusion()
        self.log("val/top1", float(counts.trace() / counts.sum()))
        self.log("val/macro_recall", macro_recall(counts), prog_bar=True)
        self._confusion.reset()

    def on_train_epoch_end(self) -> None:
        self.log("learning_rate", self.trainer.optimizers[0].param_groups[0]["lr"])

    def configure_optimizers(self) -> OptimizerLRSchedulerConfig:
        optimizer = self.build_optimizer(self.parameters())
        epochs = self.trainer.max_epochs or 1
        steps_per_epoch = self.trainer.estimated_stepping_batches / epochs

        def factor(step: int) -> float:
            return self.schedule.factor(step / steps_per_epoch, epochs)

        scheduler = LambdaLR(optimizer, factor)
        return {
            "optimizer": optimizer,
            "lr_scheduler": {"scheduler": scheduler, "interval": "step"},
        }

    def _diverged(self, what: str) -> DivergedError:
        return DivergedError(f"epoch {self.current_epoch + 1}, {what}")

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        # Only the first process writes its own.
        names = not_finite(checkpoint.get("state_dict", {})) if self.global_rank == 0 else ()
        if names:
            raise self._diverged(f"after its last batch: weights are not finite ({names[0]}, …)")
        blueprint = Blueprint.of(
            self.architecture, self._data, self.transform_input, self.channels, self.recipe
        )
        blueprint.write_to(checkpoint)

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Go on with the inputs that the run began with."""
        self._data.first_epoch = int(checkpoint["epoch"]) + 1
        if Blueprint.read_from(checkpoint).transform_input:
            self.network.transform_input = True  # type: ignore[assignment]

    @property
    def transform_input(self) -> bool:
        """torchvision's option of googlenet and inception_v3, which their ImageNet weights need."""
        return bool(getattr(self.network, "transform_input", False))
