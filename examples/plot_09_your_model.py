"""
How do I measure a model of my own?
===================================

Copy this script and put your model in; all that is asked of it is ``fit`` and ``predict``. To begin with, two of the
same kind stand here, of torch and of scikit-learn. Held fixed: data, layers, optimiser, batches, epochs and threads.
"""

# sphinx_gallery_tags = ["time", "your model"]
import warnings

import matplotlib.pyplot as plt
import pandas as pd
import torch
from sklearn.neural_network import MLPRegressor

from mlperf.profilers.accuracy import accuracy
from mlperf.data import generate_samples
from mlperf.quantities.drawing import draw_estimate, headline
from mlperf.quantities.claims import check, judge
from mlperf.profilers.measure import measure
from mlperf.profilers.operators import operators
from mlperf.protocol import PROCESSES, REPEATS, by_mode
from mlperf.results.publishing import publish
from mlperf.quantities.intervals import median, ratio
from mlperf.profilers.timing import seconds
from mlperf.quantities.units import factor

plt.style.use("mlperf.quantities.report")

# %%
# Settings, the only lines that a copy has to edit: your data go into ``SAMPLES``, your model into ``MODELS``.

SAMPLES = generate_samples(by_mode(published=1_000, quick=500))
EPOCHS = by_mode(published=100, quick=5)


class TorchModel:
    def fit(self, X, y):
        torch.manual_seed(0)
        X, y = torch.as_tensor(X, dtype=torch.float32), torch.as_tensor(y, dtype=torch.float32)
        self.module = torch.nn.Sequential(torch.nn.Linear(X.shape[1], 32), torch.nn.ReLU(), torch.nn.Linear(32, 1))
        optimizer = torch.optim.Adam(self.module.parameters(), lr=0.01)
        for _ in range(EPOCHS):
            for rows in torch.randperm(len(X)).split(64):
                optimizer.zero_grad()
                torch.nn.functional.mse_loss(self.module(X[rows])[:, 0], y[rows]).backward()
                optimizer.step()
        return self

    def predict(self, X):
        with torch.inference_mode():
            return self.module(torch.as_tensor(X, dtype=torch.float32))[:, 0].numpy()


sklearn_model = MLPRegressor(hidden_layer_sizes=(32,), learning_rate_init=0.01, batch_size=64, alpha=0, random_state=0)
sklearn_model.set_params(max_iter=EPOCHS, n_iter_no_change=EPOCHS, tol=0)
MODELS = {"torch": TorchModel(), "scikit-learn": sklearn_model}

# %%
# One run: time a fit and a prediction, then judge the result on the test split.


def run(model):
    warnings.filterwarnings("ignore", "Stochastic Optimizer")  # the epochs are fixed, converged or not
    fit_seconds = seconds(lambda: model.fit(SAMPLES.Xtr, SAMPLES.ytr))
    predict_seconds = seconds(lambda: model.predict(SAMPLES.Xte))
    test = accuracy(model, SAMPLES).set_index("split").loc["test"]
    return {"fit_seconds": fit_seconds, "predict_seconds": predict_seconds, "test_mse": test.mse, "test_r2": test.r2}


runs = measure(run, repeats=REPEATS, processes=PROCESSES, model=MODELS)
summary = runs.drop(columns=["process", "repeat"]).groupby("model", sort=False).median()
summary

# %%
# The operators of a model that computes with torch. (What scikit-learn does, torch's profiler cannot see.)

profile = measure(lambda: operators(lambda: TorchModel().fit(SAMPLES.Xtr, SAMPLES.ytr)), repeats=1, warmup=False)
profile.head(8)

# %%
# How do they compare? Bars are medians, whiskers their 95 % intervals, and dots the single runs.

(first, one), (second, other) = runs.groupby("model", sort=False)
slower = factor(ratio(one.fit_seconds, other.fit_seconds, (one.process, other.process)))
figure, panels = plt.subplots(1, 2)
for axes, what in zip(panels, ["fit", "predict"], strict=True):
    for place, rows in enumerate([one, other]):
        times = rows[f"{what}_seconds"]
        draw_estimate(axes, place, median(times, rows.process), times, color=f"C{place}", bar=0.7, scale=1e3)
    axes.set(xticks=range(len(MODELS)), xticklabels=MODELS, ylabel=f"Time to {what} (ms)")
headline(figure, f"{first} takes {slower:short} the time of {second} to fit")

# %%
# A finding says something that can be wrong, and the measurement decides.

claim = f"For so small a model, {first} fits faster than {second}."
finding = judge(claim, check(f"{first} over {second}", slower, below=1))
pd.DataFrame([finding])

# %%
# Results go to the folder named by ``MLPERF_RESULTS``, else to ``results`` beside where the script was started.

tables = {"runs": runs, "operators": profile, "summary": summary.reset_index()}
publish("your_model", tables=tables, values={"slower": slower}, findings={"faster": finding}, figures={"times": figure})
