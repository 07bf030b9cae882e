"""The network in OpenVINO, on the CPU."""

import threading
from typing import Any

import numpy as np
import openvino
from numpy.typing import NDArray
from openvino import properties
from openvino.properties import hint

from ihc_quant.domain.maps import CellMaps
from ihc_quant.errors import WeightsError
from ihc_quant.network.folding import fold_pixels, folded_shape, unfold_maps
from ihc_quant.network.openvino_graph import build_graph
from ihc_quant.network.precision import Precision, caution_of
from ihc_quant.network.predictor import cpu_name, usable_cores
from ihc_quant.network.weights import Weights


class OpenVinoPredictor:
    """Runs the network in OpenVINO, one stream for each worker.

    Parameters
    ----------
    weights : Weights
        From ``load_weights``.
    workers : int
        Threads that will call ``predict``.
    precision : {"float32", "bfloat16", "int8"}
        OpenVINO ignores bfloat16 silently on a processor that lacks it; ``chosen_precision`` has refused that before.
    cores : int or None
        Cores to use; all of this process where None.

    Raises
    ------
    WeightsError
        Where the tensors do not fit the architecture of their card.
    """

    def __init__(
        self, weights: Weights, workers: int, precision: Precision = "float32", cores: int | None = None
    ) -> None:
        self.card = weights.card
        try:
            architecture, calibration = self.card.architecture, self.card.calibration
            self._graph = build_graph(weights.floats(), architecture, calibration, int8=precision == "int8")
        except (IndexError, KeyError, RuntimeError, ValueError) as error:
            raise WeightsError(f"{weights.path}: the weights do not fit their card; fetch both again.") from error
        self._core = openvino.Core()
        self._options = {
            properties.inference_num_threads(): max(cores or usable_cores(), workers),
            properties.num_streams(): workers,
            # OpenVINO would bind its threads to cores counted from the first: those of every worker to the same ones.
            hint.enable_cpu_pinning(): False,
            # The default would round to bfloat16 where the processor can, and figures would differ between machines.
            hint.inference_precision(): openvino.Type.bf16 if precision == "bfloat16" else openvino.Type.f32,
        }
        self.caution = caution_of(precision, weights)
        self._compiled: dict[tuple[int, ...], Any] = {}
        self._requests = threading.local()
        self._lock = threading.Lock()
        release = openvino.__version__.split("-")[0]
        self.description = f"openvino {release}, {precision}, {cpu_name()}, {workers} streams"

    def predict(self, rgb: NDArray[np.uint8]) -> CellMaps:
        """See ``MapPredictor``."""
        architecture = self.card.architecture
        pixels = fold_pixels(rgb, architecture)
        folded = self._request(pixels.shape).infer([pixels], share_inputs=True, share_outputs=True)[0]
        return unfold_maps(folded[0], rgb, architecture)

    def compile_for(self, image_px: int) -> None:
        """Compile for square images before the first one comes."""
        self._compiled_for(folded_shape(image_px, image_px, self.card.architecture))

    def _request(self, shape: tuple[int, ...]) -> Any:
        """Return this thread's own request for pixels of that shape; fixed shapes run faster than open ones."""
        own: dict[tuple[int, ...], Any] = self._requests.__dict__.setdefault("by_shape", {})
        if shape not in own:
            own[shape] = self._compiled_for(shape).create_infer_request()
        return own[shape]

    def _compiled_for(self, shape: tuple[int, ...]) -> Any:
        """Return the network compiled for pixels of a shape, once for all threads."""
        with self._lock:
            if shape not in self._compiled:
                fixed = self._graph.clone()
                fixed.reshape(list(shape))
                self._compiled[shape] = self._core.compile_model(fixed, "CPU", self._options)
            return self._compiled[shape]
